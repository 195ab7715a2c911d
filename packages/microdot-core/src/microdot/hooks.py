"""What an application may have besides routes: hooks, error handlers, sub-applications; and the way of a request through it.

Loaded when an application gets one of them.
"""

from .app import Microdot, Route
from .errors import find, text_of
from .http import HTTPException, Request, Response, const, make_response, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Extension(Protocol):
        """Anything that `app.install()` takes."""

        def setup(self, app: Microdot) -> object:
            """Register hooks with `app.on()`; may be called for several applications."""

    class Channel(Protocol):
        """A connection that `request.upgrade()` handed over, when it carries bytes (`messages` is False)."""

        messages: bool

        async def read(self, n: int) -> bytes: ...

        async def write(self, data: bytes) -> None: ...

        async def close(self) -> None: ...

    class MessageChannel(Protocol):
        """The same where the host frames messages itself (`messages` is True)."""

        messages: bool

        async def receive(self) -> str | bytes | None: ...

        async def send(self, data: str | bytes) -> None: ...

        async def close(self, code: int = 1000, reason: str = "") -> None: ...


# Asked for with every request here, and without hooks of nearly none: so no defaults of the class in http.py.
Request.timeout = 0
Request.matched = None

# hook: with how many arguments it is called
_HOOKS = {
    "start": 1,
    "stop": 1,
    "route": 1,
    "admit": 2,
    "before": 1,
    "after": 2,
    "error": 2,
    "options": 1,
    "done": 3,
}
_LISTS = {
    "before_request_handlers": "before",
    "after_request_handlers": "after",
    "after_error_request_handlers": "error",
}
_DECORATORS = {"before_request": "before", "after_request": "after", "after_error_request": "error"}


def on(app: Microdot, hook: str, f: "Callable[..., Any]") -> "Callable[..., Any]":
    """Do what `Microdot.on()` says."""
    if hook not in _HOOKS:
        raise ValueError("no hook '%s': use one of %s" % (hook, ", ".join(sorted(_HOOKS))))
    if not callable(f):
        raise TypeError("hook %s: give a function" % hook)
    plain = hook in ("route", "options", "done")
    check = getattr(port, "check_hook", None)
    if check:
        check(hook, f, _HOOKS[hook], plain)
    elif plain and type(f) is type(begin):  # all that functions of boards tell is whether they are async
        raise TypeError("hook %s: give a plain function, nothing awaits it" % hook)
    hooks = app.hooks
    # A stop hook remembers how many start hooks there were: an extension registers its start hook first.
    hooks[hook].append((len(hooks["start"]), f) if hook == "stop" else f)
    if hook == "route":
        for route in app.routes:
            f(route)
    return f


def install(app: Microdot, extension: "Any") -> "Any":
    """Do what `Microdot.install()` says."""
    extension.setup(app)
    return extension


def errorhandler(app: Microdot, status_code_or_exception_class: "Any") -> "Callable[..., Any]":
    """Do what `Microdot.errorhandler()` says."""

    def decorated(f: "Callable[..., Any]") -> "Callable[..., Any]":
        app.error_handlers[status_code_or_exception_class] = f
        return f

    return decorated


def mount(app: Microdot, subapp: Microdot, url_prefix: str = "", local: bool = False) -> None:
    """Do what `Microdot.mount()` says."""
    if subapp._hooked:
        _merge(app, subapp, local)  # first, so that its route hooks see the mounted routes
    for route in list(subapp.routes):
        copy = Route(url_prefix + route.pattern, route.handler, route.methods)
        for name in route.__dict__:  # what extensions keep on a route goes with it
            if not hasattr(copy, name):
                setattr(copy, name, route.__dict__[name])
        copy.url_prefix = url_prefix + route.url_prefix
        copy.subapp = route.subapp or subapp
        copy.local_apps = (subapp,) + route.local_apps if local else route.local_apps
        copy.call = _within(copy)
        app.add_route(copy)


