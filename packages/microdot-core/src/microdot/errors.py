"""What happens when no route matches, or when a handler raises: HEAD, OPTIONS, 404, 405, error handlers, the last resort."""

from .http import HTTPException, Response, const, make_response, port

port.seldom.add(__name__)  # first of all: a load that fails leaves something behind, too

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .app import Microdot
    from .http import Request


class BadRequest(ValueError):
    """Data of a client that cannot be read: answered 400, and a ValueError for programs that catch those."""

    status_code = 400
    reason = "Bad request"
    # Tells it from exceptions of programs and their libraries, whose attributes of these names mean something else.
    is_answer = True


def find(app: "Microdot", request: "Request") -> "tuple[Any, Any, dict[str, Any]]":
    """Find what answers a request that no route has matched with its method; the result is that of `Microdot.find()`.

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
            return options(app, request, own)
        found = app.find(request.path, method)
        if found is not None:
            return found
    routes = matching(app, request.path)
    if not routes:
        raise HTTPException(404, "Not found")
    # The sub-app of the path is the one whose 405 handler is asked.
    route = app._table[routes[-1] + 3]
    if hasattr(route, "local_apps"):
        route.lead(request)
    if _is_plain(app, request):
        refusal = HTTPException(405, "Not found")
        refusal._allow = allowed(app, routes)  # type: ignore[attr-defined]
        raise refusal
    raise HTTPException(405, "Not found", {"Allow": allowed(app, routes)})


def matching(app: "Microdot", path: str) -> "list[int]":
    """Return the places in the table of all routes that match a path, whatever their methods."""
    found = []
    for i in range(0, len(app._table), 4):
        pattern = app._table[i]
        if isinstance(pattern, tuple):
            from .segments import match

            if match(pattern, path) is not None:
                pattern = path
        if pattern == path:
            found.append(i)
    return found


def allowed(app: "Microdot", routes: "list[int]") -> str:
    """Return the value of an Allow header (RFC 9110 10.2.1) for the routes at these places of the table."""
    methods: "list[str]" = []
    for i in routes:
        methods += [method for method in app._table[i + 1] if method not in methods]
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


def options(app: "Microdot", request: "Request", own: bool) -> "tuple[Any, Any, dict[str, Any]]":
    """Make what answers OPTIONS for the path of a request, by the handler of the program or by the default."""
    routes = matching(app, request.path)

    async def answer(request: "Request") -> Response:
        if not own and _is_plain(app, request):
            return _allowing(b"", 200, allowed(app, routes))
        return Response(b"", 200, app.options_handler(request) if own else {"Allow": allowed(app, routes)})  # type: ignore[misc]

    if not app._hooked:
        return answer, answer, {}
    from .pipeline import Route

    route = Route("", ("OPTIONS",), answer, answer)
    if routes:
        first = app._table[routes[0] + 3]
        route.subapp = first.subapp
        route.local_apps = first.local_apps
        route.url_prefix = first.url_prefix
    return answer, route, {}


async def fail(app: "Microdot", request: "Request | None", exc: Exception) -> Response:
    """Make the response for an exception, through error handlers and error hooks; raises nothing but MemoryError."""
    if request is not None and "fail" in request.__dict__:
        # A package that has taken the connection over says there what becomes of it.
        result: "Response | Exception" = await request.fail(request, exc)
        if isinstance(result, Response):
            return result
    try:
        response = make_response(await _answer(app, request, exc))
        # A library's exception may have those of an upstream server.
        headers = isinstance(exc, HTTPException) and exc.headers or {}
        for name in headers:
            response.headers.setdefault(name, headers[name])
    except MemoryError:
        raise
    except Exception as another:
        port.print_exception(another)
        response = Response("Internal server error", 500)
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
