"""Password hashes on CPython, whose OpenSSL has scrypt and a PBKDF2 that is hundreds of times faster."""

import hashlib
import os

from .helpers import same

_SCRYPT = "scrypt:32768:8:3"  # OWASP's password storage cheat sheet: N=2^15, r=8, p=3, which takes 32 MB


def _derive(method: str, password: bytes, salt: bytes) -> bytes:
    name, *figures = method.split(":")
    if name == "scrypt" and len(figures) == 3:
        n, r, p = [int(figure) for figure in figures]
        return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=132 * n * r * p, dklen=64)
    if name == "pbkdf2" and len(figures) == 2:
        return hashlib.pbkdf2_hmac(figures[0], password, salt, int(figures[1]))
    raise ValueError("cannot check " + method)


def hash_password(password: str, rounds: int = 0, salt: str = "") -> str:
    """Return a hash of a password, in the format of Werkzeug: `method$salt$digest`.

    By default it is scrypt's on CPython (32 MB, as OWASP advises), PBKDF2's with 2000 rounds on a board. Both take some
    tenths of a second: on CPython call it from a plain `def`, which runs in a thread.

    Args:
        password: the password.
        rounds: make a PBKDF2 hash of that many rounds, which boards can check.
        salt: text that makes this hash different from others of the same password; by default a random one.
    """
    method = "pbkdf2:sha256:%d" % rounds if rounds else _SCRYPT
    salt = salt or os.urandom(8).hex()
    return "$".join((method, salt, _derive(method, password.encode(), salt.encode()).hex()))


def check_password(hashed: str, password: str) -> bool:
    """Tell whether a password is the one that was hashed.

    Args:
        hashed: what `hash_password()` returned, on a board or on CPython.
        password: what somebody sent.

    Raises:
        ValueError: it is no hash, or this runtime does not know the method; boards have no scrypt.

    >>> check_password("pbkdf2:sha256:1$c2FsdA$" + 64 * "0", "apple")
    False
    >>> check_password(hash_password("apple", 2000), "apple")
    True
    """
    method, salt, digest = hashed.split("$")
    return same(_derive(method, password.encode(), salt.encode()).hex(), digest)
