"""A full server: who makes room, and what a newcomer is told. Small, because a full board has little heap to load it."""

from .http import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from .server import Server

_GRACE = const(1)  # ticks in which a new connection may send its head before another can take its place

# Ready made, because there may be no heap for it when it is needed.
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 4\r\nConnection: close\r\n\r\nBusy"


def make_room(server: "Server") -> "bool | None":
    """Tell whether a full server may open one more connection; None: not yet, ask again soon.

    The connection that has waited longest for a request makes room: silent clients cost nobody an answer.
    """
    oldest = None
    for connection in server.connections:
        if connection.since and (oldest is None or connection.since < oldest.since):
            oldest = connection
    if oldest is None:
        # All are at work. Who works for a client that has gone needs no place for it, and may do so for ever: a coroutine
        # that awaits what is none (`await request.json`) is never resumed on a board, and cannot be cancelled.
        for connection in list(server.connections):
            if not port.SERVER and not connection.buffer:
                connection.take_in()  # type: ignore[attr-defined]
            if connection.eof:
                connection.close()
                return None
        return False
    if server.tick - oldest.since >= _GRACE:
        oldest.expire(OSError(104, ""))  # first: it may fail for want of heap, and without `since` nobody would try again
        oldest.since = 0
    return None
