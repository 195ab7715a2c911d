"""Methods of `Microdot` that a small application may do without, or use once."""

from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .app import Microdot


def attribute(app: "Microdot", name: str) -> "Any":
    """Find an attribute or method that `Microdot` itself does not have; AttributeError when there is none."""
    if name in ("put", "patch", "delete", "query"):
        return lambda url_pattern: app.route(url_pattern, [name.upper()])
    if name == "shutdown":
        from .stop import shutdown

        return lambda: shutdown(app)
    # The rest is for applications that have more than routes.
    from .registry import attribute as further

    return further(app, name)
