"""The names that programs written for Microdot import from `microdot.microdot`."""

_NAMES = {
    "Microdot": "app",
    "abort": "app",
    "Request": "http",
    "Response": "replies",
    "URLPattern": "patterns",
    "AsyncBytesIO": "body",
    "NoCaseDict": "datastructures",
    "MultiDict": "datastructures",
    "urlencode": "datastructures",
    "urldecode": "datastructures",
    "HTTPException": "http",
    "invoke_handler": "compat",
    "iscoroutine": "compat",
    "mro": "compat",
    "print_exception": "compat",
    "MUTED_SOCKET_ERRORS": "compat",
}


def __getattr__(name: str) -> object:
    if name == "redirect" or name == "send_file":
        return getattr(__getattr__("Response"), name)
    module = _NAMES.get(name)
    if module is None:
        raise AttributeError(name)
    return getattr(__import__(module, globals(), None, (name,), 1), name)


if __debug__:  # dropped by mpy-cross -O
    TYPE_CHECKING = False
    if TYPE_CHECKING:
        from .app import Microdot as Microdot, abort as abort
        from .body import AsyncBytesIO as AsyncBytesIO
        from .compat import (
            MUTED_SOCKET_ERRORS as MUTED_SOCKET_ERRORS,
            invoke_handler as invoke_handler,
            iscoroutine as iscoroutine,
            mro as mro,
            print_exception as print_exception,
        )
        from .datastructures import (
            MultiDict as MultiDict,
            NoCaseDict as NoCaseDict,
            urldecode as urldecode,
            urlencode as urlencode,
        )
        from .http import HTTPException as HTTPException, Request as Request, Response as Response
        from .patterns import URLPattern as URLPattern

        redirect = Response.redirect
        send_file = Response.send_file
