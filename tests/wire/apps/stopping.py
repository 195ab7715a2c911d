"""An application that is stopped and started again: `stopping.py PORT [rounds=N] [app.NAME=number ...]`.

It prints "run returned <round>" each time run() ends. Portable: CPython and MicroPython.
"""

import asyncio

from microdot import Microdot, Request
from support.app_settings import apply, arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

app = Microdot()
given = arguments()
apply(app, Request, given)


@app.get("/text")
async def text(request: "Request") -> str:
    return "hello"


@app.get("/slow")
async def slow(request: "Request") -> str:
    await asyncio.sleep(float(request.args.get("s", "1")))
    return "slow"


class Forever:
    """A stream that only a stop or a vanished client ends."""

    def __aiter__(self) -> "Forever":
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0.1)
        return b"tick"

    async def aclose(self) -> None:
        print("stream closed")


@app.get("/ticks")
async def ticks(request: "Request") -> "Any":
    return Forever()


@app.get("/shutdown")
async def shutdown(request: "Request") -> str:
    request.app.shutdown()
    return "stopping"


@app.get("/shutdown-sync")
def shutdown_sync(request: "Request") -> str:
    request.app.shutdown()
    return "stopping"


def started(app: "Any") -> None:
    print("started")


def stopped(app: "Any") -> None:
    print("stopped")


app.on("start", started)
app.on("stop", stopped)

for turn in range(int(given.get("rounds", "1"))):
    app.run("127.0.0.1", int(given["port"]))
    print("run returned", turn)
