"""Sub-applications: an API and a page for administrators, each a program of its own, mounted into one.

    python main.py [PORT [HOST]]

Log in at /admin/ as `ann` with the password `correct horse`.
"""

import sys

from microdot import Microdot, Request, Response, send_file
from microdot.metrics import Metrics

from greenhouse_admin import admin  # type: ignore[import-not-found]  # it lies beside this file
from greenhouse_api import api  # type: ignore[import-not-found]  # and this, too

HERE = __file__.rpartition("/")[0] or "."

app = Microdot()
app.install(Metrics())  # counts the requests of all

app.mount(api, "/api/v1")
# local: its password, its error page and its headers are for its own routes, whatever else this program has.
app.mount(admin, "/admin", local=True)


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    app.run(host=sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0", port=port)
