"""Server-sent events (HTML living standard, section 9.2).

The body of the response is the `SSE` object itself. Its handler runs in a task of its own, which begins when the first
event is asked for: never for HEAD, where the server asks for nothing. Events that wait leave together, in one write.
"""

import json
from asyncio import CancelledError, Event, create_task, current_task, sleep

from .helpers import wraps
from .http import const

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
    #: Seconds of silence after which a comment is sent, so that proxies keep the connection and a dead one shows; 0: never.
    heartbeat: float = 15

    last_event_id: "str | None" = None
    closed = False
    _call: "Any" = None  # the handler and its arguments, until it is started
    _task: "Any" = None
    _beat: "Any" = None
    _error: "BaseException | None" = None
    _room: "Event | None" = None  # somebody waits for room in the queue
    _quiet = False  # nothing was sent since the last heartbeat

    def __init__(self) -> None:
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
        if not comment:
            if retry is not None:
                head = "retry: %d\n" % int(retry * 1000)
            if event:
                head += _field("event", event)
            if event_id is not None:
                head += _field("id", event_id)
        name = b": " if comment else b"data: "
        # 9.2.5: CR, LF and both together end a line.
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" in data:
            data = data.replace(b"\n", b"\n" + name)
        queue = self.queue
        while len(queue) >= self.max_queue and not self.closed:
            if self.policy == "wait":
                if self._room is None:
                    self._room = Event()
                await self._room.wait()
            elif self.policy == "oldest":
                queue.pop(0)
            elif self.policy == "latest":
                queue.clear()
            else:
                queue.clear()
                self._error = OSError(104)  # so that the connection is closed and does not end well
                await self.aclose()
                if current_task() is self._task:
                    raise CancelledError
        if not self.closed:
            queue.append(b"".join((head.encode(), name, data, b"\n\n")))
            self.event.set()

    async def _run(self) -> None:
        f, request, args, kwargs = self._call
        try:
            await f(request, self, *args, **kwargs)
        except CancelledError:
            pass
        except Exception as exc:
            self._error = exc
        self._end()

    def _end(self) -> None:
        self.closed = True
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        self.event.set()
        self._taken()

    def _taken(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    async def _keep(self) -> None:
        while True:
            await sleep(self.heartbeat)
            if self._quiet and not self.queue:
                self.queue.append(b":\n\n")
                self.event.set()
            self._quiet = True

    def __aiter__(self) -> "SSE":
        return self

    async def __anext__(self) -> bytes:
        if self._task is None:
            self._task = create_task(self._run())
            if self.heartbeat:
                self._beat = create_task(self._keep())
        queue = self.queue
        while not queue:
            if self.closed:
                error = self._error
                self._error = None
                if error is not None:
                    raise error
                raise StopAsyncIteration
            self.event.clear()
            await self.event.wait()
        data = queue[0] if len(queue) == 1 else b"".join(queue)
        queue.clear()
        self._quiet = False
        self._taken()
        return data

    async def aclose(self) -> None:
        """End the stream: the client has gone, and the handler is cancelled."""
        self._end()
        if self._task is not None and current_task() is not self._task:
            self._task.cancel()


def _field(name: str, value: "Any") -> str:
    value = str(value)
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError("sse: a line end in " + name)
    return "%s: %s\n" % (name, value)


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
    return _response(request, event_function, args, kwargs, {})


def _response(
    request: "Request", f: "Callable[..., Any]", args: "Any", kwargs: "Any", settings: "dict[str, Any]"
) -> "tuple[SSE, int, dict[str, str]]":
    sse = SSE()
    for name in settings:
        setattr(sse, name, settings[name])
    sse.last_event_id = request.headers.get("Last-Event-ID")
    sse._call = f, request, args, kwargs
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
        raise ValueError("sse: policy is wait, oldest, latest or close")

    def decorate(f: "Callable[..., Any]") -> "Callable[..., Any]":
        @wraps(f)
        async def wrapper(request: "Request", *args: "Any", **kwargs: "Any") -> "Any":
            return _response(request, f, args, kwargs, settings)

        return wrapper

    return decorate(f) if f else decorate