def _within(route: Route) -> "Callable[..., Any]":
    call = route.call

    def within(request: "Request", **args: "Any") -> "Any":
        request.matched = route
        request.subapp = route.subapp
        request.url_prefix = route.url_prefix
        return call(request, **args)

    return within


def _merge(app: Microdot, subapp: Microdot, local: bool) -> None:
    hooks = app.hooks
    started = len(hooks["start"])
    for hook in _HOOKS:
        if not local or hook in ("start", "stop"):
            own = subapp.hooks[hook]
            if hook == "stop":
                own[:] = [(started + n, f) for n, f in own]
            hooks[hook] += own
            own[:] = []
    if not local:
        app.error_handlers.update(subapp.error_handlers)
        subapp.error_handlers.clear()


def chain(app: Microdot, request: "Request | None", hook: str) -> "list[Any]":
    """Return the functions of a hook of the app and of the local sub-apps that the route of the request lies in.

    `before`, `admit` and `options` run from the outside in, the others from the inside out.
    """
    functions = app.hooks[hook]
    if request is not None and request.matched is not None:
        for local in request.matched.local_apps:
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


async def dispatch_request(app: Microdot, req: "Request | None") -> "Response":
    """Do what `Microdot.dispatch_request()` says."""
    return await Microdot.dispatch(app, req)  # the class's: that of an application may be what calls this


_METHODS: "dict[str, Callable[..., Any]]" = {
    "on": on,
    "install": install,
    "errorhandler": errorhandler,
    "mount": mount,
    "finish": finish,
    "begin": begin,
    "end": end,
    "dispatch_request": dispatch_request,
}


def attribute(app: Microdot, name: str) -> "Any":
    """Find an attribute or method that `Microdot` itself does not have; AttributeError when there is none."""
    if name in _METHODS:
        method = _METHODS[name]
        return lambda *args, **kwargs: method(app, *args, **kwargs)
    if name in _DECORATORS:
        return lambda f: on(app, _DECORATORS[name], f)
    if name in _LISTS:
        return app.hooks[_LISTS[name]]
    if name == "hooks":
        hooks: "dict[str, list[Any]]" = {}
        app.hooks = hooks
        for hook in _HOOKS:
            hooks[hook] = []
        app._hooked = True
        return hooks
    if name == "error_handlers":
        handlers: "dict[Any, Callable[..., Any]]" = {}
        app.error_handlers = handlers
        app.hooks  # the pipeline looks at all of them
        return handlers
    if name == "ssl":
        return False
    from .compat import attribute as further

    return further(app, name)


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
            preflight = "Origin" in request.headers and "Access-Control-Request-Method" in request.headers
        else:
            found = app.find(request.path, request.method)
        if found is None:
            found = find(app, request)
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
            result = route.call(request, **args)  # type: ignore[union-attr]
            result = make_response(await result if hasattr(result, "throw") else result)
            for f in chain(app, request, "options"):
                for name, value in (f(request) or {}).items():
                    result.headers[name] = value
        elif request.timeout:
            import asyncio

            try:
                result = await asyncio.wait_for(_handle(app, request, route), request.timeout)  # type: ignore[arg-type]
            except asyncio.TimeoutError:
                raise HTTPException(503, "Timed out")
        else:
            result = await _handle(app, request, route)  # type: ignore[arg-type]
    return await after(app, request, make_response(result))


async def _handle(app: "Microdot", request: "Request", route: "Route") -> "Any":
    for f in chain(app, request, "before"):
        result = await port.call(f, request)
        if result:
            return result
    result = route.call(request, **request.url_args)  # type: ignore[arg-type]  # a before hook may have set them
    return await result if hasattr(result, "throw") else result


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


def _handler(app: Microdot, request: "Request | None", key: "Any") -> "Any":
    for one in reversed(request.matched.local_apps if request is not None and request.matched is not None else ()):
        if key in one.error_handlers:
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
