"""A chat over WebSocket, and a live reading as server-sent events, both fed from topics.

    python main.py            on a computer: http://127.0.0.1:5000
    micropython main.py       the same on a board, with microdot-websocket, microdot-sse and microdot-pubsub

What is said goes to everybody; who joins gets what was said last. A browser that lost its connection comes back by itself,
and gets the readings that it missed.
"""

import asyncio
import gc
import sys
import time

from microdot import Microdot, Request
from microdot.pubsub import PubSub
from microdot.sse import SSE, with_sse
from microdot.websocket import WebSocket, with_websocket

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Chat</title>
<p>Reading: <output id="reading">none yet</output></p>
<ul id="said"></ul>
<form id="form"><input id="text" autocomplete="off" placeholder="Say something"><button>Send</button></form>
<script>
const said = document.getElementById("said");
let socket;
function open() {
  socket = new WebSocket(location.origin.replace("http", "ws") + "/chat" + location.search);
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    const item = document.createElement("li");
    item.textContent = message.name + ": " + message.text;  // never innerHTML: others wrote it
    said.append(item);
  };
  socket.onclose = () => setTimeout(open, 1000);
}
open();
document.getElementById("form").onsubmit = (event) => {
  event.preventDefault();
  const text = document.getElementById("text");
  socket.send(text.value);
  text.value = "";
};
new EventSource("/readings").onmessage = (event) => {
  document.getElementById("reading").textContent = JSON.parse(event.data).free;
};
</script>
"""

app = Microdot()
chat = PubSub(history=10)
readings = PubSub(history=10)


@app.get("/")
async def index(request: Request) -> "tuple[str, dict[str, str]]":
    return PAGE, {"Content-Type": "text/html"}


@app.get("/chat")
@with_websocket
async def room(request: Request, ws: WebSocket) -> None:
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
    await readings.feed(sse, "*", policy="latest", size=1)


async def measure() -> None:
    """Publish a reading every second; on a board this would ask a sensor."""
    while True:
        free = gc.mem_free() if hasattr(gc, "mem_free") else time.time()
        await readings.publish("memory", {"free": free})
        await asyncio.sleep(1)


async def main() -> None:
    """Measure and serve."""
    task = asyncio.create_task(measure())
    try:
        await app.start_server(host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
    finally:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
