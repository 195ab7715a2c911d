"""A server process of the tests with Redis: publishes what is posted, and streams events.

    python redis_server.py PORT REDIS_PORT
"""

import asyncio
import sys

from microdot import Microdot, Request
from microdot.pubsub_redis import RedisPubSub
from microdot.sse import SSE, with_sse

app = Microdot()
bus = RedisPubSub("redis://127.0.0.1:" + sys.argv[2], history=3000, publish_timeout=20)
app.install(bus)


@app.post("/publish/<topic>")
async def publish(request: Request, topic: str) -> str:
    # One message per line, and in their order: publish() hands them over before it waits.
    ids = await asyncio.gather(*(bus.publish(topic, line) for line in request.body.decode().split()))
    return ids[-1]


@app.get("/events/<topic>")
@with_sse
async def events(request: Request, sse: SSE, topic: str) -> None:
    await sse.send("subscribed", comment=True)
    await bus.feed(sse, topic, size=2000)


app.run(host="127.0.0.1", port=int(sys.argv[1]))
