"""What CPython adds to microdot.static: links are looked at, old dates are parsed, small files leave in one piece.

A board never gets this file, and `static.py`, which imports it at its end, works without it.
"""

import os
import re
from email.utils import parsedate_to_datetime
from mimetypes import guess_type
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING, Any

from . import static
from .replies import http_date

if TYPE_CHECKING:
    from .app import Microdot
    from .http import Request, Response

_BLOCK = 65536  # bytes of a file that are read at once; a smaller one leaves in one write with its head
_YEAR = 31536000

# Names that Windows takes for devices, whatever follows a dot.
_DEVICES = {"con", "prn", "aux", "nul", *(name + digit for name in ("com", "lpt") for digit in "123456789")}

# The two forms of dates that are not sent any more, but still understood (RFC 9110 5.6.7).
_OLD_DATE = re.compile(
    r"[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}",
    re.ASCII,
)
_when = static.when


def when(date: str) -> Any:
    """Compare dates of all three forms; see `microdot.static`."""
    if _OLD_DATE.fullmatch(date):
        try:
            date = http_date(parsedate_to_datetime(date).timetuple())
        except ValueError:  # the 31st of November
            pass
    return _when(date)


static.when = when


class Static(static.Static):
    __doc__ = static.Static.__doc__

    #: Whether symbolic links may lead out of the folder. Boards have none, and MicroPython on a computer follows them.
    symlinks = False

    def __init__(self, app: "Microdot | None", prefix: str, folder: str, **settings: Any) -> None:
        for name in settings:
            if not hasattr(self, name):
                raise TypeError(f"Static: no setting {name!r}")
        if not folder:
            raise ValueError("Static: name a folder, '.' for the current one")
        super().__init__(app, prefix, folder, **settings)

    def stat(self, path: str) -> Any:  # type: ignore[override]
        """Return what `os.stat()` says about a path that begins with the folder, with the time in fractions of a second.

        Raises:
            OSError: there is nothing that may be served.
        """
        name = self.folder
        for part in path[len(name) :].split("/"):
            if part:
                name += "/" + part
                found = os.lstat(name)
                if S_ISLNK(found.st_mode):
                    if not self.symlinks:
                        self._check_link(path)
                    found = os.stat(path)
                    break
        if not S_ISREG(found.st_mode) and not S_ISDIR(found.st_mode):
            raise OSError("neither a file nor a folder")
        return found.st_mode, 0, 0, 0, 0, 0, found.st_size, 0, found.st_mtime

    def _check_link(self, name: str) -> None:
        folder = os.path.realpath(self.folder)
        if not os.path.realpath(name).startswith(folder.rstrip(os.sep) + os.sep):
            raise OSError("a link leads out of the folder")

    def find(self, request: "Request", path: str) -> "Response":
        """Make the response of a file; see `microdot.static`."""
        # What Windows drops from the end of a name, drives and streams, devices.
        if ":" in path or "./" in path or " /" in path or path[-1:] in (".", " "):
            raise ValueError
        if os.name == "nt" and not _DEVICES.isdisjoint(part.split(".")[0].strip().lower() for part in path.split("/")):
            raise ValueError
        response = super().find(request, path)
        headers = response.headers
        if headers.get("Content-Type") == "application/octet-stream":
            headers["Content-Type"] = guess_type(path)[0] or "application/octet-stream"
        if headers.get("Cache-Control") == "max-age=%d" % _YEAR:
            headers["Cache-Control"] += ", immutable"
        body = response.body
        length = int(headers.get("Content-Length", 0))
        if length <= _BLOCK and hasattr(body, "read"):
            response.body = data = body.read(length)
            body.close()
            if len(data) < length:
                raise OSError("the file has become shorter")
        return response
