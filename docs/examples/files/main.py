"""A file manager: upload with progress, list, download with ranges, delete. Nothing is ever held in memory as a whole.

    python main.py [PORT [HOST]]

The files are in the folder `files` where it is started. Whoever reaches the server may read and write them: put
microdot-auth in front of it where that is too many.
"""

import os
import sys

from microdot import Microdot, Request, Response, abort, send_file
from microdot.csrf import CSRF
from microdot.datastructures import unquote
from microdot.multipart import FormDataIter
from microdot.static import Static

HERE = __file__.rpartition("/")[0] or "."
FOLDER = "files"
LARGEST = 4 * 1024 * 1024  # bytes of an upload
MOST = 100  # files

app = Microdot()
CSRF(app)  # without it any page on the internet could send a form here, through the browser of somebody at home


def names() -> "list[str]":
    """Return the names of the files, without those that are being written."""
    return sorted(name for name in os.listdir(FOLDER) if name[0] != ".")


def path_of(name: str) -> str:
    """Return the path of a file that is there; the folder's own list says which, so no name leads out of it."""
    if name not in names():
        abort(404, "no such file")
    return FOLDER + "/" + name


async def limits(request: Request, route: object) -> None:
    """Before a body is read: allow uploads, and have them streamed instead of loaded."""
    if request.path == "/api/files":
        request.max_content_length = LARGEST
        request.max_body_length = 0


app.on("admit", limits)


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


@app.get("/api/files")
async def list_files(request: Request) -> "list[dict[str, object]]":
    """List names and sizes."""
    return [{"name": name, "size": os.stat(FOLDER + "/" + name)[6]} for name in names()]


@app.post("/api/files")
async def upload(request: Request) -> "tuple[dict[str, object], int]":
    """Save the files of a form as they arrive; one that breaks off leaves nothing."""
    saved = []
    async for _, value in FormDataIter(request):
        if isinstance(value, str) or not value.filename:
            continue
        if value.filename[0] == ".":
            abort(400, "a name that begins with a dot")
        if len(names()) >= MOST and value.filename not in names():
            abort(409, "there are %d files: delete one first" % MOST)
        await value.save(FOLDER + "/" + value.filename)
        saved.append(value.filename)
    return {"saved": saved}, 201


@app.delete("/api/files/<name>")
async def delete(request: Request, name: str) -> "tuple[str, int]":
    """Delete a file."""
    os.remove(path_of(unquote(name)))
    return "", 204


Static(app, "/files", FOLDER)


@app.after_request
async def to_be_saved(request: Request, response: Response) -> None:
    """Have browsers save what was uploaded: a page among it must not run as one of this site."""
    if request.path.startswith("/files/"):
        response.headers["Content-Disposition"] = "attachment"
        response.headers["X-Content-Type-Options"] = "nosniff"


async def make_folder(app: Microdot) -> None:
    """Make the folder, before the first request."""
    try:
        os.mkdir(FOLDER)
    except OSError:
        pass  # it is there


app.on("start", make_folder)

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    app.run(host=sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0", port=port)
