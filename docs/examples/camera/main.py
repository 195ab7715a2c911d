"""A camera: pictures one after the other in one response, multipart/x-mixed-replace, which <img> shows as a film.

    python main.py [PORT [HOST]]

The camera is simulated. Replace `Camera.draw` with yours: whatever gives JPEG, PNG or BMP.
"""

import asyncio
import sys

from microdot import Microdot, Request, Response, abort, send_file

HERE = __file__.rpartition("/")[0] or "."
BOARD = sys.implementation.name == "micropython"
WIDTH, HEIGHT = (96, 72) if BOARD else (320, 240)  # multiples of 8, 4 bits each: 3.5 KB and 38 KB
BLOCK = 512 if BOARD else 65536  # bytes that are sent at a time
RATE = 10  # pictures per second
MOST = 4  # who may watch at the same time: everybody takes a connection

# Blue to orange for the sky, two greens, white.
COLORS = [(24 + 16 * n, 40 + 12 * n, 120 - 6 * n) for n in range(12)] + [(34, 87, 64), (46, 104, 72), (255, 255, 255), (255, 214, 90)]


def number(value: int, size: int = 4) -> bytes:
    """Return an integer as BMP has them."""
    return value.to_bytes(size, "little")


class Camera:
    """Takes pictures while somebody watches; everybody gets the newest, and who is slow misses some."""

    watchers = 0
    taken = 0
    picture = bytearray()

    def __init__(self) -> None:
        """Write the head of a BMP with 16 colors, and the scene, which does not change."""
        size = WIDTH * HEIGHT // 2
        self.size = 118 + size
        self.head = b"BM" + number(self.size) + number(0) + number(118)
        self.head += number(40) + number(WIDTH) + number(HEIGHT) + number(1, 2) + number(4, 2) + number(0) + number(size)
        self.head += number(2835) + number(2835) + number(16) + number(0)
        for red, green, blue in COLORS:
            self.head += bytes((blue, green, red, 0))
        self.event = asyncio.Event()

    def draw(self) -> bytearray:
        """Return a picture: a sun that crosses the sky behind a hill. The rows of a BMP go from the bottom up."""
        picture = bytearray(self.size)
        picture[:118] = self.head
        at = 118
        row = WIDTH // 2  # bytes: each has two pixels
        radius = HEIGHT // 7
        x = self.taken * WIDTH // 160 % row
        y = HEIGHT // 2 + radius - abs(x - row // 2) // 2
        for line in range(HEIGHT):
            color = 11 - line * 12 // HEIGHT if line > HEIGHT // 4 else 12 if line % 8 else 13
            picture[at : at + row] = bytes((17 * color,)) * row
            # The sun is as wide here as the circle says, cut off by the edges and the hill.
            half = int(max(0, radius * radius - (line - y) * (line - y)) ** 0.5) // 2
            left, right = max(0, x - half), min(row, x + half)
            if color < 12 and left < right:
                picture[at + left : at + right] = b"\xff" * (right - left)
            at += row
        return picture

    async def run(self) -> None:
        """Take the pictures."""
        while True:
            await asyncio.sleep(1 / RATE)
            if self.watchers:
                self.taken += 1
                try:
                    self.picture = self.draw()
                except MemoryError:
                    continue  # slow watchers still hold older pictures: leave this one out
                self.event.set()
                self.event = asyncio.Event()  # those who wait have the one before


class Film:
    """The parts of the response: an async iterator, because boards have no async generators."""

    def __init__(self) -> None:
        """Count one more who watches."""
        camera.watchers += 1
        self.open = True
        self.picture = bytearray()
        self.at = 0  # how much of it is out

    def __aiter__(self) -> "Film":
        return self

    async def __anext__(self) -> "bytes | bytearray":
        if self.at >= len(self.picture):
            await camera.event.wait()
            self.picture = camera.picture
            self.at = 0
            return b"\r\n--picture\r\nContent-Type: image/bmp\r\nContent-Length: %d\r\n\r\n" % len(self.picture)
        self.at += BLOCK
        return self.picture[self.at - BLOCK : self.at]

    async def aclose(self) -> None:
        """Count one less; the server calls this when the client goes."""
        if self.open:
            self.open = False
            camera.watchers -= 1


app = Microdot()
camera = Camera()


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


@app.get("/camera")
async def film(request: Request) -> Response:
    """Send pictures until the client goes."""
    if camera.watchers >= MOST:
        abort(503, "%d are watching already" % MOST, {"Retry-After": "10"})
    headers = {"Content-Type": "multipart/x-mixed-replace; boundary=picture", "Cache-Control": "no-store"}
    return Response(Film(), 200, headers)


@app.get("/picture.bmp")
async def picture(request: Request) -> "tuple[bytearray, dict[str, str]]":
    """Send one picture."""
    return camera.draw(), {"Content-Type": "image/bmp", "Cache-Control": "no-store"}


@app.get("/state")
async def state(request: Request) -> "dict[str, int]":
    """Say how many watch, and how many pictures were taken."""
    return {"watchers": camera.watchers, "taken": camera.taken}


async def main(port: int = 5000, host: str = "0.0.0.0") -> None:
    """Take pictures and serve."""
    task = asyncio.create_task(camera.run())
    try:
        await app.start_server(host, port)
    finally:
        task.cancel()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    asyncio.run(main(port, sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0"))
