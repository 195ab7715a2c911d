"""The names that programs written for Microdot import from `microdot.microdot`, and where those of the package are."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .app import Microdot as Microdot, abort as abort
    from .compat import (
        MUTED_SOCKET_ERRORS as MUTED_SOCKET_ERRORS,
        HTTPException as HTTPException,
        invoke_handler as invoke_handler,
        iscoroutine as iscoroutine,
        mro as mro,
        print_exception as print_exception,
    )
    from .datastructures import MultiDict as MultiDict, urldecode as urldecode, urlencode as urlencode
    from .headers import NoCaseDict as NoCaseDict
    from .http import Request as Request, Response as Response
    from .patterns import URLPattern as URLPattern
    from .streams import AsyncBytesIO as AsyncBytesIO

    redirect = Response.redirect
    send_file = Response.send_file

    def find(name: str) -> object:
        """Return a name of the package from the module that has it."""
else:
    _PACKAGE = {
        "Microdot": "app",
        "abort": "http",
        "Request": "named",
        "Response": "named",
        "URLPattern": "patterns",
        "AsyncBytesIO": "streams",
        "iscoroutine": "compat",
    }
    _MODULE = {
        "NoCaseDict": "headers",
        "MultiDict": "datastructures",
        "urlencode": "datastructures",
        "urldecode": "datastructures",
        "HTTPException": "compat",
        "invoke_handler": "compat",
        "mro": "compat",
        "print_exception": "compat",
        "MUTED_SOCKET_ERRORS": "compat",
    }

    def find(name, names=_PACKAGE):
        """Return a name of the package from the module that has it."""
        if name == "__all__":  # for `import *`; boards do not look at it
            return list(names) + ["redirect", "send_file"]
        if name == "redirect" or name == "send_file":
            # A board loads it while its heap is in one piece, and not with the first request that needs it.
            __import__("files" if name == "send_file" else "replies", globals(), None, (name,), 1)
            return getattr(find("Response"), name)
        module = names.get(name)
        if not module:
            if name[:2] == "__":  # CPython asks whatever it imports from for `__path__`, with each import
                raise AttributeError(name)
            # MicroPython asks for a module of the package here, too: `from microdot import websocket`.
            try:
                return __import__(name, globals(), None, (name,), 1)
            except ImportError as exc:
                if name not in str(exc):  # the module is there, and something that it wants is not
                    raise
                raise AttributeError(name)
        return getattr(__import__(module, globals(), None, (name,), 1), name)

    def __getattr__(name):
        if name == "__all__":
            return find(name) + list(_MODULE)
        return find(name, _MODULE if name in _MODULE else _PACKAGE)
