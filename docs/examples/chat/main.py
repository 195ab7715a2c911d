"""A chat over WebSocket, and a live reading as server-sent events, both fed from topics.

    python main.py [PORT [HOST]]

What is said goes to everybody; who joins gets what was said last. A browser that lost its connection comes back by itself,
and gets the readings that it missed.
"""

import asyncio
import gc
import sys
import time

from microdot import Microdot, Request, Response, send_file
from microdot.pubsub import PubSub
from microdot.sse import SSE, with_sse
from microdot.websocket import WebSocket, with_websocket

HERE = __file__.rpartition("/")[0] or "."

app = Microdot()
chat = PubSub(history=10)
readings = PubSub(history=10)


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


@app.get("/chat")
@with_websocket(max_message_length=2000)
async def room(request: Request, ws: WebSocket) -> None:
    """Tell everybody what one says; begin with what was said last."""
    name = request.args.get("name", "somebody")[:20]
    feed = asyncio.create_task(chat.feed(ws, "said", after=""))
    try:
        async for text in ws:
            if isinstance(text, str) and text:
                await chat.publish("said", {"name": name, "text": text})
    finally:
        feed.cancel()


@app.get("/readings")
@with_sse
async def live(request: Request, sse: SSE) -> None:
    """Send the readings; who is slow gets the newest only."""
    await readings.feed(sse, "*", policy="latest", size=1)


async def measure() -> None:
    """Publish a reading every second; on a board this would ask a sensor."""
    while True:
        free = gc.mem_free() if hasattr(gc, "mem_free") else int(time.time())
        await readings.publish("memory", {"free": free})
        await asyncio.sleep(1)


async def main(port: int = 5000, host: str = "0.0.0.0") -> None:
    """Measure and serve."""
    task = asyncio.create_task(measure())
    try:
        await app.start_server(host, port)
    finally:
        task.cancel()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    asyncio.run(main(port, sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0"))
