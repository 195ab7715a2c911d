"""The guest book of main.py with Jinja templates. CPython only.

    python main_jinja.py [PORT [HOST]]
"""

import sys

from microdot import Microdot, Request, Response, redirect
from microdot.csrf import CSRF
from microdot.jinja import Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = __file__.rpartition("/")[0] or "."
HTML = {"Content-Type": "text/html; charset=UTF-8"}
MOST = 20  # entries; the oldest goes

app = Microdot()
CSRF(app)
entries: "list[tuple[str, str]]" = [("Ann", "Tomatoes & basil are up.")]

Template.initialize(HERE + "/templates_jinja", enable_async=True)  # Jinja escapes in files that end in .html


@app.get("/")
async def index(request: Request) -> "tuple[str, dict[str, str]]":
    """Show the book, the newest entry first."""
    return await Template("index.html").render_async(entries=entries[::-1], engine="Jinja"), HTML


@app.post("/")
async def sign(request: Request) -> Response:
    """Take an entry."""
    form = request.form or {}  # None when the body is no form
    name = form.get("name", "").strip()[:30]
    text = form.get("text", "").strip()[:200]
    if text:
        entries.append((name or "Somebody", text))
        if len(entries) > MOST:
            entries.pop(0)
    return redirect("/", 303)  # so that a reload does not send the form again


@app.get("/table")
async def table(request: Request) -> "tuple[AsyncIterator[str], dict[str, str]]":
    """Show a table that is sent while it is made: it needs no memory, however long it is."""
    readings = ((hour, 18 + hour * 7 % 9) for hour in range(500))
    return Template("table.html").generate_async(readings=readings), HTML


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    app.run(host=sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0", port=port)
