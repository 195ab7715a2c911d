"""A stand-in for MicroPython's module of this name: a Wi-Fi that is there at once. Runs on MicroPython too."""

STA_IF = 0
AP_IF = 1
connected_to: "list[str]" = []


class WLAN:
    """An interface."""

    IF_STA = 0
    IF_AP = 1
    PM_NONE = 0
    PM_PERFORMANCE = 1

    def __init__(self, kind: int) -> None:
        assert kind in (STA_IF, AP_IF)
        self.settings: "dict[str, object]" = {}
        self.is_active = False

    def active(self, on: "bool | None" = None) -> bool:
        """Switch it on or off, or tell."""
        if on is not None:
            self.is_active = on
        return self.is_active

    def config(self, *names: str, **settings: object) -> object:
        """Set or tell a setting."""
        for name in settings:
            assert name in ("pm", "reconnects", "ssid", "key", "security", "hostname"), name
            self.settings[name] = settings[name]
        return self.settings[names[0]] if names else None

    def connect(self, ssid: str, key: str) -> None:
        """Join a network."""
        assert self.is_active and ssid and key
        connected_to.append(ssid)

    def disconnect(self) -> None:
        """Leave it."""

    def isconnected(self) -> bool:
        """Tell whether there is one."""
        return self.is_active

    def status(self, name: str = "") -> int:
        """Tell how it is."""
        return -60 if name == "rssi" else 1010

    def ifconfig(self) -> "tuple[str, str, str, str]":
        """Tell the addresses."""
        return "192.0.2.7", "255.255.255.0", "192.0.2.1", "192.0.2.1"


class LAN(WLAN):
    """An Ethernet interface."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(STA_IF)


def hostname(name: str) -> None:
    """Set the name of the board in the network."""
    assert name
