"""A device dashboard: simulated sensors, a switch, a JSON API and a page that polls it.

It needs microdot-core and runs unchanged on CPython and in a 64 KB heap of MicroPython:

    python main.py [PORT [HOST]]
    micropython -X heapsize=64k main.py [PORT [HOST]]

Replace `Room` with your sensors and your pin.
"""

import gc
import sys
import time

from microdot import Microdot, Request, Response, send_file

PAGE = (__file__.rpartition("/")[0] or ".") + "/index.html"


class Room:
    """A simulated room: a heater with a switch, and daylight that a cloud dims now and then."""

    def __init__(self) -> None:
        """Start at 20 °C with the heater off."""
        self.heater = False
        self.temperature = 20.0  # degrees Celsius
        self.started = self.updated = time.time()

    def update(self) -> None:
        """Advance the simulation to now: each second the room goes 2 % of the way to where it is heading."""
        now = time.time()
        goal = 27.0 if self.heater else 19.0
        # A clock may be set; more than ten minutes is as good as ten.
        for _ in range(max(0, min(600, int(now - self.updated)))):
            self.temperature += (goal - self.temperature) * 0.02
            self.updated += 1
        if abs(now - self.updated) > 600:
            self.updated = now

    def readings(self) -> "dict[str, float]":
        """Return what the sensors say: °C, % relative humidity, lux."""
        self.update()
        seconds = int(time.time() - self.started)
        wobble = (seconds * 7919 % 13 - 6) / 30
        return {
            "temperature": round(self.temperature + wobble, 1),
            "humidity": round(95 - 2 * self.temperature - 2 * wobble, 1),
            "light": 420 + 3 * (seconds * 104729 % 17) - (160 if seconds // 20 % 3 == 2 else 0),
        }


app = Microdot()
room = Room()


def state() -> "dict[str, object]":
    """Return everything that the page shows."""
    mem_free = getattr(gc, "mem_free", None)  # MicroPython's
    if mem_free:
        gc.collect()  # what is free then is what there is
    return {
        "sensors": room.readings(),
        "heater": room.heater,
        "uptime": int(time.time() - room.started),
        "runtime": sys.implementation.name + " " + ".".join(str(part) for part in sys.implementation.version[:2]),
        "free": mem_free() if mem_free else None,
    }


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(PAGE)


@app.get("/api/state")
async def get_state(request: Request) -> "dict[str, object]":
    """Send the sensors, the switch and how the device is."""
    return state()


@app.put("/api/heater")
async def put_heater(request: Request) -> "dict[str, object] | tuple[dict[str, str], int]":
    """Switch the heater: the body is {"on": true} or {"on": false}."""
    wanted = request.json
    on = wanted.get("on") if isinstance(wanted, dict) else None
    if on is not True and on is not False:
        return {"error": 'send {"on": true} or {"on": false} as application/json'}, 400
    room.update()
    room.heater = on
    return state()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    host = sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0"
    gc.collect()  # what compiling this program took, before other things settle between the pieces
    try:
        app.run(host=host, port=port)
    except KeyboardInterrupt:
        print("stopped")
