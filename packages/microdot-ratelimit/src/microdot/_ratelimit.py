"""What CPython does its own way in `ratelimit.py`; never on a board."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import Request


def ticks() -> int:
    """Return the milliseconds of a clock that nobody sets."""
    return time.monotonic_ns() // 1000000


def client(request: Request) -> str:
    """Return what clients are told apart by: the IPv4 address, or the network of an IPv6 address."""
    return network((request.client_addr or ("",))[0])


def network(address: str) -> str:
    """Return an IPv4 address as it is, and of an IPv6 one the network: whose is one has all 2 ** 64 (RFC 6177 2)."""
    if "." in address:
        return address[address.rfind(":") + 1 :]  # ::ffff:192.0.2.1 is 192.0.2.1 (RFC 4291 2.5.5.2)
    return ":".join(address.split("::")[0].split(":")[:4])
