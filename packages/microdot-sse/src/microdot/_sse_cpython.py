"""What CPython does its own way: an event that is a line of text takes few steps, and to wait for one takes one future."""

from asyncio import Event, Future, get_running_loop
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .sse import SSE


class Bell(Event):
    """An `asyncio.Event` that one task waits for at a time, as a rule: that one needs no queue of waiting ones."""

    _first: "Future[None] | None" = None

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

    def __init__(self: "SSE") -> None:
        make(self)
        self.event = Bell()

    async def send(
        self: "SSE",
        data: Any,
        event: "str | None" = None,
        event_id: Any = None,
        retry: "float | None" = None,
        comment: bool = False,
    ) -> None:
        if (
            type(data) is str
            and event is None
            and event_id is None
            and retry is None
            and not comment
            and "\n" not in data
            and "\r" not in data
            and len(self.queue) < self.max_queue
        ):
            if not self.closed:
                self.queue.append(b"data: %b\n\n" % data.encode())
                self.event.set()
        else:
            await slow(self, data, event, event_id, retry, comment)

    send.__doc__ = slow.__doc__
    cls.send = send  # type: ignore[method-assign]
    cls.__init__ = __init__  # type: ignore[method-assign]
