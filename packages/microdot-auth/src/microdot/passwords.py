"""Password hashes, and a limit on failed attempts. A module of its own: boards that check tokens only never load it."""

import os
import sys
import time
from hashlib import sha256

from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

if sys.implementation.name not in ("micropython", "circuitpython"):  # scrypt and C's PBKDF2
    from ._passwords import check_password as check_password, hash_password as hash_password
else:

    def hash_password(password: str, rounds: int = 0, salt: str = "") -> str:
        """Return a PBKDF2 hash; `_passwords.py`, which CPython has, says what the arguments are. By default 2000 rounds."""
        rounds = rounds or 2000
        salt = salt or os.urandom(8).hex()
        # PBKDF2 (RFC 8018 5.2) with HMAC-SHA256 (RFC 2104), one block; the key's two pads are made once. Numbers, because
        # boards have no faster way to XOR bytes: `(pad << 512) // 255` is the byte `pad` 64 times.
        key = password.encode()
        number = int.from_bytes(sha256(key).digest() if len(key) > 64 else key, "little")
        pads = []
        for pad in b"\x36\x5c":
            pads.append((number ^ (pad << 512) // 255).to_bytes(64, "little"))
        inner, outer = pads
        block = salt.encode() + b"\0\0\0\1"
        total = 0
        for _ in range(rounds):
            block = sha256(outer + sha256(inner + block).digest()).digest()
            total ^= int.from_bytes(block, "little")
        return "pbkdf2:sha256:%d$%s$%s" % (rounds, salt, total.to_bytes(32, "little").hex())

    def check_password(hashed: str, password: str) -> bool:
        """Tell whether a password is the one that was hashed: whether it makes the same hash once more.

        Raises:
            ValueError: it is no hash, or of another method: then there is no number of rounds where one is expected.
        """
        from .helpers import same  # here: importing this module first would be too deep for the stacks of some boards

        method, salt, _ = hashed.split("$")
        return same(hash_password(password, int(method.replace("pbkdf2:sha256:", "")), salt), hashed)


class Limiter:
    """A limit on failed attempts, in a fixed number of counters: no flood of addresses or names fills the heap.

    A key is counted in the slot that its hash with a random salt names. Keys may share one, and then share its limit; nobody
    can choose with whom, and no key can be pushed out.

    Args:
        attempts: how many may fail at once. More than six, when they come with every request: a browser asks on six
            connections at the same time.
        seconds: the time in which that many are forgiven, one by one; at least a second for each.
        slots: how many counters there are, 256 at most.
    """

    def __init__(self, attempts: int = 10, seconds: int = 60, slots: int = 32) -> None:
        # Whole seconds: the floats of most boards have 24 bits, and cannot tell the times of one minute apart.
        self.each = seconds // attempts or 1
        self.seconds = attempts * self.each
        # When each slot's attempts will be forgiven.
        self.until: "list[float]" = [0] * slots
        self.salt = os.urandom(8)

    def attempt(self, key: "Any", cost: int = 1) -> int:
        """Count an attempt, before it is made: many at once cannot slip through.

        Args:
            key: whose attempt: a user's name, or `request.client_addr`, of which the port does not count.
            cost: -1 takes the attempt back, which has succeeded.

        Returns:
            0, or the seconds to wait before the next one; then it was not counted.
        """
        if isinstance(key, tuple):
            key = key[0]
        slot = sha256(self.salt + str(key).encode()).digest()[0] % len(self.until)
        now = time.time()
        latest = now + self.seconds
        # min: a clock that was set back must not lock anybody out.
        until = max(now, min(self.until[slot], latest)) + cost * self.each
        if until > latest:
            return int(until - latest) + 1
        self.until[slot] = until
        return 0
