"""Answers to errors in an application that has error handlers or hooks."""

from .app import Microdot
from .errors import text_of
from .hooks import replace, vary
from .http import HTTPException, Response, const, port
from .pipeline import chain

port.seldom.add(__name__)  # first of all: a load that fails leaves something behind, too

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .http import Request


def _handler(app: Microdot, request: "Request | None", key: "Any") -> "Any":
    for one in reversed(request.matched.local_apps if request is not None and request.matched is not None else ()):
        if one._hooked and key in one.error_handlers:
            return one.error_handlers[key]
    return app.error_handlers.get(key)


def mro(cls: "type") -> "list[type]":
    """Return a class and its bases in the order of lookup; boards do not keep `__mro__`."""
    if hasattr(cls, "__mro__"):
        return list(cls.__mro__)
    classes = [cls]
    for base in cls.__bases__:
        for c in mro(base):
            if c in classes:
                classes.remove(c)
            classes.append(c)
    return classes


async def answer_error(app: Microdot, request: "Request | None", exc: "Any") -> "Any":
    """Ask the error handlers what to answer to an exception."""
    if not isinstance(exc, HTTPException):
        for cls in mro(type(exc)):
            handler = _handler(app, request, cls)
            if handler is not None:
                try:
                    result = await port.call(handler, request, exc)
                    if result is not None:
                        return result
                except HTTPException as another:
                    exc = another
                except Exception as another:
                    port.print_exception(another)
                break
    reason, status_code = text_of(exc)
    return await error_response(app, request, status_code, reason)


async def error_response(app: Microdot, request: "Request | None", status_code: int, reason: "str | None" = None) -> "Any":
    """Ask the error handler of a status; without one the reason is the body."""
    handler = _handler(app, request, status_code)
    if handler is not None:
        return await port.call(handler, request)
    return reason or "N/A", status_code


async def after_error(app: Microdot, request: "Request | None", response: Response) -> Response:
    """Run the error hooks; one that fails is printed, and the others run."""
    for f in chain(app, request, "error"):
        try:
            response = await replace([f], request, response)
        except Exception as exc:
            port.print_exception(exc)
    return vary(request, response)
