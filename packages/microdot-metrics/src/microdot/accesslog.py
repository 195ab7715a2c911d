"""The access log: one line per request, in the combined format of Apache or as JSON."""

import json
import time

from .http import const
from .outgoing import bytes_sent

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from . import Microdot, Request, Response
    from .app import Route

try:
    from ._metrics import CUT, ticks, write
except ImportError:  # a board
    from asyncio.core import ticks  # type: ignore[import-not-found, no-redef]

    write = None  # type: ignore[assignment]
    CUT = 60


class AccessLog:
    """A line for each request: `app.install(AccessLog())`.

    On CPython a line goes to `logging`, to the logger `microdot.access` at level INFO; on a board into a ring, which
    `path` makes readable over HTTP. Of what a client has sent the first 1000 characters are kept, on a board 60.

    Args:
        path: where the ring can be read. The default, None, is nowhere: it says who did what.
        form: `"combined"` or `"json"`. JSON has the time that a request took besides, in milliseconds.
        write: called with each line; False for the ring.
        size: how many lines the ring holds.

    Attributes:
        lines: the ring, the latest line last.
    """

    def __init__(
        self,
        path: "str | None" = None,
        form: str = "combined",
        write: "Callable[[str], object] | bool | None" = write,
        size: int = 16,
    ) -> None:
        self.lines: "list[str]" = []
        self._options = path, form, write, size

    def setup(self, app: "Microdot") -> None:
        """Log the requests of an application; one object may be set up on several."""
        app.on("admit", self.admit)
        app.on("done", self.done)
        if self._options[0]:
            app.get(self._options[0])(self.read)

    def admit(self, request: "Request", route: "Route | None") -> None:
        """Note when a request began: this is a hook."""
        request.ticks = ticks()  # type: ignore[attr-defined]

    async def read(self, request: "Request") -> "tuple[str, dict[str, str]]":
        """Answer with the ring: this is a handler."""
        # Plain text, whatever `Response.default_content_type` is: clients have written this.
        return "\n".join(self.lines), {"Content-Type": "text/plain"}

    def done(self, request: "Request | None", response: "Response | None", exc: "BaseException | None") -> None:
        """Write a line: this is a hook."""
        path, form, write, size = self._options
        t = time.gmtime()
        length = bytes_sent(request, response, exc)
        status = 101 if length is None else response.status_code if response else 0
        client = line = agent = referer = "-"
        took: "Any" = None
        if request:
            client = (request.client_addr or "-")[0][:CUT]
            get = request.headers.get
            agent = get("User-Agent", "-")[:CUT]
            referer = get("Referer", "-")[:CUT]
            line = "%s %s HTTP/%s" % (request.method[:CUT], request.url[:CUT], request.http_version[-3:])
            if hasattr(request, "ticks"):
                took = ticks() - request.ticks & 0x3FFFFFFF
        # JSON's quotes are Apache's, and nothing that a client sends gets out of them or begins a line of its own.
        if form == "json":
            text = json.dumps(
                {
                    "time": "%d-%02d-%02dT%02d:%02d:%02dZ" % t[:6],
                    "client": client,
                    "request": line,
                    "status": status,
                    "bytes": length,
                    "ms": took,
                    "referer": referer,
                    "agent": agent,
                }
            )
        else:
            month = "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * t[1] - 3 : 3 * t[1]]
            text = "%s - - [%02d/%s/%d:%02d:%02d:%02d +0000] %s %d %s %s %s" % (
                # An address from a proxy's header may be whatever its client wrote there.
                (json.dumps(client.split(" ")[0])[1:-1], t[2], month, t[0], t[3], t[4], t[5], json.dumps(line), status)
                + ("-" if length is None else length, json.dumps(referer), json.dumps(agent))
            )
        if write:
            write(text)  # type: ignore[operator]
        else:
            self.lines.append(text)
            if len(self.lines) > size:
                del self.lines[0]
