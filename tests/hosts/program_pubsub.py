"""Messages between clients of all workers, through Redis: `uvicorn --workers 2 hosts.program_pubsub:app`.

The address of Redis is in MICRODOT_REDIS_URL. `MICRODOT_INTERFACE=wsgi` makes it an application for gunicorn.
"""

from __future__ import annotations

import os
from typing import Any

from microdot import Request
from microdot.pubsub_redis import RedisPubSub
from microdot.sse import SSE, with_sse

if os.environ.get("MICRODOT_INTERFACE") == "wsgi":
    from microdot.wsgi import Microdot
else:
    from microdot.asgi import Microdot  # type: ignore[assignment]

app = Microdot()
bus = RedisPubSub(os.environ["MICRODOT_REDIS_URL"])
app.install(bus)


@app.get("/")
async def index(request: Request) -> Any:
    return {"pid": os.getpid()}


@app.get("/events")
@with_sse
async def events(request: Request, sse: SSE) -> None:
    await sse.send({"pid": os.getpid()})
    await bus.feed(sse, "room/*")


@app.post("/publish/<text>")
async def publish(request: Request, text: str) -> Any:
    await bus.publish("room/1", {"text": text, "from": os.getpid()})
    return {"pid": os.getpid()}
