"""The way of a request through an application that has more than routes: hooks, error handlers, sub-applications.

Loaded when an application gets one of them. They are registered by `registry.py`; `handlers.py` answers errors.
"""

import sys

from .app import Microdot
from .hooks import after, replace
from .http import HTTPException, Request, Response, const, make_response, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


# Asked for with every request here, and without hooks of nearly none: so no defaults of the class in http.py.
Request.timeout = 0
Request.matched = None


class Route:
    """A registered route, as hooks see it; calling it calls the handler and tells the request where it is.

    Attributes:
        pattern: the URL pattern, a str.
        methods: the methods in upper case.
        handler: what was registered.
        call: calls it; what it returns is to be awaited when it has the method `throw`.
        url_prefix: where its sub-application is mounted, empty for the app's own.
        subapp: the innermost sub-application, or None.
        local_apps: the sub-applications mounted with `local=True` that it lies in, outer first.
    """

    url_prefix = ""
    subapp: "Microdot | None" = None
    local_apps: "tuple[Microdot, ...]" = ()

    def __init__(self, pattern: str, methods: "Sequence[str]", handler: "Callable[..., Any]", call: "Any") -> None:
        self.pattern = pattern
        self.methods = methods
        self.handler = handler
        self.call = call

    def __call__(self, request: "Request", **args: "Any") -> "Any":
        self.lead(request)
        return self.call(request, **args)

    def lead(self, request: "Request") -> None:
        """Tell a request that this is its route."""
        request.matched = self
        request.subapp = self.subapp
        request.url_prefix = self.url_prefix


def route_at(app: Microdot, i: int) -> Route:
    """Return the route at a place of an application's table, which has it from then on."""
    table = app._table
    route = table[i + 3]
    if not isinstance(route, Route):
        pattern = table[i]
        table[i + 3] = route = Route(pattern if isinstance(pattern, str) else pattern[0], *table[i + 1 : i + 4])
    return route


def routes(app: Microdot) -> "list[Route]":
    """Return all routes of an application."""
    return [route_at(app, i) for i in range(0, len(app._table), 4)]


def show(app: Microdot) -> None:
    """Show the route that was added last to the `route` hooks."""
    route = route_at(app, len(app._table) - 4)
    for f in app.hooks["route"]:
        f(route)


def chain(app: Microdot, request: "Request | None", hook: str) -> "list[Any]":
    """Return the functions of a hook of the app and of the local sub-apps that the route of the request lies in.

    `before`, `admit` and `options` run from the outside in, the others from the inside out.
    """
    functions = app.hooks[hook]
    if request is not None and request.matched is not None:
        for local in request.matched.local_apps:
            if local._hooked:  # looking at those of another would make them
                own = local.hooks[hook]
                functions = functions + own if hook in ("before", "admit", "options") else own + functions
    return functions


def finish(app: Microdot, request: "Request | None", response: "Response | None", exception: "BaseException | None") -> None:
    """Do what `Microdot.finish()` says."""
    if not app._hooked:
        return  # looking at app.hooks would make them, and the long way of a request with them
    for f in chain(app, request, "done"):
        try:
            f(request, response, exception)
        except Exception as exc:
            port.print_exception(exc)


async def begin(app: Microdot) -> None:
    """Do what `Microdot.begin()` says."""
    if not app._hooked:
        return
    done = 0
    try:
        for f in app.hooks["start"]:
            await port.call(f, app)
            done += 1
    except BaseException:
        await _stop(app, done)
        raise
    # Programs register before they serve: a board gets that heap back. Who does it later loads the module again.
    if not __debug__ and not port.SERVER and "microdot.registry" in sys.modules:
        del sys.modules["microdot.registry"]
        delattr(sys.modules["microdot"], "registry")


async def end(app: Microdot) -> None:
    """Do what `Microdot.end()` says."""
    if not app._hooked:
        return
    await _stop(app, len(app.hooks["start"]))


async def _stop(app: Microdot, started: int) -> None:
    for n, f in reversed(app.hooks["stop"]):
        if n <= started:
            try:
                await port.call(f, app)
            except Exception as exc:
                port.print_exception(exc)


# Asked for with every request: not found in `registry.py`, as what programs ask for once.
Microdot.begin = begin  # type: ignore[method-assign, assignment]
Microdot.end = end  # type: ignore[method-assign, assignment]
Microdot.finish = finish  # type: ignore[method-assign, assignment]


async def run(app: "Microdot", request: "Request") -> Response:
    """Answer a request of an application that has hooks.

    Raises:
        Exception: what a hook or the handler raised, or why there is no handler.
    """
    problem = None
    preflight = False
    found = None
    try:
        if request.method == "OPTIONS":
            # Loaded by who has the hooks that such a request is for, or for the Allow of the answer.
            get = request.headers.get
            preflight = bool(get("Origin") and get("Access-Control-Request-Method"))
        else:
            found = app.find(request.path, request.method)
        if found is None:
            from .errors import find

            found = find(app, request)
    except HTTPException as exc:
        problem = exc
    route: "Any" = None
    if found is not None:
        request.route, route, args = found
        request.url_args = args
        route.lead(request)
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
            result = route.call(request, **args)
            result = make_response(await result if hasattr(result, "throw") else result)
            for f in chain(app, request, "options"):
                for name, value in (f(request) or {}).items():
                    result.headers[name] = value
        elif request.timeout:
            import asyncio

            try:
                result = await asyncio.wait_for(_handle(app, request, route), request.timeout)
            except asyncio.TimeoutError:
                raise HTTPException(503, "Timed out")
        else:
            result = await _handle(app, request, route)
    response = await replace(chain(app, request, "after"), request, make_response(result))
    return await after(app, request, response)


async def _handle(app: "Microdot", request: "Request", route: "Route") -> "Any":
    for f in chain(app, request, "before"):
        result = await port.call(f, request)
        if result:
            return result
    result = route.call(request, **request.url_args)  # type: ignore[arg-type]  # a before hook may have set them
    return await result if hasattr(result, "throw") else result


sys.modules["microdot.hooks"].run = run  # type: ignore[attr-defined]  # where `app.py` asks for it
