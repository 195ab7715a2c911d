"""What CPython does its own way: an event that is a line of text takes few steps, and leaves at once when none is waiting."""

from asyncio import Event, Future, get_running_loop
from json import dumps
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from .sse import SSE

# Seconds in which the second of several events begins to wait for others, to leave in one packet with them.
_TOGETHER = 0.001


class Bell(Event):
    """An `asyncio.Event` that one task waits for at a time, as a rule: that one needs no queue of waiting ones."""

    _first: "Future[None] | None" = None

    def awaited(self) -> bool:
        """Tell whether a task waits, and will when others have run."""
        return self._first is not None and not self._first.done()

    async def wait(self) -> Literal[True]:
        """Wait until it is set."""
        if self._first is not None:
            return await super().wait()
        if not self.is_set():
            self._first = get_running_loop().create_future()
            try:
                await self._first
            finally:
                self._first = None
        return True

    def set(self) -> None:
        """Wake all that wait."""
        super().set()
        first = self._first
        if first is not None and not first.done():
            first.set_result(None)


def tune(cls: "type[SSE]") -> None:
    """Give the class the quicker ways."""
    slow = cls.send
    make = cls.__init__

    def __init__(self: Any) -> None:
        make(self)
        self.event = Bell()
        self._write_line = None
        self._written_at = 0.0

    def take_writer(self: Any, put: "Callable[[bytes], bool | None] | None") -> None:
        """Take what writes an event while the server waits for the next one; None: no more."""
        self._write_line = put

    async def send(
        self: Any,
        data: Any,
        event: "str | None" = None,
        event_id: Any = None,
        retry: "float | None" = None,
        comment: bool = False,
    ) -> None:
        if type(data) is dict or type(data) is list:
            data = dumps(data)
        queue = self.queue
        if (
            type(data) is not str
            or event is not None
            or event_id is not None
            or retry is not None
            or comment
            or "\n" in data
            or "\r" in data
            or len(queue) >= self.max_queue
        ):
            await slow(self, data, event, event_id, retry, comment)
        elif not self.closed:
            line = b"data: %b\n\n" % data.encode()
            if self._write_line is not None and not queue and self.event.awaited():
                now = monotonic()
                if now - self._written_at > _TOGETHER:
                    self._written_at = now
                    full = self._write_line(line)
                    if full is False:
                        return
                    if full:
                        line = b""  # the server is to wait until the client has taken some
            queue.append(line)
            self.event.set()

    send.__doc__ = slow.__doc__
    for f in (__init__, take_writer, send):
        setattr(cls, f.__name__, f)
