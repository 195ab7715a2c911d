"""What happens when there is no handler, or when one raises: OPTIONS, 404, 405, error handlers, the last resort."""

import asyncio

from .head import HTTPException
from .response import Response, make_response
from .routing import Route
from .runtime import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from .app import Microdot
    from .request import Request


def find_else(app: "Microdot", request: "Request") -> "tuple[Any, Any]":
    """Find what answers a request that no route has matched with its method.

    Returns:
        a route and its arguments; or None and a response (a CORS preflight) or an exception (404, 405).
    """
    method = request.method
    if method == "HEAD":
        found = app._routes.find(request.path, "GET")
        if found is not None:
            return found
    matching = app._routes.matching(request.path)
    if method == "OPTIONS":
        if app.options_handler is None:
            found = app._routes.find(request.path, method)
            if found is not None:
                return found
        else:
            return _options(app, request, matching)
    if not matching:
        return None, HTTPException(404, "Not found")
    # The sub-app of the path is the one whose 405 handler is asked.
    request.matched = last = matching[-1]
    request.subapp = last.subapp
    request.url_prefix = last.url_prefix
    problem = HTTPException(405, "Not found")
    problem.allow = allowed(matching)  # type: ignore[attr-defined]
    return None, problem


def allowed(matching: "list[Route]") -> str:
    """Return the value of an Allow header (RFC 9110 10.2.1) for the routes that match a path."""
    methods: "list[str]" = []
    for route in matching:
        for method in route.methods:
            if method not in methods:
                methods.append(method)
    if "GET" in methods and "HEAD" not in methods:
        methods.append("HEAD")
    if "OPTIONS" not in methods:
        methods.append("OPTIONS")
    return ", ".join(methods)


def _options(app: "Microdot", request: "Request", matching: "list[Route]") -> "tuple[Any, Any]":
    async def answer(request: "Request") -> Response:
        return Response(headers=app.options_handler(request))  # type: ignore[misc]

    route = Route(request.path, answer, ("OPTIONS",))
    if matching:
        route.subapp = matching[0].subapp
        route.local_apps = matching[0].local_apps
        route.url_prefix = matching[0].url_prefix
    if "Origin" in request.headers and "Access-Control-Request-Method" in request.headers:
        # A preflight carries no credentials (Fetch 3.2.2), so before hooks would refuse what it asks about.
        request.matched = route
        headers = dict(app.options_handler(request))  # type: ignore[misc]
        for f in app._chain(request, "preflight_handlers", False):
            headers.update(f(request) or {})
        return None, Response(headers=headers)
    return route, {}


async def within(coroutine: "Coroutine[Any, Any, Any]", seconds: float) -> "Any":
    """Await `coroutine` at most so long.

    Raises:
        HTTPException: 503 when it takes longer.
    """
    try:
        return await asyncio.wait_for(coroutine, seconds)
    except asyncio.TimeoutError:
        raise HTTPException(503, "Timed out")


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


async def fail(app: "Microdot", request: "Request | None", exc: Exception) -> Response:
    """Make the response for an exception, through error handlers and error hooks; raises nothing but MemoryError."""
    try:
        response = make_response(await _answer(app, request, exc))
    except MemoryError:
        raise
    except Exception as another:
        port.print_exception(another)
        response = Response("Internal server error", 500)
    if hasattr(exc, "allow") and response.status_code == 405:
        response.headers["Allow"] = exc.allow
    for f in app._chain(request, "after_error_request_handlers", True):
        try:
            response = await app._after(request, response, [f])
        except Exception as another:
            port.print_exception(another)
    return response


def _handler(app: "Microdot", request: "Request | None", key: "Any") -> "Any":
    if request is not None and request.matched is not None:
        local = request.matched.local_apps
        for i in range(len(local) - 1, -1, -1):
            if key in local[i].error_handlers:
                return local[i].error_handlers[key]
    return app.error_handlers.get(key)


async def _call(handler: "Any", *args: "Any") -> "Any":
    return await handler(*args) if port.is_async(handler) else await port.call(handler, *args)


async def _answer(app: "Microdot", request: "Request | None", exc: Exception) -> "Any":
    if not isinstance(exc, HTTPException):
        status = getattr(exc, "status_code", None)
        if status is None:
            port.print_exception(exc)
        for cls in mro(type(exc)):
            handler = _handler(app, request, cls)
            if handler is not None:
                try:
                    result = await _call(handler, request, exc)
                    if result is not None:
                        return result
                except HTTPException as another:
                    exc = another
                except Exception as another:
                    port.print_exception(another)
                break
        else:
            if isinstance(exc, MemoryError):
                import gc

                gc.collect()
                exc = HTTPException(503, "Out of memory")
        if not isinstance(exc, HTTPException):
            if status is None:
                exc = HTTPException(500, "Internal server error")
            else:
                exc = HTTPException(status, getattr(exc, "reason", None))
    return await error_response(app, request, exc.status_code, exc.reason)


async def error_response(
    app: "Microdot", request: "Request | None", status_code: int, reason: "str | None" = None
) -> "Any":
    """Ask the error handler of a status; without one the reason is the body."""
    handler = _handler(app, request, status_code)
    if handler is not None:
        return await _call(handler, request)
    return reason or "N/A", status_code


def merge_vary(request: "Request", response: Response) -> None:
    """Add the names in `request.g._vary` to the Vary header (RFC 9110 12.5.5)."""
    names = [name.strip() for name in response.headers.get("Vary", "").split(",") if name.strip()]
    seen = {name.lower() for name in names}
    for name in sorted(request.g._vary):
        if name.lower() not in seen:
            seen.add(name.lower())
            names.append(name)
    if names:
        response.headers["Vary"] = ", ".join(names)
