"""Pins: a lamp, a fan, a button and a light sensor, switched and watched from a phone.

    python main.py [PORT [HOST]]

On a computer the pins are simulated. On a board they are what `machine` has: set their numbers below.
"""

import sys

from microdot import Microdot, Request, Response, abort, send_file

try:
    from machine import ADC, PWM, Pin  # type: ignore[import-not-found]  # only boards have it
except ImportError:
    from simulated_machine import ADC, PWM, Pin  # type: ignore[import-not-found]  # it lies beside this file

HERE = __file__.rpartition("/")[0] or "."

lamp = Pin(2, Pin.OUT, value=0)
fan = PWM(Pin(4), freq=1000, duty_u16=0)
button = Pin(5, Pin.IN, Pin.PULL_UP)  # closed by a press: then it is 0
light = ADC(Pin(26))

app = Microdot()


def state() -> "dict[str, object]":
    """Return what the pins are."""
    return {
        "lamp": bool(lamp.value()),
        "fan": round(fan.duty_u16() * 100 / 65535),
        "button": not button.value(),
        "light": round(light.read_u16() * 100 / 65535),
    }


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


@app.get("/api/pins")
async def get_pins(request: Request) -> "dict[str, object]":
    """Say what all pins are."""
    return state()


@app.put("/api/lamp")
async def put_lamp(request: Request) -> "dict[str, object]":
    """Switch the lamp: the body is true or false."""
    if not isinstance(request.json, bool):
        abort(400, "send true or false as application/json")
    lamp.value(request.json)
    return state()


@app.put("/api/fan")
async def put_fan(request: Request) -> "dict[str, object]":
    """Set the speed of the fan: the body is a number of percent."""
    percent = request.json
    if isinstance(percent, bool) or not isinstance(percent, int) or not 0 <= percent <= 100:
        abort(400, "send an integer from 0 to 100 as application/json")
    fan.duty_u16(percent * 65535 // 100)
    return state()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    app.run(host=sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0", port=port)
