"""Methods of `Microdot` that a small application may do without, or use once, and what is said seldom."""

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


def not_callable(url_pattern: str) -> None:
    """Raise the TypeError for a route whose handler is none."""
    raise TypeError("route %s: not callable; is @route outermost?" % url_pattern)


def announce(host: str, port: int) -> None:
    """Print where a server listens, when it was asked to say what it does."""
    print("Starting async server on %s:%d..." % (host, port))


if __debug__:  # the compiled files of boards leave this out

    def warn(text: str) -> None:
        """Warn of what works nowhere, and ends no program either: those for Microdot 2.7 may have it in a corner."""
        try:
            from warnings import warn

            warn(text, stacklevel=4)
        except ImportError:  # a board with the sources
            print(text)
