"""Registration of hooks. docs/writing-extensions.md says when each is called; here it is checked that it can be."""

from .runtime import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from .app import Microdot

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


# hook: where its functions are kept, and with how many arguments they are called
_HOOKS = {
    "start": ("start_handlers", 1),
    "stop": ("stop_handlers", 1),
    "route": ("route_handlers", 1),
    "admit": ("admit_handlers", 2),
    "before": ("before_request_handlers", 1),
    "after": ("after_request_handlers", 2),
    "error": ("after_error_request_handlers", 2),
    "options": ("preflight_handlers", 1),
    "done": ("done_handlers", 3),
}


def register(app: "Microdot", hook: str, f: "Callable[..., Any]") -> None:
    """Do what `Microdot.on()` says."""
    if hook not in _HOOKS:
        raise ValueError("no hook '%s': use one of %s" % (hook, ", ".join(sorted(_HOOKS))))
    if not callable(f):
        raise TypeError("hook %s: give a function" % hook)
    name, count = _HOOKS[hook]
    try:
        port.check_call(f, count)
    except TypeError:
        raise TypeError("hook %s: it is called with %d positional arguments" % (hook, count))
    if hook in ("route", "options", "done") and port.is_async(f):
        raise TypeError("hook %s: give a plain function, nothing awaits it" % hook)
    entry: "Any" = f
    if hook == "stop":
        entry = (len(app.start_handlers), f)
    handlers = getattr(app, name)
    if isinstance(handlers, list):
        handlers.append(entry)
    else:
        setattr(app, name, handlers + (entry,))
    if hook == "route":
        for route in app._routes.all:
            f(route)


def merge(app: "Microdot", subapp: "Microdot", local: bool) -> None:
    """Move the hooks of a mounted sub-app to the app; with `local` only those that are not about single requests."""
    started = len(app.start_handlers)
    subapp.stop_handlers = tuple([(started + n, f) for n, f in subapp.stop_handlers])
    for hook in _HOOKS:
        if local and hook not in ("start", "stop"):
            continue
        name = _HOOKS[hook][0]
        own = getattr(subapp, name)
        if own:
            setattr(app, name, getattr(app, name) + own)
            setattr(subapp, name, [] if isinstance(own, list) else ())


async def stop_started(app: "Microdot", count: int) -> None:
    """Run the stop hooks that were registered when there were at most `count` start hooks, last first.

    After a failed start these belong to what has been started: an extension registers its start hook first.
    """
    from .app import invoke

    handlers = app.stop_handlers
    for i in range(len(handlers) - 1, -1, -1):
        starts, f = handlers[i]
        if starts <= count:
            try:
                await invoke(f, app)
            except Exception as exc:
                port.print_exception(exc)
