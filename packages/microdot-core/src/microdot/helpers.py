"""For decorators that run on every runtime: `wraps`, and `invoke_handler` for what they decorate."""

from .http import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    W = TypeVar("W", bound=Callable[..., Any])

try:
    from functools import wraps as wraps
except ImportError:  # boards: functions keep no attributes, so there is nothing to copy

    def wraps(wrapped: "Callable[..., Any]") -> "Callable[[W], W]":  # type: ignore[misc]  # a simpler type
        """Return a decorator that leaves the wrapper as it is."""
        return _same


#: `await invoke_handler(f, *args, **kwargs)` calls a function, async or plain: on CPython a plain one runs in a thread.
invoke_handler = port.call


def _same(wrapper: "W") -> "W":
    return wrapper
