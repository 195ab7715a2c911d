"""Static folders: conditional requests, ranges and precompressed files, by RFC 9110.

    Static(app, '/assets', 'web/assets')

Whatever the path of a request is, no file outside the folder is served, and none whose name begins with a dot.
"""

import os
import time

from microdot import abort, redirect, send_file

from .datastructures import unquote
from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .app import Microdot
    from .http import Request, Response


def http_date(seconds: float) -> str:
    """Return a date as in header fields (RFC 9110 5.6.7).

    Args:
        seconds: as `os.stat()` has them.
    """
    t = time.gmtime(seconds)
    return "%s, %02d %s %d %02d:%02d:%02d GMT" % (
        "MonTueWedThuFriSatSun"[3 * t[6] : 3 * t[6] + 3],
        t[2],
        "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * t[1] - 3 : 3 * t[1]],
        t[0],
        t[3],
        t[4],
        t[5],
    )


def chunks(path: str, start: int, left: int) -> "Iterator[memoryview]":
    """Yield a part of a file.

    Args:
        path: of the file.
        start: where to begin, in bytes.
        left: how many bytes.
    """
    # One buffer for all: in a small heap there may be no other place of this size, later on.
    buffer = memoryview(bytearray(512))
    with open(path, "rb") as file:
        file.seek(start)
        while left:
            n = file.readinto(buffer[:left])
            if not n:
                break  # it has become shorter: the server breaks the connection off
            left -= n
            yield buffer[:n]


class Static:
    """A folder whose files are served.

    Args:
        app: the application; with None, call `app.install()` with this.
        prefix: where its URLs begin, without a slash at the end; empty for the root.
        folder: its path.
        settings: values for the attributes below.
    """

    #: The file that is served for a folder.
    index = "index.html"
    #: Seconds for which a client need not ask again; with 0 it asks each time, and is mostly answered 304.
    max_age = 0
    #: What is in the path of a file that never changes, because its name has a hash of its content: it may be kept for a year.
    hashed = ".v-"
    #: The file that is served for paths without a file, for single-page apps, or None. Names with a dot get 404 all the same.
    fallback: "str | None" = None

    def __init__(self, app: "Microdot | None", prefix: str, folder: str, **settings: "Any") -> None:
        self.prefix = prefix
        self.folder = folder
        for name in settings:
            setattr(self, name, settings[name])
        if app:
            self.setup(app)

    def setup(self, app: "Microdot") -> None:
        """Register the routes."""

        async def serve(request: "Request", path: str = "") -> "Response":
            try:
                return self.respond(request, "/" + unquote(path))
            except (OSError, ValueError):
                if not self.fallback or "." in path:
                    abort(404, "Not found")
                return self.respond(request, "/" + self.fallback)

        for end in "/", "/<path:path>":
            app.get(self.prefix + end)(serve)

    def stat(self, path: str) -> "Any":
        """Return what `os.stat()` says about a path below the folder, which begins with a slash."""
        return os.stat(self.folder + path)

    def respond(self, request: "Request", path: str) -> "Response":
        """Make the response for a path within the folder.

        Args:
            request: the request, for its headers.
            path: the decoded path, with a slash at its beginning.

        Raises:
            OSError: there is no such file.
            ValueError: the path is not one that could lead to a file.
        """
        # Empty and dotted segments, the separators of other file systems, the end of a name in C.
        for bad in "//", "/.", "\\", "\0":
            if bad in path:
                raise ValueError
        if path[-1] == "/":
            path += self.index
        header = request.headers.get
        accepted = header("Accept-Encoding", "").replace(" ", "")
        codings = ["", "gzip"]  # whoever keeps only the compressed file has no other for those who do not take it
        for coding in "gzip", "br":
            # RFC 9110 12.4.2: a weight of 0 is "not acceptable"; one below 1 is no wish that binds.
            if coding in accepted and coding + ";q=0" not in accepted:
                codings.insert(0, coding)
        for coding in codings:
            try:
                file = path + (coding and "." + coding[:2])
                stat = self.stat(file)
                break
            except OSError:
                pass
        else:
            raise OSError
        if stat[0] >> 12 == 4:
            return redirect(request.path + "/", 301)
        size = stat[6]
        modified = http_date(stat[8])
        tag = '"%s-%s%s"' % (stat[8], size, coding)
        start = 0
        end = size
        status = 200
        part = ""
        known = header("If-None-Match")
        # 13.2.2: If-None-Match is asked first, and alone.
        if tag in known or known == "*" if known else header("If-Modified-Since") == modified:
            status = 304
        # 14.2: a range is for GET alone. 13.1.5: it is only for who has the beginning of the same bytes.
        elif request.method == "GET" and header("If-Range", tag) in (tag, modified):
            span = header("Range", "").lower()
            first, dash, last = span[6:].partition("-")
            # 14.1.1, 14.2: what is no single range of bytes is ignored.
            if span[:6] == "bytes=" and dash and (first + last).isdigit() and int(last or first) >= int(first or 0):
                status = 206
                if first:
                    start = int(first)
                    end = min(int(last or size) + 1, size)
                else:
                    start = max(size - int(last), 0)
                part = "%d-%d" % (start, end - 1)
                if start >= size:
                    status = 416
                    part = "*"
        if status > 206:
            start = end = 0
        body = chunks(self.folder + file, start, end - start)
        response = send_file(path, status, None, body, 31536000 if self.hashed in path else self.max_age, coding)
        headers = response.headers
        headers["ETag"] = tag
        headers["Last-Modified"] = modified
        headers["Vary"] = "Accept-Encoding"
        if part:
            headers["Content-Range"] = "bytes %s/%d" % (part, size)
        if status != 304:
            headers["Content-Length"] = str(end - start)
        return response


try:
    from ._static import Static, chunks
except ImportError:
    pass  # a board never gets that file
