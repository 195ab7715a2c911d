"""`wraps` for decorators that run on every runtime."""

from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    W = TypeVar("W", bound=Callable[..., Any])

try:
    from functools import wraps as wraps
except ImportError:  # boards: functions keep no attributes, so there is nothing to copy

    def wraps(wrapped: "Callable[..., Any]") -> "Callable[[W], W]":  # type: ignore[no-redef]
        """Return a decorator that leaves the wrapper as it is."""
        return _same


def _same(wrapper: "W") -> "W":
    return wrapper
