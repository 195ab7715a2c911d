"""The application: routes, and `dispatch(request) → response`, the one seam that every host calls.

A program that has hooks, sub-applications or error handlers loads the modules for them when it registers them:
`hooks.py`. Others never pay for those.
"""

from .http import Request, Response, abort as abort, const, make_response, port as _port
from .server import Server

_port.collect()

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from typing import Any, NoReturn, TypeVar

    from .hooks import Extension
    from .pipeline import Route as Route

    F = TypeVar("F", bound=Callable[..., Any])
    E = TypeVar("E", bound=Extension)


class Microdot:
    """A web application.

    Settings are class attributes; assign them on the application. Times are in seconds, 0 turns one off.
    """

    #: Connections open at once; one more takes the place of the one that waited longest, or is answered 503.
    max_connections = 8
    #: Time for a complete request head.
    head_timeout: float = 10
    #: Time without a byte of a request body.
    body_timeout: float = 10
    #: Time in which the peer takes nothing of a response.
    write_timeout: float = 10
    #: Time between requests on one connection; 0 closes after each response.
    idle_timeout: float = 3
    #: Time that running requests get at shutdown.
    stop_timeout: float = 3

    debug = False
    #: The server that runs or ran last.
    server: "Server | None" = None
    # Whether there is anything but routes: hooks, error handlers, local sub-applications.
    _hooked = False

    if TYPE_CHECKING:
        ssl: Any
        #: On CircuitPython the `socketpool.SocketPool` to serve from; by default the one of the board's radio.
        pool: Any
        before_request_handlers: list[Callable[..., Any]]
        after_request_handlers: list[Callable[..., Any]]
        after_error_request_handlers: list[Callable[..., Any]]
        error_handlers: dict[Any, Callable[..., Any]]
        #: Returns the headers of the answer to OPTIONS; None makes OPTIONS a method like any other.
        options_handler: Callable[[Request], dict[str, str]] | None
        url_map: list[Any]
        #: All routes in the order of registration.
        routes: list[Route]
        hooks: dict[str, list[Any]]

        def put(self, url_pattern: str) -> Callable[[F], F]:
            """Register the decorated function for PUT."""

        def patch(self, url_pattern: str) -> Callable[[F], F]:
            """Register the decorated function for PATCH."""

        def delete(self, url_pattern: str) -> Callable[[F], F]:
            """Register the decorated function for DELETE."""

        def query(self, url_pattern: str) -> Callable[[F], F]:
            """Register the decorated function for QUERY, the safe method with a body."""

        def before_request(self, f: F) -> F:
            """Register `f(request)` to run before the handlers; a truthy result answers instead."""

        def after_request(self, f: F) -> F:
            """Register `f(request, response)` to run after the handlers; a truthy result replaces the response."""

        def after_error_request(self, f: F) -> F:
            """Register `f(request, response)` for error responses; the request is None when it could not be read."""

        def errorhandler(self, status_code_or_exception_class: int | type[Exception]) -> Callable[[F], F]:
            """Register the decorated function for a status, `f(request)`, or an exception class, `f(request, exc)`."""

        def on(self, hook: str, f: F) -> F:
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

        def install(self, extension: E) -> E:
            """Set an extension up on this application by calling its `setup(app)`; returns the extension."""

        def mount(self, subapp: "Microdot", url_prefix: str = "", local: bool = False) -> None:
            """Add the routes of another application.

            Args:
                subapp: the application; routes that it gets later are not seen.
                url_prefix: what its patterns are prefixed with, such as `/admin`.
                local: whether its before, after and error handlers and hooks stay with its own routes.
            """

        def url_for(self, handler: Callable[..., Any] | str, **args: Any) -> str:
            """Return the path that leads to a handler.

            Args:
                handler: the function, or its name where the runtime knows names.
                args: the arguments of the path; others make the query string.

            Raises:
                ValueError: no route has that handler, or an argument of its path is missing.
            """

        def finish(self, request: Request | None, response: Response | None, exception: BaseException | None) -> None:
            """Tell the `done` hooks that a request is over; hosts call it once, after the last byte.

            Args:
                request: None when it could not be read.
                response: None when there was none.
                exception: what ended the request early, or None.
            """

        async def begin(self) -> None:
            """Run the `start` hooks; hosts call it before the first request.

            Raises:
                Exception: what a hook raised, after those that had started were stopped, last first.
            """

        async def end(self) -> None:
            """Run the `stop` hooks, last first; what one raises is printed, and the others run."""

        async def dispatch_request(self, req: Request | None) -> Response:
            """Answer a request: the name that existing programs know `dispatch()` by."""

        def shutdown(self) -> None:
            """Stop serving: running requests finish, then `run()` returns. May be called from any thread and any handler."""

        @staticmethod
        def abort(status_code: int, reason: str | None = None, headers: Mapping[str, str] | None = None) -> NoReturn:
            """End the request with an error response: the function `abort()`."""

    def __init__(self) -> None:
        # Four items for each route, in the order of registration: its path, or what segments.py has made of its pattern; its
        # methods; its handler; and what calls that: in an application with hooks, or where somebody asked for it, a `Route`.
        self._table: "list[Any]" = []
        # The servers that run.
        self._servers: "list[Server]" = []

    def __getattr__(self, name: str) -> "Any":
        from .methods import attribute

        return attribute(self, name)

    def route(self, url_pattern: str, methods: "Sequence[str] | None" = None) -> "Callable[[F], F]":
        """Register the decorated function for a URL.

        Args:
            url_pattern: such as `/users/<int:id>`; types are `string` (default), `int`, `path`, `re:EXPRESSION` and
                registered ones.
            methods: a list of them, or one; by default `["GET"]`, which answers HEAD too.

        Raises:
            ValueError: the pattern is malformed.
            TypeError: what is decorated cannot be called.
        """

        if __debug__ and callable(url_pattern):  # what the compiled files of boards leave out
            from .methods import warn

            warn("a route needs a path: @app.get('/') with parentheses")
        if not len(self._table) & 15:
            # Registering leaves garbage between what stays, which cuts a heap to pieces; each time would take large heaps long.
            _port.collect()
        if methods:
            # Requests may have bodies then. A board loads the module now, while its heap is still in one piece; in an
            # application without such routes only strangers ask for it, and it does not stay.
            from .body import load as load

        def add(f: "F") -> "F":
            if not callable(f):
                from .methods import not_callable

                not_callable(url_pattern)
            names = (methods if isinstance(methods, str) else " ".join(methods)).upper() if methods else "GET"
            self.add_route(url_pattern, tuple(names.split()), f, _port.caller(f))
            return f

        return add

    def get(self, url_pattern: str) -> "Callable[[F], F]":
        """Register the decorated function for GET (and HEAD)."""
        return self.route(url_pattern)

    def post(self, url_pattern: str) -> "Callable[[F], F]":
        """Register the decorated function for POST."""
        return self.route(url_pattern, ["POST"])

    def add_route(self, pattern: str, methods: "Sequence[str]", handler: "Callable[..., Any]", call: "Any") -> None:
        """Add a route behind all others, and show it to the `route` hooks.

        Args:
            pattern: the URL pattern.
            methods: the methods in upper case.
            handler: what was registered.
            call: calls it; what it returns is to be awaited when it has the method `throw`.
        """
        path: "Any" = pattern
        if "/<" in pattern or not pattern.startswith("/") or pattern.startswith("//"):
            from .segments import parse

            path = parse(pattern)
        self._table += [path, methods, handler, call]
        if self._hooked:
            from .pipeline import show

            show(self)

    def find(self, path: str, method: str) -> "tuple[Any, Any, dict[str, Any]] | None":
        """Return handler, what calls it and arguments of the first route registered that matches path and method, or None."""
        table = self._table
        for i in range(0, len(table), 4):
            if table[i] == path and method in table[i + 1]:
                return table[i + 2], table[i + 3], {}
        return None  # segments.py puts another one in place of this, and CPython one with an index

    async def dispatch(self, request: "Request | None", exc: "Exception | None" = None) -> Response:
        """Answer a request; every host calls this, and then `finish()` when the response is out.

        Args:
            request: the request, None when it could not be read.
            exc: why it could not; else None.

        Returns:
            the response, whatever the application raises.
        """
        try:
            if request is None:
                raise exc  # type: ignore[misc]  # given then
            if self._hooked:
                from microdot.hooks import run

                response = await run(self, request)
            else:
                if request.pending or request.body:
                    from microdot.body import load  # not relative: that costs CPython ten times as much per call

                    await load(request)
                found = self.find(request.path, request.method)
                if found is None or request.method == "OPTIONS":
                    _port.collect()
                    from .errors import find

                    found = find(self, request)
                request.route, call, request.url_args = found
                result = call(request, **request.url_args)
                if hasattr(result, "throw"):  # on a board a handler that is not async may have answered already
                    result = await result
                response = make_response(result)
                if request._extras:
                    from microdot.hooks import after

                    response = await after(self, request, response)
            response.is_head = request.method == "HEAD"
            return response
        except Exception as exc:
            _port.collect()  # what is loaded in pieces finds places between others only when these are known
            from .errors import fail

            return await fail(self, request, exc)

    def start_server(
        self, host: str = "0.0.0.0", port: int = 5000, debug: bool = False, ssl: "Any" = None, start_serving: bool = True
    ) -> "Coroutine[Any, Any, Any]":
        """Serve until `shutdown()` is called.

        Args:
            host: the address to listen on.
            port: the port; 0 chooses a free one.
            debug: whether to print a line per request.
            ssl: an `ssl.SSLContext` (on a board `tls.SSLContext`) for HTTPS.
            start_serving: with False, on CPython, return the bound `asyncio.Server` at once; call its `serve_forever()`.

        Returns:
            a coroutine: await it, or make it a task.

        Raises:
            OSError: the address cannot be bound.
        """
        self.ssl = ssl
        self.debug = debug
        self.server = Server(self)
        return self.server.run(host, port, ssl, start_serving)

    def run(self, host: str = "0.0.0.0", port: int = 5000, debug: bool = False, ssl: "Any" = None) -> None:
        """Serve until `shutdown()` is called, in an event loop of its own; the arguments are those of `start_server()`."""
        _port.run(self.start_server(host, port, debug, ssl), self)


Microdot.abort = staticmethod(abort)  # type: ignore[method-assign]

if _port.SERVER:
    _port.tune(globals())  # larger limits
