"""Choose between the two runtime modules: the one place where boards and CPython part ways.

Everything that differs (sockets, threads, clocks, tracebacks) is in `_micropython.py` and `_cpython.py`, which offer the
same names. `const` is the compiler's on a board and the identity on CPython.
"""

import sys

if sys.implementation.name in ("micropython", "circuitpython"):
    from micropython import const as const

    import microdot._micropython as port  # `from . import` would ask the facade's __getattr__ first
else:
    from . import _cpython as port  # type: ignore[no-redef]
    from ._cpython import const as const  # type: ignore[no-redef]

port = port


def http_date(t: "tuple[int, ...]") -> str:
    """Format a UTC time tuple as in a Date header (RFC 9110 5.6.7), whatever the locale."""
    return "%s, %02d %s %d %02d:%02d:%02d GMT" % (
        "MonTueWedThuFriSatSun"[3 * t[6] : 3 * t[6] + 3],
        t[2],
        "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * t[1] - 3 : 3 * t[1]],
        t[0],
        t[3],
        t[4],
        t[5],
    )
