"""What happens when no route matches, or when a handler raises: HEAD, OPTIONS, 404, 405, error handlers, the last resort."""

from .app import Route
from .http import HTTPException, Response, const, make_response, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .app import Microdot
    from .http import Request


def find_else(app: "Microdot", request: "Request") -> "tuple[Any, dict[str, Any]]":
    """Find what answers a request that no route has matched with its method.

    Raises:
        HTTPException: 404, or 405 with the attribute `allow`.
    """
    method = request.method
    if method == "HEAD":
        found = app.find(request.path, "GET")
        if found is not None:
            return found
    if method == "OPTIONS":
        if app.options_handler:
            return options_route(app, request), {}
        found = app.find(request.path, method)
        if found is not None:
            return found
    routes = matching(app, request.path)
    if not routes:
        raise HTTPException(404, "Not found")
    # The sub-app of the path is the one whose 405 handler is asked.
    request.matched = routes[-1]
    request.subapp = routes[-1].subapp
    request.url_prefix = routes[-1].url_prefix
    problem = HTTPException(405, "Not found")
    problem.allow = allowed(routes)  # type: ignore[attr-defined]
    raise problem


def matching(app: "Microdot", path: str) -> "list[Route]":
    """Return every route that matches a path, whatever its method, in the order of registration."""
    found = []
    for route in app.routes:
        if path[: len(route.literal)] == route.literal and route.match(path) is not None:
            found.append(route)
    return found


def allowed(routes: "list[Route]") -> str:
    """Return the value of an Allow header (RFC 9110 10.2.1) for routes that match a path."""
    methods: "list[str]" = []
    for route in routes:
        methods += [method for method in route.methods if method not in methods]
    for method in ("HEAD", "OPTIONS"):
        if method not in methods and (method != "HEAD" or "GET" in methods):
            methods.append(method)
    return ", ".join(methods)


def options_route(app: "Microdot", request: "Request") -> Route:
    """Make a route that answers OPTIONS for the path of a request."""

    async def answer(request: "Request") -> Response:
        return Response(b"", 200, app.options_handler(request))  # type: ignore[misc]

    route = Route("", answer, ("OPTIONS",))
    routes = matching(app, request.path)
    if routes:
        route.subapp = routes[0].subapp
        route.local_apps = routes[0].local_apps
        route.url_prefix = routes[0].url_prefix
    return route


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
    if app._hooked:
        from .pipeline import replace, vary
        from .registration import chain

        for f in chain(app, request, "error"):
            try:
                response = await replace([f], request, response)
            except Exception as another:
                port.print_exception(another)
        vary(request, response)
    response.is_head = request is not None and request.method == "HEAD"
    return response


def _handler(app: "Microdot", request: "Request | None", key: "Any") -> "Any":
    if app._hooked:
        local = request.matched.local_apps if request is not None and request.matched is not None else ()
        for one in reversed(local):
            if key in one.error_handlers:
                return one.error_handlers[key]
        return app.error_handlers.get(key)
    return None


async def _answer(app: "Microdot", request: "Request | None", exc: "Any") -> "Any":
    status = getattr(exc, "status_code", None)
    if status is None:
        port.print_exception(exc)
    if not isinstance(exc, HTTPException) and app._hooked:
        for cls in mro(type(exc)):
            handler = _handler(app, request, cls)
            if handler is not None:
                try:
                    result = await port.call(handler, request, exc)
                    if result is not None:
                        return result
                except HTTPException as another:
                    exc = another
                    status = exc.status_code
                except Exception as another:
                    port.print_exception(another)
                break
    if status is not None:
        return await error_response(app, request, status, exc.reason)
    if isinstance(exc, MemoryError):
        return await error_response(app, request, 503, "Out of memory")
    return await error_response(app, request, 500, "Internal server error")


async def error_response(
    app: "Microdot", request: "Request | None", status_code: int, reason: "str | None" = None
) -> "Any":
    """Ask the error handler of a status; without one the reason is the body."""
    handler = _handler(app, request, status_code)
    if handler is not None:
        return await port.call(handler, request)
    return reason or "N/A", status_code
