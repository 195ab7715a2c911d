"""What follows a handler: functions that look at the response, what it varies with, cookies.

Loaded for requests that have `g` or an after handler of their own, and with `pipeline.py` for all of an application that has hooks.
"""

from .http import Request, Response, const, make_response, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, Protocol

    from .app import Microdot

    #: The way of a request through an application that has hooks: `pipeline.py` puts it here.
    run: Callable[[Microdot, Request], Awaitable[Response]]

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


async def after(app: "Microdot", request: "Request", response: Response) -> Response:
    """Run the request's own after handlers, and say what the response varies with."""
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
    """Add the names in `request.g._vary` to the Vary header (RFC 9110 12.5.5), and the cookies of `replies.send_cookie()`."""
    if response is Response.already_handled:
        response._headers = None  # shared by all: what hooks put there must not pile up
    elif request is not None and request._extras:
        g = request.g
        if hasattr(g, "_vary"):
            names = response.headers.get("Vary", "")
            for name in sorted(g._vary):
                if name.lower() not in names.lower().replace(" ", "").split(","):
                    names += ", " + name if names else name
            if names:
                response.headers["Vary"] = names
        if hasattr(g, "_cookies"):
            lines = response.headers.get("Set-Cookie", [])
            if not isinstance(lines, list):  # a program's own
                lines = [lines]
            for line in g._cookies.values():
                lines += line
            if lines:
                response.headers["Set-Cookie"] = lines
    return response
