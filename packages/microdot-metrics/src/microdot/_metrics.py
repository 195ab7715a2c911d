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


def ticks() -> int:
    """Return the milliseconds of a clock that nobody sets."""
    return time.monotonic_ns() // 1000000


def heap() -> dict[str, float]:
    """Return the memory that the process has in RAM, in bytes, and its processor time in seconds."""
    return {"process_resident_memory_bytes": _resident(), "process_cpu_seconds_total": time.process_time()}


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
