"""The way of a request through an application that has hooks: admit, body, before, handler, after."""

from .errors import find_else
from .http import HTTPException, Response, const, make_response, port
from .registration import chain

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .app import Microdot, Route
    from .http import Request


async def run(app: "Microdot", request: "Request", found: "tuple[Route, dict[str, Any]] | None") -> Response:
    """Answer a request whose route may have been found.

    Raises:
        Exception: what a hook or the handler raised, or why there is no handler.
    """
    problem = None
    preflight = False
    try:
        if found is None:
            preflight = (
                request.method == "OPTIONS"
                and "Origin" in request.headers
                and "Access-Control-Request-Method" in request.headers
            )
            found = find_else(app, request)
    except HTTPException as exc:
        problem = exc
    route = None
    if found is not None:
        route, args = found
        request.matched = route
        request.route = route.handler
        request.url_args = args
        request.subapp = route.subapp
        request.url_prefix = route.url_prefix
    result = None
    for f in chain(app, request, "admit"):
        result = f(request, route)
        if port.iscoroutine(result):
            result = await result
        if result:
            break
    if not result:
        if request.pending or request.body:
            from .body import load

            await load(request)
        if problem:
            raise problem
        if preflight:
            # A preflight carries no credentials (Fetch 3.2.2), so before hooks would refuse what it asks about.
            result = await route.handler(request)  # type: ignore[union-attr]
            for f in chain(app, request, "options"):
                for name, value in (f(request) or {}).items():
                    result.headers[name] = value
        elif request.timeout:
            import asyncio

            try:
                result = await asyncio.wait_for(_handle(app, request, route, args), request.timeout)  # type: ignore[arg-type]
            except asyncio.TimeoutError:
                raise HTTPException(503, "Timed out")
        else:
            result = await _handle(app, request, route, args)  # type: ignore[arg-type]
    return await after(app, request, make_response(result))


async def _handle(app: "Microdot", request: "Request", route: "Route", args: "dict[str, Any]") -> "Any":
    for f in chain(app, request, "before"):
        result = await port.call(f, request)
        if result:
            return result
    return await port.call(route.handler, request, **args)


async def after(app: "Microdot", request: "Request", response: Response) -> Response:
    """Run the after hooks and the request's own, and say what the response varies with."""
    if app._hooked:
        response = await replace(chain(app, request, "after"), request, response)
    if request._extras:
        response = await replace(request.after_request_handlers, request, response)
    return vary(request, response)


async def replace(functions: "list[Any]", request: "Request | None", response: Response) -> Response:
    """Call functions with request and response; a truthy result takes the place of the response."""
    for f in functions:  # they may register more while they run
        result = await port.call(f, request, response)
        if result:
            response = make_response(result)
    return response


def vary(request: "Request | None", response: Response) -> Response:
    """Add the names in `request.g._vary` to the Vary header (RFC 9110 12.5.5)."""
    if response is Response.already_handled:
        response._headers = None  # shared by all: what hooks put there must not pile up
    elif request is not None and request._extras and hasattr(request.g, "_vary"):
        names = [name.strip() for name in response.headers.get("Vary", "").split(",") if name.strip()]
        for name in sorted(request.g._vary):
            if name.lower() not in [there.lower() for there in names]:
                names.append(name)
        if names:
            response.headers["Vary"] = ", ".join(names)
    return response
