"""The application: routes, hooks, and `dispatch(request) → response`, the one seam that every host calls."""

from .head import HTTPException
from .response import Response, make_response
from .routing import Route, Routes
from .runtime import const, port as _port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, TypeVar

    from .hooks import Extension
    from .request import Request
    from .server import Server

    F = TypeVar("F", bound=Callable[..., Any])
    E = TypeVar("E", bound=Extension)


class Microdot:
    """A web application.

    Settings are class attributes; assign them on the application. Times are in seconds, 0 turns one off.
    """

    #: Connections open at once; one more takes the place of the one that waited longest, or is answered 503.
    max_connections = _port.MAX_CONNECTIONS
    #: Time for a complete request head.
    head_timeout: float = _port.HEAD_TIMEOUT
    #: Time without a byte of a request body.
    body_timeout: float = _port.BODY_TIMEOUT
    #: Time in which the peer takes nothing of a response.
    write_timeout: float = _port.WRITE_TIMEOUT
    #: Time between requests on one connection; 0 closes after each response.
    idle_timeout: float = _port.IDLE_TIMEOUT
    #: Time that running requests get at shutdown.
    stop_timeout: float = _port.STOP_TIMEOUT

    debug = False
    ssl: "Any" = False
    #: The running server, None before the first start.
    server: "Server | None" = None

    # Most applications have none of these, so the lists are shared and empty until somebody registers.
    start_handlers: "tuple[Callable[..., Any], ...]" = ()
    stop_handlers: "tuple[tuple[int, Callable[..., Any]], ...]" = ()
    route_handlers: "tuple[Callable[..., Any], ...]" = ()
    admit_handlers: "tuple[Callable[..., Any], ...]" = ()
    preflight_handlers: "tuple[Callable[..., Any], ...]" = ()
    done_handlers: "tuple[Callable[..., Any], ...]" = ()

    def __init__(self) -> None:
        self._routes = Routes()
        self._servers: "list[Server]" = []
        self.before_request_handlers: "list[Callable[..., Any]]" = []
        self.after_request_handlers: "list[Callable[..., Any]]" = []
        self.after_error_request_handlers: "list[Callable[..., Any]]" = []
        self.error_handlers: "dict[Any, Callable[..., Any]]" = {}

    # Registration

    def route(self, url_pattern: str, methods: "list[str] | None" = None) -> "Callable[[F], F]":
        """Register the decorated function for a URL.

        Args:
            url_pattern: such as `/users/<int:id>`; types are `string` (default), `int`, `path`, `re:EXPRESSION` and
                registered ones.
            methods: by default `["GET"]`, which answers HEAD too.

        Raises:
            ValueError: the pattern is malformed.
        """

        def decorated(f: "F") -> "F":
            self._add_route(Route(url_pattern, f, tuple([m.upper() for m in methods or ("GET",)])))
            return f

        return decorated

    def _add_route(self, route: Route) -> None:
        self._routes.add(route)
        for f in self.route_handlers:
            f(route)

    def get(self, url_pattern: str) -> "Callable[[F], F]":
        """Register the decorated function for GET (and HEAD)."""
        return self.route(url_pattern)

    def post(self, url_pattern: str) -> "Callable[[F], F]":
        """Register the decorated function for POST."""
        return self.route(url_pattern, ["POST"])

    def put(self, url_pattern: str) -> "Callable[[F], F]":
        """Register the decorated function for PUT."""
        return self.route(url_pattern, ["PUT"])

    def patch(self, url_pattern: str) -> "Callable[[F], F]":
        """Register the decorated function for PATCH."""
        return self.route(url_pattern, ["PATCH"])

    def delete(self, url_pattern: str) -> "Callable[[F], F]":
        """Register the decorated function for DELETE."""
        return self.route(url_pattern, ["DELETE"])

    def query(self, url_pattern: str) -> "Callable[[F], F]":
        """Register the decorated function for QUERY, the safe method with a body."""
        return self.route(url_pattern, ["QUERY"])

    def before_request(self, f: "F") -> "F":
        """Register `f(request)` to run before the handlers; a truthy result answers instead."""
        self.before_request_handlers.append(f)
        return f

    def after_request(self, f: "F") -> "F":
        """Register `f(request, response)` to run after the handlers; a truthy result replaces the response."""
        self.after_request_handlers.append(f)
        return f

    def after_error_request(self, f: "F") -> "F":
        """Register `f(request, response)` for error responses; the request is None when it could not be read."""
        self.after_error_request_handlers.append(f)
        return f

    def errorhandler(self, status_code_or_exception_class: "int | type[Exception]") -> "Callable[[F], F]":
        """Register the decorated function for a status, `f(request)`, or an exception class, `f(request, exception)`."""

        def decorated(f: "F") -> "F":
            self.error_handlers[status_code_or_exception_class] = f
            return f

        return decorated

    def on(self, hook: str, f: "F") -> "F":
        """Register `f` for a hook: start, stop, route, admit, before, after, error, options or done.

        Args:
            hook: the name; docs/writing-extensions.md says when each is called and with what.
            f: the function.

        Returns:
            `f`.

        Raises:
            ValueError: there is no such hook.
            TypeError: `f` cannot be called, or not in the way that the hook is.
        """
        from .hooks import register

        register(self, hook, f)
        return f

    def install(self, extension: "E") -> "E":
        """Set an extension up on this application, which is to call its `setup(app)`; returns the extension."""
        extension.setup(self)
        return extension

    def mount(self, subapp: "Microdot", url_prefix: str = "", local: bool = False) -> None:
        """Add the routes of another application.

        Args:
            subapp: the application; routes that it gets later are not seen.
            url_prefix: what its patterns are prefixed with, such as `/admin`.
            local: whether its before, after and error handlers and hooks stay with its own routes.
        """
        from .patterns import mount

        mount(self, subapp, url_prefix, local)

    def url_for(self, handler: "Callable[..., Any] | str", **args: "Any") -> str:
        """Return the path that leads to a handler.

        Args:
            handler: the function, or its name where the runtime knows names.
            args: the arguments of the path; others make the query string.

        Raises:
            ValueError: no route has that handler, or an argument of its path is missing.
        """
        from .patterns import url_for

        return url_for(self, handler, args)

    @staticmethod
    def abort(status_code: int, reason: "str | None" = None) -> "NoReturn":
        """End the request with an error response.

        Args:
            status_code: the HTTP status.
            reason: the body, by default `"<status> error"`.
        """
        raise HTTPException(status_code, reason)

    # The seam

    async def dispatch(self, request: "Request | None", problem: "HTTPException | None" = None) -> Response:
        """Answer a request; every host calls this, and then `finish()` when the response is out.

        Args:
            request: the request, None when it could not be read.
            problem: why it could not.

        Returns:
            the response, whatever the application raises.
        """
        try:
            if request is None:
                raise problem or HTTPException(400, "Bad request")
            found = None
            if request.method != "OPTIONS":
                found = self._routes.find(request.path, request.method)
            if found is None:
                from .errors import find_else

                found = find_else(self, request)
            route, args = found
            result = None
            if route is not None:
                request.matched = route
                request.route = route.handler
                request.url_args = args
                if route.subapp is not None:
                    request.subapp = route.subapp
                    request.url_prefix = route.url_prefix
            handlers = self.admit_handlers
            if route is not None and route.local_apps:
                handlers = self._chain(request, "admit_handlers", False)
            for f in handlers:
                result = f(request, route)
                if _port.iscoroutine(result):
                    result = await result
                if result:
                    break
            if not result:
                if request.pending is not None or request._body:
                    from .body import load

                    await load(request, route is not None)
                if route is None:  # an answer without a handler, or the reason why there is none
                    if isinstance(args, Exception):
                        raise args
                    result = args
                elif request.timeout:
                    from .errors import within

                    result = await within(self._handle(request, route, args), request.timeout)
                elif self.before_request_handlers or route.local_apps:
                    result = await self._handle(request, route, args)
                elif route.is_async:
                    result = await route.handler(request, **args)
                else:
                    result = await _port.call(route.handler, request, **args)
            response = result if isinstance(result, Response) else make_response(result)
            if self.after_request_handlers or route is not None and route.local_apps:
                response = await self._after(request, response, self._chain(request, "after_request_handlers", True))
            if request._after is not None:
                response = await self._after(request, response, request._after)
        except Exception as exc:
            from .errors import fail

            response = await fail(self, request, exc)
        if response is Response.already_handled:
            response._headers = None  # shared by all: what hooks put there must not pile up
        elif request is not None:
            response.is_head = request.method == "HEAD"
            if request._g is not None and hasattr(request._g, "_vary"):
                from .errors import merge_vary

                merge_vary(request, response)
        return response

    async def dispatch_request(self, req: "Request | None") -> Response:
        """Answer a request: the name that existing programs know `dispatch()` by."""
        return await self.dispatch(req)

    async def _handle(self, request: "Request", route: Route, args: "dict[str, Any]") -> "Any":
        for f in self._chain(request, "before_request_handlers", False):
            result = await invoke(f, request)
            if result:
                return result
        return await invoke(route.handler, request, **args)

    async def _after(self, request: "Request | None", response: Response, handlers: "list[Callable[..., Any]]") -> Response:
        # Handlers may register more of these while they run; a list is walked to its present end.
        for f in handlers:
            result = await invoke(f, request, response)
            if result:
                response = result if isinstance(result, Response) else make_response(result)
        return response

    def _chain(self, request: "Request | None", name: str, inner_first: bool) -> "Any":
        """Collect the handlers of the app and of the local sub-apps that the route of the request lies in."""
        handlers = getattr(self, name)
        if request is not None and request.matched is not None:
            for app in request.matched.local_apps:
                own = getattr(app, name)
                handlers = own + handlers if inner_first else handlers + own
        return handlers

    def finish(self, request: "Request | None", response: "Response | None", exception: "BaseException | None") -> None:
        """Tell the `done` hooks that a request is over; hosts call it once, after the last byte.

        Args:
            request: None when it could not be read.
            response: None when there was none.
            exception: what ended the request early, or None.
        """
        for f in self._chain(request, "done_handlers", True):
            try:
                f(request, response, exception)
            except Exception as exc:
                _port.print_exception(exc)

    # The server

    async def begin(self) -> None:
        """Run the `start` hooks; hosts call it before the first request.

        Raises:
            Exception: what a hook raised, after those that had started were stopped, last first.
        """
        done = 0
        try:
            for f in self.start_handlers:
                await invoke(f, self)
                done += 1
        except BaseException:
            from .hooks import stop_started

            await stop_started(self, done)
            raise

    async def end(self) -> None:
        """Run the `stop` hooks, last first; what one raises is printed, and the others run."""
        if self.stop_handlers:
            from .hooks import stop_started

            await stop_started(self, len(self.start_handlers))

    async def start_server(
        self, host: str = "0.0.0.0", port: int = 5000, debug: bool = False, ssl: "Any" = None, start_serving: bool = True
    ) -> "Any":
        """Serve until `shutdown()` is called.

        Args:
            host: the address to listen on.
            port: the port; 0 chooses a free one on CPython.
            debug: whether to print a line per request.
            ssl: an `ssl.SSLContext` (on a board `tls.SSLContext`) for HTTPS.
            start_serving: with False, on CPython, return the bound `asyncio.Server` at once; call its `serve_forever()`.

        Raises:
            OSError: the address cannot be bound.
        """
        from .server import Server

        _port.check_install()
        self.ssl = ssl
        self.debug = debug
        server = Server(self)
        if not self._servers:
            await self.begin()
        self._servers.append(server)
        self.server = server
        try:
            await server.listen(host, port, ssl, start_serving)
            if debug:
                print("Starting async server on %s:%d..." % (host, port))
        except BaseException:
            await self._ended(server)
            raise
        if not start_serving:
            return _port.in_background(self._serve(server), server)
        await self._serve(server)

    async def _serve(self, server: "Server") -> None:
        try:
            await server.serve()
        finally:
            await self._ended(server)

    async def _ended(self, server: "Server") -> None:
        self._servers.remove(server)
        if not self._servers:
            await self.end()

    def run(self, host: str = "0.0.0.0", port: int = 5000, debug: bool = False, ssl: "Any" = None) -> None:
        """Serve until `shutdown()` is called, in an event loop of its own; the arguments are those of `start_server()`."""
        _port.run(lambda: self.start_server(host, port, debug, ssl), self.shutdown)

    def shutdown(self) -> None:
        """Stop serving: running requests finish, then `run()` returns. May be called from any thread and any handler."""
        for server in self._servers:
            server.listener.call(server.stop)

    if TYPE_CHECKING:
        options_handler: Callable[[Request], dict[str, str]] | None
        url_map: list[Any]

    def __getattr__(self, name: str) -> "Any":
        # Names that only existing programs use live in a module that others never load.
        from .compat import app_attribute

        return app_attribute(self, name)


async def invoke(f: "Callable[..., Any]", *args: "Any", **kwargs: "Any") -> "Any":
    """Call a handler, async or plain, with what it takes, and return its result."""
    if _port.is_async(f):
        return await f(*args, **kwargs)
    return await _port.call(f, *args, **kwargs)


def abort(status_code: int, reason: "str | None" = None) -> "NoReturn":
    """End the request with an error response: `Microdot.abort()`."""
    raise HTTPException(status_code, reason)
