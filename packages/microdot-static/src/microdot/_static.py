"""What CPython adds to microdot.static: links are looked at, dates are parsed, small files leave in one piece.

A board never gets this file, and `static.py`, which imports it at its end, works without it.
"""

import os
from email.utils import parsedate_to_datetime
from mimetypes import guess_type
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING, Any

from . import static

if TYPE_CHECKING:
    from datetime import datetime

    from .app import Microdot
    from .http import Request, Response

_BLOCK = 65536  # bytes of a file that are read at once; a smaller one leaves in one write with its head
_YEAR = 31536000

# Names that Windows takes for devices, whatever follows a dot.
_DEVICES = {"con", "prn", "aux", "nul", *(name + digit for name in ("com", "lpt") for digit in "123456789")}


class Slice:
    """The next bytes of an open file, as a file.

    Args:
        file: the file, which is closed with this.
        left: how many bytes.
    """

    def __init__(self, file: Any, left: int) -> None:
        self._file = file
        self._left = left
        self.close = file.close
        # With these the native server lets the system copy the file to the socket (sendfile).
        self.fileno = file.fileno
        self.tell = file.tell
        self.seek = file.seek

    def read(self, n: int) -> bytes:
        """Read at most `n` bytes."""
        data: bytes = self._file.read(min(n, self._left))
        self._left -= len(data)
        return data


def chunks(path: str, start: int, left: int) -> Any:
    """Return a part of a file as the body of a response: bytes when it is small.

    Args:
        path: of the file.
        start: where to begin, in bytes.
        left: how many bytes.

    Raises:
        OSError: it cannot be read, or has become shorter.
    """
    if not left:
        return iter(())
    file = open(path, "rb", buffering=0)
    try:
        file.seek(start)
        if left > _BLOCK:
            return Slice(file, left)
        data = file.read(left)
    except BaseException:
        file.close()
        raise
    file.close()
    if len(data) < left:
        raise OSError("the file has become shorter")
    return data


def _time(date: "str | None") -> "datetime | None":
    """Parse an HTTP date of any of the three forms (RFC 9110 5.6.7); None when it is none."""
    if not date:
        return None
    try:
        return parsedate_to_datetime(date).replace(tzinfo=None)
    except (TypeError, ValueError):
        return None


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

    def stat(self, path: str) -> Any:
        """Return what `os.stat()` says about a path below the folder, with the time in fractions of a second.

        Raises:
            OSError: there is nothing that may be served.
        """
        name = self.folder
        for part in path.split("/"):
            if part:
                name += "/" + part
                found = os.lstat(name)
                if S_ISLNK(found.st_mode):
                    if not self.symlinks:
                        self._check_link(self.folder + path)
                    found = os.stat(self.folder + path)
                    break
        if not S_ISREG(found.st_mode) and not S_ISDIR(found.st_mode):
            raise OSError("neither a file nor a folder")
        return found.st_mode, 0, 0, 0, 0, 0, found.st_size, 0, found.st_mtime

    def _check_link(self, name: str) -> None:
        folder = os.path.realpath(self.folder)
        if not os.path.realpath(name).startswith(folder.rstrip(os.sep) + os.sep):
            raise OSError("a link leads out of the folder")

    def respond(self, request: "Request", path: str) -> "Response":
        """Make the response for a path within the folder; see `microdot.static`."""
        # What Windows drops from the end of a name, drives and streams, devices.
        if ":" in path or "./" in path or " /" in path or path[-1] in ". ":
            raise ValueError
        if os.name == "nt" and not _DEVICES.isdisjoint(part.split(".")[0].strip().lower() for part in path.split("/")):
            raise ValueError
        response = super().respond(request, path)
        fields = response.headers
        tag = fields.get("ETag")
        if tag is None:  # to a folder's own URL
            return response
        header = request.headers.get
        kind = fields["Content-Type"]
        if kind == "application/octet-stream":
            kind = guess_type(path)[0] or kind
        if kind.startswith("text/"):
            kind += "; charset=UTF-8"
        fields["Content-Type"] = kind
        fields["Accept-Ranges"] = "bytes"
        if fields["Cache-Control"] == "max-age=%d" % _YEAR:
            fields["Cache-Control"] += ", immutable"
        # RFC 9110 13.2.2, in its order.
        status = response.status_code
        match = header("If-Match")
        if match is not None:
            # 13.1.1: a strong comparison.
            if match.strip() != "*" and tag not in match.replace('W/"', "W"):
                status = 412
        elif (unmodified := _time(header("If-Unmodified-Since"))) is not None:
            if _time(fields["Last-Modified"]) > unmodified:  # type: ignore[operator]
                status = 412
        if status in (200, 206) and header("If-None-Match") is None:
            since = _time(header("If-Modified-Since"))
            if since is not None and _time(fields["Last-Modified"]) <= since:  # type: ignore[operator]
                status = 304
        if status != response.status_code:
            response.status_code = status
            if hasattr(response.body, "close"):
                response.body.close()
            response.body = b""
            for name in ("Content-Length", "Content-Range"):
                fields.pop(name, None)
        if status == 304:
            # 15.4.5: what describes the content stays away.
            fields.pop("Content-Encoding", None)
        return response
