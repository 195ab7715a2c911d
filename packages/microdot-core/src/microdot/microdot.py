"""The names that programs written for Microdot import from `microdot.microdot`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .app import Microdot as Microdot, abort as abort
    from .streams import AsyncBytesIO as AsyncBytesIO
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
else:
    _NAMES = {
        "NoCaseDict": "datastructures",
        "MultiDict": "datastructures",
        "urlencode": "datastructures",
        "urldecode": "datastructures",
        "HTTPException": "http",
        "invoke_handler": "compat",
        "mro": "compat",
        "print_exception": "compat",
        "MUTED_SOCKET_ERRORS": "compat",
    }

    def __getattr__(name):
        module = _NAMES.get(name)
        if module:
            return getattr(__import__(module, globals(), None, (name,), 1), name)
        import microdot

        return getattr(microdot, name)
