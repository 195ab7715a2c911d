"""Registering hooks, error handlers and sub-applications. A board lets go of this module when it begins to serve."""

from .app import Microdot
from .pipeline import Route, begin, routes
from .http import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

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
    if hook in ("before", "after", "error") and not port.SERVER:
        # They look at requests and responses. A board loads what that takes now, while its heap is in one piece, and not
        # with a first request that comes when it no longer is.
        import microdot.headers
        import microdot.lazy
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
    if __debug__ and not isinstance(status_code_or_exception_class, (int, type)):
        from .methods import warn

        warn("errorhandler: neither a status, as a number, nor a class of exceptions; this one is never called")

    def decorated(f: "Callable[..., Any]") -> "Callable[..., Any]":
        app.error_handlers[status_code_or_exception_class] = f
        return f

    return decorated


def mount(app: Microdot, subapp: Microdot, url_prefix: str = "", local: bool = False) -> None:
    """Do what `Microdot.mount()` says."""
    if local:
        app.hooks  # those of the sub-application are looked at, also what it gets later
    if subapp._hooked:
        _merge(app, subapp, local)  # first, so that its route hooks see the mounted routes
    for route in routes(subapp):
        copy = Route(url_prefix + route.pattern, route.methods, route.handler, route.call)
        for name in route.__dict__:  # what extensions keep on a route goes with it
            if not hasattr(copy, name):
                setattr(copy, name, route.__dict__[name])
        copy.url_prefix = url_prefix + route.url_prefix
        copy.subapp = route.subapp or subapp
        copy.local_apps = (subapp,) + route.local_apps if local else route.local_apps
        app.add_route(copy.pattern, copy.methods, copy.handler, copy)


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


_METHODS: "dict[str, Callable[..., Any]]" = {
    "on": on,
    "install": install,
    "errorhandler": errorhandler,
    "mount": mount,
}


def attribute(app: Microdot, name: str) -> "Any":
    """Find an attribute or method that `Microdot` itself does not have; AttributeError when there is none."""
    if name in ("begin", "end", "finish"):
        return getattr(app, name)  # pipeline.py, which is loaded now, has put it there
    if name == "routes":
        return routes(app)
    if name == "options_handler":
        # Extensions remember the default one, and nearly nobody calls it: what has it is loaded then.
        return lambda request: app.default_options_handler(request)
    if name in _METHODS:
        method = _METHODS[name]
        return lambda *args, **kwargs: method(app, *args, **kwargs)
    if name in _DECORATORS:
        return lambda f: on(app, _DECORATORS[name], f)
    if name in _LISTS:
        return app.hooks[_LISTS[name]]
    if name == "hooks" or name == "error_handlers":
        # The pipeline looks at all of them.
        app.hooks = {}
        for hook in _HOOKS:
            app.hooks[hook] = []
        app.error_handlers = {}
        app._hooked = True
        routes(app)
        return getattr(app, name)
    from .compat import attribute as further

    return further(app, name)
