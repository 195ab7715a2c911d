"""What the tests with independent clients talk to: `websocket_app.py PORT` on CPython and on MicroPython, or under uvicorn."""

import asyncio
import sys

from microdot import Request
from microdot.sse import SSE, with_sse
from microdot.websocket import WebSocket, with_websocket

if __name__ == "__main__":
    from microdot import Microdot
else:
    from microdot.asgi import Microdot

app = Microdot()
app.max_connections = 120
open_handlers = 0


@app.get("/")
async def index(request: Request) -> "tuple[str, dict[str, str]]":
    return "<!doctype html><title>test</title>", {"Content-Type": "text/html"}


@app.get("/echo")
@with_websocket(max_message_length=0, protocols=("chat",))
async def echo(request: Request, ws: WebSocket) -> None:
    global open_handlers
    open_handlers += 1
    try:
        async for message in ws:
            await ws.send(message)
    finally:
        open_handlers -= 1


@app.get("/small")
@with_websocket(max_message_length=1000)
async def small(request: Request, ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@app.get("/parts")
@with_websocket
async def parts(request: Request, ws: WebSocket) -> None:
    for i in range(3):
        await ws.send("part %d;" % i, more=i < 2)
    await ws.send(b"x", ws.PING)
    await ws.send(b"", more=True)
    await ws.send(b"\x00\xff")
    await ws.close(4001, "enough")


@app.get("/ping")
@with_websocket(ping_interval=1, ping_timeout=1)
async def ping(request: Request, ws: WebSocket) -> None:
    await asyncio.sleep(2.5)
    await ws.send("still here")


@app.get("/fail")
@with_websocket
async def fail(request: Request, ws: WebSocket) -> None:
    raise ValueError("on purpose")


@app.get("/open")
async def count(request: Request) -> str:
    return str(open_handlers)


@app.get("/events")
@with_sse
async def events(request: Request, sse: SSE) -> None:
    if sse.last_event_id is None:
        await sse.send("first\nsecond line", event_id="1", retry=0.2)
        await sse.send({"n": 1}, event="data", event_id="2")
    else:
        await sse.send("after " + sse.last_event_id, event_id="3")
        await asyncio.sleep(10)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]))
