"""What happens when no route matches, or when a handler raises: HEAD, OPTIONS, 404, 405, error handlers, the last resort."""

from .app import Route
from .http import HTTPException, Response, const, make_response, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .app import Microdot
    from .http import Request


def find(app: "Microdot", request: "Request") -> "tuple[Any, dict[str, Any]]":
    """Find what answers a request that no route has matched with its method.

    Raises:
        HTTPException: 404 or 405.
    """
    method = request.method
    if method == "HEAD":
        found = app.find(request.path, "GET")
        if found is not None:
            return found
    if method == "OPTIONS":
        # The default one is not asked for by its name: compat.py has it, and a board would carry that from then on.
        own = "options_handler" in app.__dict__ or hasattr(type(app), "options_handler")
        if not own or app.options_handler:
            return options_route(app, request, own), {}
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
    if _is_plain(app, request):
        refusal = HTTPException(405, "Not found")
        refusal._allow = allowed(routes)  # type: ignore[attr-defined]
        raise refusal
    raise HTTPException(405, "Not found", {"Allow": allowed(routes)})


def matching(app: "Microdot", path: str) -> "list[Route]":
    """Return every route that matches a path, whatever its method, in the order of registration."""
    found = []
    for route in app.routes:
        if route.segments is not None:
            from .segments import match

            if match(route, path) is not None:
                found.append(route)
        elif route.literal == path:
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


class _Allowing(Response):
    """A board's answer with an Allow header and no other, which loads no modules for headers: strangers ask for it."""

    allow = ""

    def head(self, version: int, text: str, body: bytes = b"") -> bytes:
        return Response.head(self, version, "Allow: %s\r\n" % self.allow + text, body)


def _is_plain(app: "Microdot", request: "Request") -> bool:
    """Tell whether nobody looks at the headers of an answer."""
    return not port.SERVER and not app._hooked and hasattr(request.connection, "take_in")


def _allowing(body: "Any", status: int, allow: str) -> Response:
    response = _Allowing(body, status)
    response.allow = allow
    return response


def options_route(app: "Microdot", request: "Request", own: bool) -> Route:
    """Make a route that answers OPTIONS for the path of a request, by the handler of the program or by the default."""
    routes = matching(app, request.path)

    async def answer(request: "Request") -> Response:
        if not own and _is_plain(app, request):
            return _allowing(b"", 200, allowed(routes))
        return Response(b"", 200, app.options_handler(request) if own else {"Allow": allowed(routes)})  # type: ignore[misc]

    route = Route("", answer, ("OPTIONS",))
    if routes:
        route.subapp = routes[0].subapp
        route.local_apps = routes[0].local_apps
        route.url_prefix = routes[0].url_prefix
    return route


async def fail(app: "Microdot", request: "Request | None", exc: Exception) -> Response:
    """Make the response for an exception, through error handlers and error hooks; raises nothing but MemoryError."""
    try:
        response = make_response(await _answer(app, request, exc))
    except MemoryError:
        raise
    except Exception as another:
        port.print_exception(another)
        response = Response("Internal server error", 500)
    headers = isinstance(exc, HTTPException) and exc.headers or {}  # a library's exception may have those of an upstream server
    for name in headers:
        response.headers.setdefault(name, headers[name])
    if app._hooked:
        from .handlers import after_error

        response = await after_error(app, request, response)
    elif request is not None and request._extras:
        from .hooks import vary

        response = vary(request, response)
    response.is_head = request is not None and request.method == "HEAD"
    return response


async def _answer(app: "Microdot", request: "Request | None", exc: "Any") -> "Any":
    if not is_answer(exc):
        port.print_exception(exc)
    if app._hooked:
        from .handlers import answer_error

        return await answer_error(app, request, exc)
    if hasattr(exc, "_allow"):
        return _allowing(exc.reason, exc.status_code, exc._allow)
    return text_of(exc)


def is_answer(exc: Exception) -> bool:
    """Tell whether an exception of the framework says what to answer; attributes of others' do not."""
    return isinstance(exc, HTTPException) or hasattr(exc, "is_answer")


def text_of(exc: "Any") -> "tuple[str, int]":
    """Return the body and the status of the answer to an exception that nobody handles."""
    if is_answer(exc):
        return exc.reason, exc.status_code
    return ("Out of memory", 503) if isinstance(exc, MemoryError) else ("Internal server error", 500)


port.seldom.append(__name__)
