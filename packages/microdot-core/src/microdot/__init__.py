"""A small web framework for MicroPython, CircuitPython and CPython."""

__version__ = "0.1.0"

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
            if __debug__:  # a board may compile the sources: the longest module first, and no garbage in its way
                import gc

                if hasattr(gc, "mem_free"):
                    gc.collect()
            from .http import port
            from .app import Microdot

            port.collect()  # what loading leaves behind becomes the place of what the program loads next
            return Microdot
        from .microdot import find

        return find(name)


if __debug__:  # dropped by mpy-cross -O
    try:  # checkouts: let editable extensions join
        from pkgutil import extend_path

        __path__ = extend_path(__path__, __name__)
    except ImportError:
        pass
