"""A stand-in for MicroPython's module of this name: a time server that answers. Runs on MicroPython too."""

host = "pool.ntp.org"
asked: "list[str]" = []


def settime() -> None:
    """Set the clock."""
    asked.append(host)
