"""A program for a board that is described, observed and limited. `small_board.py PORT FOLDER` serves it."""

import gc
import sys

from microdot import Microdot, send_file
from microdot.accesslog import AccessLog
from microdot.metrics import Metrics
from microdot.ratelimit import RateLimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Request, Response

app = Microdot()
folder = "static"
app.install(Metrics())
app.install(AccessLog("/log", write=False))
limits = app.install(RateLimit(2100, per=600))


@app.get("/hello/<name>")
async def hello(request: "Request", name: str) -> str:
    """Say hello."""
    return "hello " + name


@app.get("/often")
@limits(RateLimit(2, per=600))
async def often(request: "Request") -> str:
    return "not again"


@app.get("/openapi.json")
async def openapi(request: "Request") -> "Response":
    return send_file(folder + "/openapi.json", compressed=True, file_extension=".gz")


@app.get("/docs")
async def docs(request: "Request") -> "Response":
    return send_file(folder + "/docs.html", compressed=True, file_extension=".gz")


@app.get("/heap")
async def heap(request: "Request") -> "dict[str, int]":
    gc.collect()
    return {"alloc": gc.mem_alloc()}  # type: ignore[attr-defined]


if __name__ == "__main__":
    folder = sys.argv[2]
    app.run("127.0.0.1", int(sys.argv[1]))
