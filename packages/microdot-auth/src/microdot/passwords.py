"""Password hashes, and a limit on failed attempts. A module of its own: boards that check tokens only never load it."""

import os
import time
from hashlib import sha256

from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any


def _derive(method: str, password: bytes, salt: bytes) -> bytes:
    name, _, rounds = method.rpartition(":")
    if name != "pbkdf2:sha256":
        raise ValueError("cannot check " + method)
    # PBKDF2 (RFC 8018 5.2) with HMAC-SHA256 (RFC 2104), one block; the key's two pads are made once. Numbers, because boards
    # have no faster way to XOR bytes.
    key = int.from_bytes(sha256(password).digest() if len(password) > 64 else password, "little")
    inner = (key ^ int.from_bytes(b"6" * 64, "little")).to_bytes(64, "little")
    outer = (key ^ int.from_bytes(b"\\" * 64, "little")).to_bytes(64, "little")
    salt += b"\0\0\0\1"
    total = 0
    for _ in range(int(rounds)):
        salt = sha256(outer + sha256(inner + salt).digest()).digest()
        total ^= int.from_bytes(salt, "little")
    return total.to_bytes(32, "little")


_METHOD = "pbkdf2:sha256:2000"
try:  # scrypt and C's PBKDF2: CPython only
    from ._passwords import METHOD as _METHOD, derive as _derive
except ImportError:
    pass


def hash_password(password: str, rounds: int = 0) -> str:
    """Return a hash of a password, in the format of Werkzeug: `method$salt$digest`.

    By default it is scrypt's on CPython (32 MB, as OWASP advises), PBKDF2's with 2000 rounds on a board. Both take some
    tenths of a second: on CPython call it from a plain `def`, which runs in a thread.

    Args:
        password: the password.
        rounds: make a PBKDF2 hash of that many rounds, which boards can check.
    """
    method = "pbkdf2:sha256:%d" % rounds if rounds else _METHOD
    salt = os.urandom(8).hex()
    return "$".join((method, salt, _derive(method, password.encode(), salt.encode()).hex()))


def check_password(hashed: str, password: str) -> bool:
    """Tell whether a password is the one that was hashed.

    Args:
        hashed: what `hash_password()` returned, on a board or on CPython.
        password: what somebody sent.

    Raises:
        ValueError: this runtime does not know the method; boards have no scrypt.

    >>> check_password("pbkdf2:sha256:1$c2FsdA$" + 64 * "0", "apple")
    False
    >>> check_password(hash_password("apple", 2000), "apple")
    True
    """
    from .auth import same

    method, salt, digest = hashed.split("$")
    return same(_derive(method, password.encode(), salt.encode()).hex(), digest)


class Limiter:
    """A limit on failed attempts, in a fixed number of counters: no flood of addresses or names fills the heap.

    A key is counted in the slot that its hash with a random salt names. Keys may share one, and then share its limit; nobody
    can choose with whom, and no key can be pushed out.

    Args:
        attempts: how many may fail at once. More than six, when they come with every request: a browser asks on six
            connections at the same time.
        seconds: the time in which that many are forgiven, one by one.
        slots: how many counters there are, 256 at most.
    """

    def __init__(self, attempts: int = 10, seconds: int = 60, slots: int = 32) -> None:
        self.seconds = seconds
        self.each = seconds / attempts
        # When each slot's attempts will be forgiven.
        self.until = [0.0] * slots
        self.salt = os.urandom(8)

    def attempt(self, key: "Any", cost: float = 1) -> int:
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
