"""A small heap and a poller that may run out of it: `scarce.py PORT [hooks] [handlers]`. For MicroPython.

`/modules` names what is loaded; after `/deaf?n=N` the next N sockets cannot be registered with the poller.
"""

import asyncio
import gc
import sys
from asyncio import core

from microdot import Microdot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from microdot import Request

app = Microdot()
app.head_timeout = app.body_timeout = app.write_timeout = 1
deaf = 0


class Poller:
    """The poller of the loop, which fails when it is told to."""

    def __init__(self, poller: "Any") -> None:
        self.poller = poller

    def register(self, *args: "Any") -> "Any":
        global deaf
        if deaf:
            deaf -= 1
            raise MemoryError
        return self.poller.register(*args)

    def __getattr__(self, name: str) -> "Any":
        return getattr(self.poller, name)


@app.get("/text")
async def text(request: "Request") -> str:
    return "hello"


@app.get("/deaf")
async def make_deaf(request: "Request") -> str:
    global deaf
    deaf = int(request.args["n"])
    return "deaf"


@app.get("/modules")
async def modules(request: "Request") -> str:
    gc.collect()
    return " ".join([name for name in sys.modules if name[:9] == "microdot."])


@app.post("/echo")
async def echo(request: "Request") -> str:
    return str(len(request.body))


@app.get("/big")
async def big(request: "Request") -> bytes:
    return b"y" * 6000


@app.get("/item/<int:i>")
async def item(request: "Request", i: int) -> "Any":
    return {"i": i, "q": request.args.get("q")}


if "hooks" in sys.argv:

    @app.after_request
    async def after(request: "Request", response: "Any") -> None:
        pass

    local = Microdot()

    @local.get("/fails")
    async def fails(request: "Request") -> None:
        raise ValueError("as it should")

    app.mount(local, "/local", local=True)

if "handlers" in sys.argv:

    @app.errorhandler(404)
    async def not_found(request: "Request") -> "Any":
        return "not found", 404


async def main() -> None:
    """Serve with that poller."""
    io: "Any" = core._io_queue
    io.poller = Poller(io.poller)
    await app.start_server("127.0.0.1", int(sys.argv[1]))


asyncio.run(main())
