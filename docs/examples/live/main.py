"""A live sensor dashboard: readings by server-sent events, a slider over WebSocket.

    python main.py [PORT [HOST]]

Everybody who looks sees the same: the readings come from one task, and what one of them sets the others are told.
Replace `Room` with your sensors and your heater.
"""

import asyncio
import json
import sys

from microdot import Microdot, Request, Response, send_file
from microdot.pubsub import PubSub
from microdot.sse import SSE, with_sse
from microdot.websocket import WebSocket, with_websocket

HERE = __file__.rpartition("/")[0] or "."


class Room:
    """A simulated room, which a heater brings to the temperature that is wanted."""

    wanted = 21.0  # degrees Celsius
    air = 19.0
    wall = 19.0

    def step(self) -> "dict[str, float]":
        """Let a moment pass; return temperature in °C, relative humidity and heating power in percent."""
        power = max(0.0, min(100.0, (self.wanted - self.air) * 60 + 20))
        self.air += power * 0.003 - (self.air - self.wall) * 0.08
        self.wall += (self.air - self.wall) * 0.02 - (self.wall - 17.0) * 0.01
        return {"temperature": round(self.air, 1), "humidity": round(92 - 2 * self.air), "power": round(power)}


app = Microdot()
room = Room()
readings = PubSub(history=20)  # who comes later sees the last ones
settings = PubSub(history=1)


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


@app.get("/readings")
@with_sse
async def live(request: Request, sse: SSE) -> None:
    """Send the readings as they come, first those that this browser has not seen."""
    await readings.feed(sse, "room", after="")


@app.get("/control")
@with_websocket(max_message_length=64)
async def control(request: Request, ws: WebSocket) -> None:
    """Take a temperature, a number as text, and tell everybody what is wanted now."""
    feed = asyncio.create_task(settings.feed(ws, "wanted", after=""))
    try:
        async for message in ws:
            try:
                wanted = float(message)
            except ValueError:
                wanted = -1.0
            if not 5 <= wanted <= 30:  # false for nan, too
                await ws.send(json.dumps({"error": "send a number from 5 to 30"}))
                continue
            room.wanted = wanted
            await settings.publish("wanted", {"wanted": wanted})
    finally:
        feed.cancel()


async def measure() -> None:
    """Publish four readings a second."""
    await settings.publish("wanted", {"wanted": room.wanted})
    while True:
        await readings.publish("room", room.step())
        await asyncio.sleep(0.25)


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
