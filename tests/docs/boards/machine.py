"""A stand-in for MicroPython's module of this name. Runs on MicroPython too."""

resets: "list[str]" = []


class Pin:
    """A pin that remembers what it is set to."""

    IN = 0
    OUT = 1
    PULL_UP = 2

    def __init__(self, name: "int | str", mode: int = 0, pull: int = 0) -> None:
        self.level = 0

    def value(self, level: "int | None" = None) -> "int | None":
        """Set or tell the level."""
        if level is None:
            return self.level
        self.level = int(level)
        return None


def reset() -> None:
    """Start the board again."""
    resets.append("reset")


class WDT:
    """A watchdog that never bites."""

    def __init__(self, id: int = 0, timeout: int = 5000) -> None:
        assert timeout >= 1000
        self.fed = 0

    def feed(self) -> None:
        """Say that all is well."""
        self.fed += 1
