"""Several workers behind uvicorn that share their messages through Redis.

    REDIS_URL=redis://127.0.0.1:6379/0 uvicorn main:app --workers 2

Without REDIS_URL the messages stay in the process: for trying with one worker, `uvicorn main:app`, or `python main.py`.
"""

import os
import sys

from microdot import Request, Response, abort, send_file
from microdot.asgi import Microdot
from microdot.pubsub import PubSub
from microdot.sse import SSE, with_sse

HERE = __file__.rpartition("/")[0] or "."
REDIS_URL = os.environ.get("REDIS_URL")

app = Microdot()
bus = PubSub(history=50)
if REDIS_URL:
    from microdot.pubsub_redis import RedisPubSub

    bus = app.install(RedisPubSub(REDIS_URL, name="board", history=50))  # connects when the worker starts


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


@app.get("/worker")
async def worker(request: Request) -> "dict[str, int]":
    """Say which process answers."""
    return {"worker": os.getpid()}


@app.get("/messages")
@with_sse
async def messages(request: Request, sse: SSE) -> None:
    """Send what was posted, whichever worker took it; a browser that comes back gets what it missed."""
    await sse.send({"worker": os.getpid()}, event="worker")
    await bus.feed(sse, "message", after="")


@app.post("/messages")
async def post(request: Request) -> "tuple[dict[str, object], int]":
    """Tell everybody: the body is {"text": "…"}."""
    text = request.json.get("text") if isinstance(request.json, dict) else None
    if not isinstance(text, str) or not 1 <= len(text) <= 200:
        abort(400, "text: give 1 to 200 characters")
    message: "dict[str, object]" = {"text": text, "worker": os.getpid()}
    await bus.publish("message", message)
    return message, 201


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    app.run(host=sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1", port=port)
