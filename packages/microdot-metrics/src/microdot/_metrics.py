"""What CPython does its own way in `metrics.py` and `accesslog.py`; never on a board."""

from __future__ import annotations

import logging
import os
import sys
import time

#: Writes a line of the access log. Handlers, files and formats are those of `logging`.
write = logging.getLogger("microdot.access").info
#: How many characters of what a client sends go into a line.
CUT = 1000

_HELP = {
    "http_seconds": "How long requests took, from the head to the last byte of the answer.",
    "http_requests_total": "Requests by the class of their status; 1xx was upgraded, 0xx ended early.",
    "http_bytes_total": "Bytes of all bodies that were sent.",
    "http_max_seconds": "The longest request, and the pattern of its route.",
    "http_connections": "Open connections.",
    "uptime_seconds": "Age of the server.",
    "process_resident_memory_bytes": "What the process has in RAM.",
    "process_cpu_seconds_total": "Processor time of the process.",
}


def ticks() -> int:
    """Return the milliseconds of a clock that nobody sets."""
    return time.monotonic_ns() // 1000000


def heap() -> dict[str, float]:
    """Return the memory that the process has in RAM, in bytes, and its processor time in seconds."""
    return {"process_resident_memory_bytes": _resident(), "process_cpu_seconds_total": time.process_time()}


def dumps(text: str) -> str:
    """Return a value in quotes as the text format has it, which knows three escapes; elsewhere those of JSON do."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def page(parts: list[str]) -> str:
    """Return the page for Prometheus with what each figure is and of what type; a board has no room for that."""
    lines = []
    last = "http_seconds"
    for line in "".join(parts)[:-1].split("\n"):
        name = line.split("{")[0].split(" ")[0]
        if name == "#":
            lines.append("# HELP %s %s" % (last, _HELP[last]))
        elif name != last and not name.startswith("http_seconds_"):
            last = name
            lines.append("# HELP %s %s" % (name, _HELP[name]))
            lines.append("# TYPE %s %s" % (name, "counter" if name.endswith("_total") else "gauge"))
        lines.append(line)
    return "\n".join(lines) + "\n"


def _resident() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # proc(5): the second figure, in pages
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    # Elsewhere only the peak is to be had: in bytes on macOS, else in units of 1024.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
