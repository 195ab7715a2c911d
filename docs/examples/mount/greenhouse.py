"""What both sub-applications work on."""

limits = {"window": 28, "water": 30}
"""The window opens above that many °C, water flows below that many percent of moisture."""


def readings() -> "dict[str, int]":
    """Return what the sensors say; these are simulated."""
    return {"temperature": 24, "moisture": 41}
