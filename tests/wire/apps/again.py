"""A program at the prompt: run() is called again after Ctrl-C and after shutdown(): `again.py PORT`.

Portable: CPython and MicroPython. `/` tells how often start and stop hooks ran.
"""

import asyncio
import sys

from microdot import Microdot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Request

app = Microdot()
log: "list[str]" = []


async def started(app: "Microdot") -> None:
    log.append("start")


async def stopped(app: "Microdot") -> None:
    log.append("stop")


app.on("start", started)
app.on("stop", stopped)


@app.get("/")
async def root(request: "Request") -> str:
    return " ".join(log)


@app.get("/text")
async def text(request: "Request") -> str:
    return "hello"


@app.get("/slow")
async def slow(request: "Request") -> str:
    await asyncio.sleep(0.5)
    return "slow"


@app.get("/shutdown")
async def shutdown(request: "Request") -> str:
    app.shutdown()
    return "bye"


for _ in range(4):
    try:
        app.run("127.0.0.1", int(sys.argv[1]))
    except KeyboardInterrupt:
        log.append("interrupted")
