"""A small web framework for MicroPython, CircuitPython and CPython."""

__version__ = "0.1.0"

# name: module. What a program does not import is not loaded.
_NAMES = {
    "Microdot": "app",
    "abort": "app",
    "Request": "http",
    "Response": "replies",
    "URLPattern": "patterns",
    "AsyncBytesIO": "body",
    "iscoroutine": "compat",
}


def __getattr__(name: str) -> object:
    if name == "redirect" or name == "send_file":
        return getattr(__getattr__("Response"), name)
    module = _NAMES.get(name)
    if module is None:
        raise AttributeError(name)
    value = getattr(__import__(module, globals(), None, (name,), 1), name)
    globals()[name] = value
    return value


if __debug__:  # dropped by mpy-cross -O
    TYPE_CHECKING = False
    if TYPE_CHECKING:
        from .app import Microdot as Microdot, abort as abort
        from .body import AsyncBytesIO as AsyncBytesIO
        from .compat import iscoroutine as iscoroutine
        from .patterns import URLPattern as URLPattern
        from .http import Request as Request, Response as Response

        redirect = Response.redirect
        send_file = Response.send_file
    try:  # checkouts: let editable extensions join
        from pkgutil import extend_path

        __path__ = extend_path(__path__, __name__)
    except ImportError:
        pass
