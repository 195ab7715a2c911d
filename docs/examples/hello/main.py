"""Hello: a page, a name in the path, an answer in JSON.

    python main.py [PORT [HOST]]
"""

import sys

from microdot import Microdot, Request, Response, send_file
from microdot.datastructures import unquote

HERE = __file__.rpartition("/")[0] or "."

app = Microdot()


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


@app.get("/hello/<name>")
async def hello(request: Request, name: str) -> "dict[str, str]":
    """Greet somebody."""
    return {"hello": unquote(name)}  # paths are as the client sent them: Zo%C3%AB


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    app.run(host=sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0", port=port)
