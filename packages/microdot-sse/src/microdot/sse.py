"""Server-sent events (HTML living standard, section 9.2).

The body of the response is the `SSE` object itself. Its handler runs in a task of its own, which begins when the first
event is asked for: never for HEAD, where the server asks for nothing. Events that wait leave together, in one write.
"""

import json
import sys
from asyncio import Event, create_task, sleep

import microdot.bodies

from .headers import check_value
from .http import const
from .wire import field

if sys.implementation.name not in ("micropython", "circuitpython"):  # functions of boards have no names to keep
    from functools import wraps

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .http import Request


class SSE:
    """A stream of events to one client.

    Settings are class attributes; assign them here for all streams, or give them to `with_sse()` for one route.

    Attributes:
        last_event_id: the id of the last event that the client saw before it lost the connection, or None.
        closed: the client has gone, or the handler has ended: what is sent is dropped.
        queue: events that wait for the connection to take them.
    """

    #: How many events may wait for a client that is slower than they come.
    max_queue = 32
    #: What then: "wait" in `send()`; drop the "oldest"; keep the "latest" only; "close" the stream, and the browser reconnects.
    policy = "wait"
    #: Seconds after which a comment is sent, so that proxies keep the connection and a dead one shows; 0: never.
    heartbeat: float = 15

    last_event_id: "str | None" = None
    closed = False
    _call: "Any"  # the handler and its arguments
    _tasks: "Any" = ()
    _error: "type[BaseException] | BaseException" = StopAsyncIteration  # how the stream ends

    def __init__(self) -> None:
        # Set when something has come into the queue, and when room has come: nobody waits for both.
        self.event = Event()
        self.queue: "list[bytes]" = []

    async def send(
        self,
        data: "Any",
        event: "str | None" = None,
        event_id: "Any" = None,
        retry: "float | None" = None,
        comment: bool = False,
    ) -> None:
        """Send an event.

        Args:
            data: str, bytes (UTF-8), dict or list (sent as JSON), or anything that str() makes text of; line ends of any
                kind arrive as line feeds.
            event: its type; browsers take it for `message` when there is none.
            event_id: what a browser sends as Last-Event-ID when it reconnects; `""` forgets it.
            retry: seconds after which a browser is to reconnect.
            comment: send the data as a comment, which browsers ignore, and nothing else.

        Raises:
            ValueError: the type or the id has a line end or a NUL, which would end the field.
        """
        if isinstance(data, (dict, list)):
            data = json.dumps(data)
        if not isinstance(data, bytes):
            data = str(data).encode()
        head = ""
        mark = b": "
        if not comment:
            mark = b"data: "
            if retry is not None:
                retry = int(retry * 1000)  # in milliseconds
            for name, value in (("retry", retry), ("event", event or None), ("id", event_id)):
                if value is not None:
                    check_value(str(value))
                    head += "%s: %s\n" % (name, value)
        # 9.2.5: CR, LF and both together end a line.
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\n" + mark)
        queue = self.queue
        while len(queue) >= self.max_queue and not self.closed:
            if self.policy == "wait":
                self.event.clear()
                await self.event.wait()
            elif self.policy == "oldest":
                queue.pop(0)
            else:
                queue.clear()
                if self.policy == "close":
                    self._error = OSError(104)  # so that the connection is closed and does not end well
                    # By another task, because it may be the handler that sends, and none can cancel itself.
                    create_task(self.aclose())
                    await sleep(0)
        if not self.closed:
            queue.append(head.encode() + mark + data + b"\n\n")
            self.event.set()

    async def _run(self) -> None:
        f, request, args, kwargs = self._call
        try:
            await f(request, self, *args, **kwargs)
        except Exception as exc:
            self._error = exc
        finally:
            self.server_stops()

    async def _beat(self) -> None:
        while self.heartbeat:
            await sleep(self.heartbeat)
            if not self.queue:
                self.queue.append(b":\n\n")
                self.event.set()

    def __aiter__(self) -> "SSE":
        return self

    async def __anext__(self) -> bytes:
        if not self._tasks:
            self._tasks = create_task(self._run()), create_task(self._beat())
        queue = self.queue
        while not queue:
            if self.closed:
                raise self._error
            self.event.clear()
            await self.event.wait()
        data = b"".join(queue)
        queue.clear()
        self.event.set()
        return data

    def server_stops(self) -> None:
        """End the stream: the handler has ended, or the server stops, and browsers come back when there is one again."""
        self.closed = True
        self.event.set()

    async def aclose(self) -> None:
        """End the stream; hosts call it at its end and when the client has gone, and the handler is cancelled."""
        self.closed = True
        for task in self._tasks:
            task.cancel()


def sse_response(
    request: "Request", event_function: "Callable[..., Any]", *args: "Any", **kwargs: "Any"
) -> "tuple[SSE, int, dict[str, str]]":
    """Return the response that streams the events of a function; return it from a route.

    Args:
        request: the request.
        event_function: `event_function(request, sse, *args, **kwargs)`, a coroutine function; the stream ends with it.
        args: more arguments for it.
        kwargs: and by name.
    """
    sse = SSE()
    sse._call = event_function, request, args, kwargs
    sse.last_event_id = field(request, "Last-Event-ID") or None
    return sse, 200, {"Content-Type": "text/event-stream"}


def with_sse(f: "Callable[..., Any] | None" = None, **settings: "Any") -> "Callable[..., Any]":
    """Make a route of `f(request, sse, **path_args)`; the stream ends when it returns.

        @app.get("/clock")
        @with_sse
        async def clock(request, sse):
            while True:
                await sse.send(time.time())
                await asyncio.sleep(1)

    The handler is cancelled when the client goes.

    Args:
        f: the handler, a coroutine function.
        settings: attributes of `SSE`, as in `@with_sse(policy="latest", max_queue=1)`.

    Raises:
        ValueError: there is no such policy.
    """
    if settings.get("policy", "wait") not in ("wait", "oldest", "latest", "close"):
        raise ValueError("policy")
    if not f:
        return lambda f: with_sse(f, **settings)

    # Its own names come by defaults: what is no closure is known to be async on boards, and called directly.
    async def wrapper(
        request: "Request", *args: "Any", _f: "Any" = f, _settings: "Any" = settings, **kwargs: "Any"
    ) -> "Any":
        response = sse_response(request, _f, *args, **kwargs)
        for name in _settings:
            setattr(response[0], name, _settings[name])
        return response

    if sys.implementation.name not in ("micropython", "circuitpython"):
        wrapper = wraps(f)(wrapper)
    return wrapper


if sys.implementation.name not in ("micropython", "circuitpython"):
    from ._sse_cpython import tune

    tune(SSE)
