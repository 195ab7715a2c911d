"""For packages and programs on every runtime: `wraps`, `invoke_handler` for what it decorates, `same` for secrets."""

from .http import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    W = TypeVar("W", bound=Callable[..., Any])

if port.SERVER:
    from functools import wraps as wraps
    from hmac import compare_digest

    #: `await invoke_handler(f, *args, **kwargs)` calls a function, async or plain: on CPython a plain one runs in a thread.
    invoke_handler = port.call
else:
    # Who decorates handlers looks at requests, and answers with headers. A board loads what that takes now, while its heap is in
    # one piece, and not with a first request that comes when it no longer is.
    import microdot.headers
    import microdot.lazy

    def wraps(wrapped: "Callable[..., Any]") -> "Callable[[W], W]":  # type: ignore[misc]  # a simpler type
        """Return a decorator that leaves the wrapper as it is: functions of boards keep no attributes."""
        return lambda wrapper: wrapper

    # Not `port.call()`: a board would load its module for async functions, too.
    async def invoke_handler(f, *args, **kwargs):  # type: ignore[no-untyped-def, misc]
        result = port.caller(f)(*args, **kwargs)
        return await result if hasattr(result, "throw") else result


def same(a: "str | bytes", b: "str | bytes") -> bool:
    """Compare two secrets in a time that does not tell where they begin to differ.

    Args:
        a: a token, key or digest that somebody sent.
        b: the one that it should be.
    """
    if isinstance(a, str):
        a = a.encode()
    if isinstance(b, str):
        b = b.encode()
    if port.SERVER:
        return compare_digest(a, b)
    different = len(a) ^ len(b)
    for x, y in zip(a, b):
        different |= x ^ y
    return not different
