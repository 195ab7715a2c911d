"""A web server beside other asyncio work: a control loop that must be on time, and jobs that take long.

    python main.py [PORT [HOST]]

The loop goes on while pages are served; a job is started by a request and outlives it. All ends together.
"""

import asyncio
import sys
import time

from microdot import Microdot, Request, Response, abort, send_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Task

HERE = __file__.rpartition("/")[0] or "."
PERIOD = 100  # milliseconds


def milliseconds() -> int:
    """Return a clock that only counts."""
    ticks = getattr(time, "ticks_ms", None)  # MicroPython's
    return int(ticks()) if ticks else int(time.monotonic() * 1000)


class Control:
    """A loop that runs ten times a second, and remembers how late it was at worst."""

    rounds = 0
    late = 0  # milliseconds

    async def run(self) -> None:
        """Run for ever."""
        due = milliseconds()
        while True:
            due += PERIOD
            await asyncio.sleep(max(0, due - milliseconds()) / 1000)
            self.late = max(self.late, milliseconds() - due)
            self.rounds += 1
            # … read a sensor, set a valve. What takes long must not stand here.


class Job:
    """Work that takes a while, one at a time."""

    number = 0
    percent = 100
    task: "Task[None] | None" = None

    async def run(self) -> None:
        """Do it in small steps; between them others have their turn."""
        for self.percent in range(0, 101, 5):
            await asyncio.sleep(0.05)

    def start(self) -> None:
        """Start it; nobody waits for it."""
        self.number += 1
        self.percent = 0
        self.task = asyncio.create_task(self.run())  # kept: a task that nobody holds may be collected

    def cancel(self) -> None:
        """End it, if it runs."""
        if self.task:
            self.task.cancel()


app = Microdot()
control = Control()
job = Job()


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


@app.get("/state")
async def state(request: Request) -> "dict[str, int]":
    """Say how the loop and the job are doing."""
    return {"rounds": control.rounds, "late": control.late, "job": job.number, "percent": job.percent}


@app.post("/jobs")
async def start_job(request: Request) -> "tuple[dict[str, int], int, dict[str, str]]":
    """Start a job and answer at once: 202, and where to ask for it."""
    if job.percent < 100:
        abort(409, "a job is running")
    job.start()
    return {"job": job.number}, 202, {"Location": "/state"}


async def main(port: int = 5000, host: str = "0.0.0.0") -> None:
    """Run the loop and the server until the server ends."""
    loop = asyncio.create_task(control.run())
    try:
        await app.start_server(host, port)
    finally:
        loop.cancel()
        job.cancel()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    asyncio.run(main(port, sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0"))
