"""A small web framework for MicroPython, CircuitPython and CPython."""

import gc

__version__ = "0.1.0"

_BOARD = hasattr(gc, "mem_free")
if _BOARD:
    # What compiling the program left behind becomes the place of the modules, and not a hole below them.
    gc.collect()

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .app import Microdot as Microdot, abort as abort
    from .compat import iscoroutine as iscoroutine
    from .http import Request as Request, Response as Response
    from .patterns import URLPattern as URLPattern
    from .streams import AsyncBytesIO as AsyncBytesIO

    redirect = Response.redirect
    send_file = Response.send_file
else:

    def __getattr__(name):
        # What a program does not import is not loaded.
        if name == "Microdot":
            if __debug__:  # what a board compiles itself: the longest module first, before others lie in its way
                import microdot.http
            from .app import Microdot

            if _BOARD:  # the same for what loading these leaves, and the modules that the program loads next
                gc.collect()
            return Microdot
        from .microdot import find

        return find(name)


if __debug__:  # dropped by mpy-cross -O
    try:  # checkouts: let editable extensions join
        from pkgutil import extend_path

        __path__ = extend_path(__path__, __name__)
    except ImportError:
        pass
