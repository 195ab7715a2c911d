"""Static folders: conditional requests, ranges and precompressed files, by RFC 9110.

    Static(app, '/assets', 'web/assets')

Whatever the path of a request is, no file outside the folder is served, and none whose name begins with a dot.
"""

import os
import time

# For the first request: a board loads them now, while its heap is in one piece (docs/design.md, "What is loaded when").
import microdot.files
import microdot.lazy

from .datastructures import unquote
from .http import abort, const, date
from .named import Response

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .app import Microdot
    from .http import Request


def when(date: str) -> "Any":
    """Return something by which dates of header fields (RFC 9110 5.6.7) can be compared; what is no date comes first.

    Args:
        date: of the form that is sent today; the two old ones are for CPython.
    """
    if date[26:] != "GMT":
        return ()
    # Of the month the last two letters, which no other pair of them makes; then the day, and after what is the same the time.
    return date[12:16], "anebarprayunulugepctovec".find(date[9:11]), date[5:]


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

    stat = staticmethod(os.stat)

    def __init__(self, app: "Microdot | None", prefix: str, folder: str, **settings: "Any") -> None:
        self.prefix = prefix
        self.folder = folder
        for name in settings:
            setattr(self, name, settings[name])
        if app:
            self.setup(app)

    def setup(self, app: "Microdot") -> None:
        """Register the routes."""
        for end in "/", "/<path:path>":
            app.get(self.prefix + end)(self.get)

    async def get(self, request: "Request", path: str = "") -> "Response":
        """Answer a request.

        Args:
            request: the request, for its headers.
            path: below the prefix, percent-encoded.
        """
        try:
            return self.find(request, unquote(path))
        except (OSError, ValueError):
            if not self.fallback or "." in path:
                abort(404, "Not found")
            return self.find(request, self.fallback)

    def find(self, request: "Request", path: str) -> "Response":
        """Make the response of a file.

        Args:
            request: the request, for its headers.
            path: of the file below the folder.

        Raises:
            OSError: there is no such file.
            ValueError: the path is not one that could lead to a file.
        """
        path = "/" + path
        # Empty and dotted segments, the separators of other file systems, the end of a name in C, and the short names by which
        # FAT knows files with a dot at their beginning, too.
        for bad in "//", "/.", "\\", "\0", "~":
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
                codings = [coding] + codings
        for coding in codings:
            try:
                file = self.folder + path + (coding and "." + coding[:2])
                stat = self.stat(file)
                break
            except OSError:
                pass
        else:
            raise OSError
        if stat[0] >> 12 == 4:
            # Relative, because a proxy or a host may have taken off what the path begins with (RFC 9110 10.2.2).
            return Response.redirect("./" + request.path.split("/")[-1] + "/", 301)
        size = end = stat[6]
        modified = date(time.gmtime(stat[8]))
        tag = '"%s-%s%s"' % (stat[8], size, coding)
        status = 200
        start = 0
        part = ""
        # 13.2.2: in this order, and a date only without the tags. 13.1.1: weak tags do not match there.
        match = header("If-Match")
        known = header("If-None-Match")
        if (
            match != "*" and tag not in match.replace('W/"', "")
            if match
            else () < when(header("If-Unmodified-Since", "")) < when(modified)
        ):
            status = 412
        elif known == "*" or tag in known if known else when(header("If-Modified-Since", "")) >= when(modified):
            status = 304
        # 14.2: a range is for GET alone. 13.1.5: it is only for who has the beginning of the same bytes.
        elif request.method == "GET" and header("If-Range", tag) in (tag, modified):
            unit, _, span = header("Range", "").lower().partition("=")
            first, dash, last = span.partition("-")
            # 14.1.1, 14.2: what is no single range of bytes is ignored.
            if unit == "bytes" and dash and (first + last).isdigit() and int(last or first) >= int(first or 0):
                status = 206
                if first:
                    start = int(first)
                    end = min(int(last or size) + 1, size)
                else:
                    start = size - min(int(last), size)
                part = "%d-%d" % (start, end - 1)
                if start >= size:
                    status = 416
                    part = "*"
        if status > 206:
            start = end
        body = open(file, "rb")
        body.seek(start)
        response = Response.send_file(
            path, status, None, body, 31536000 if self.hashed in path else self.max_age, coding
        )
        headers = response.headers
        if "text/" in headers["Content-Type"]:
            headers["Content-Type"] += "; charset=UTF-8"
        headers["ETag"] = tag
        headers["Last-Modified"] = modified
        headers["Vary"] = "Accept-Encoding"
        headers["Accept-Ranges"] = "bytes"
        if part:
            headers["Content-Range"] = "bytes %s/%d" % (part, size)
        if status != 304:
            # The host stops there, before the end of the file.
            headers["Content-Length"] = str(end - start)
        return response


try:
    from ._static import Static as Static  # `as`: type checkers take no other import for an export
except ImportError:
    pass  # a board never gets that file
