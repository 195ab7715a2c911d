"""As much of MicroPython's module `machine` as main.py uses, for computers: do not copy it to a board."""

import time


class Pin:
    """A pin; as an input it is a button that somebody holds for two seconds in every four."""

    IN = 0
    OUT = 1
    PULL_UP = 1

    def __init__(self, id: int, mode: int = -1, pull: int = -1, value: "int | None" = None) -> None:
        """Set the pin up; an output begins with `value`."""
        self.id = id
        self.mode = mode
        self._value = value or 0

    def value(self, x: "object" = None) -> "int | None":
        """Return the level, 0 or 1; with an argument set it."""
        if x is not None:
            self._value = 1 if x else 0
            return None
        if self.mode == self.IN:
            return 0 if int(time.time()) % 4 < 2 else 1
        return self._value


class PWM:
    """A pin that is high for a part of the time."""

    def __init__(self, dest: Pin, freq: int, duty_u16: int = 0) -> None:
        """Set it up: the frequency in Hz, the part of the time as a number up to 65535."""
        self.frequency = freq
        self._duty = duty_u16

    def duty_u16(self, duty: "int | None" = None) -> "int | None":
        """Return the part of the time; with an argument set it."""
        if duty is None:
            return self._duty
        self._duty = duty
        return None


class ADC:
    """A voltage that rises and falls once a minute."""

    def __init__(self, pin: Pin) -> None:
        """Set it up."""
        self.pin = pin

    def read_u16(self) -> int:
        """Return the voltage as a number up to 65535."""
        second = int(time.time()) % 60
        return 8000 + 1600 * min(second, 60 - second) + 137 * (int(time.time()) % 5)
