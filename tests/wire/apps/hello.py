"""Hello world with every default, for small heaps: `hello.py PORT`.

Portable: CPython and MicroPython.
"""

import sys

from microdot import Microdot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Request

app = Microdot()


@app.get("/text")
async def text(request: "Request") -> str:
    return "hello"


app.run("127.0.0.1", int(sys.argv[1]))
