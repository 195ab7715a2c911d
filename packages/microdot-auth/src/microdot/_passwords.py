"""Password hashes on CPython, whose OpenSSL has scrypt and a PBKDF2 that is hundreds of times faster."""

import hashlib

METHOD = "scrypt:32768:8:3"
"""OWASP's password storage cheat sheet: N=2^15, r=8, p=3, which takes 32 MB."""


def derive(method: str, password: bytes, salt: bytes) -> bytes:
    """Return the digest of a password.

    Args:
        method: `scrypt:N:r:p` or `pbkdf2:HASH:ROUNDS`.
        password: the password.
        salt: the salt.

    Raises:
        ValueError: there is no such method, or its figures cannot be.
    """
    name, *figures = method.split(":")
    if name == "scrypt" and len(figures) == 3:
        n, r, p = [int(figure) for figure in figures]
        return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=132 * n * r * p, dklen=64)
    if name == "pbkdf2" and len(figures) == 2:
        return hashlib.pbkdf2_hmac(figures[0], password, salt, int(figures[1]))
    raise ValueError("cannot check " + method)
