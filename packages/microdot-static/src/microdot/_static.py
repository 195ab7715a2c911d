"""What CPython adds to microdot.static: links are looked at, old dates are parsed, small files leave in one piece.

A board never gets this file, and `static.py`, which imports it at its end, works without it.
"""

import os
import re
import time
import warnings
from email.utils import parsedate_to_datetime
from io import FileIO
from mimetypes import guess_type
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING, Any

from . import static
from .named import Response
from .http import date as http_date

if TYPE_CHECKING:
    from .app import Microdot
    from .http import Request

_BLOCK = 65536  # bytes of a file that are read at once; a smaller one leaves in one write with its head
_YEAR = 31536000

# Names that Windows takes for devices, whatever follows a dot.
_DEVICES = {"con", "prn", "aux", "nul", *(name + digit for name in ("com", "lpt") for digit in "123456789")}

# Of a file that was there just now: neither may opening it wait, should it be a pipe by now.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FRESH = 1  # seconds for which the way to a file is not looked at again
_MOST = 1000  # paths that are known at the same time
# Who sends none of these gets the whole file.
_CONDITIONS = {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range"}

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


def _open(path: str, mode: str) -> FileIO:
    # Without a buffer: what is read is read at once, or copied by the system.
    return FileIO(path)


static.when = when
static.open = _open  # type: ignore[attr-defined]


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
        if not os.path.isdir(folder):
            warnings.warn(f"Static: there is no folder {folder}, seen from {os.getcwd()}", stacklevel=2)
        # Path and Accept-Encoding → until when that holds, file, its state, headers of the response.
        self._known: dict[tuple[str, str], tuple[float, str, tuple[float, ...], dict[str, str]]] = {}
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
        key = path, request.headers.get("Accept-Encoding", "")
        known = self._known.get(key)
        if known is not None and request.method == "GET" and _CONDITIONS.isdisjoint(request.headers.keymap):
            until, file, state, headers = known
            if until > time.monotonic():
                body = _read(file, state)
                if body is not None:
                    return Response(body, 200, headers)
            self._known.pop(key, None)
        for _ in range(3):
            response = self._find(request, path, key)
            if response is not None:
                return response
        raise OSError("the file is being written")

    def _find(self, request: "Request", path: str, key: tuple[str, str]) -> "Response | None":
        # None when what was opened is not what was looked at: its tag would go with the wrong bytes.
        # What Windows drops from the end of a name, drives and streams, devices.
        if ":" in path or "./" in path or " /" in path or path[-1:] in (".", " "):
            raise ValueError
        if os.name == "nt" and not _DEVICES.isdisjoint(part.split(".")[0].strip().lower() for part in path.split("/")):
            raise ValueError
        fields = request.headers
        if not fields.get("Range", "").isascii():
            fields["Range"] = ""  # 14.1.1: what str and int() take for digits, too, are none
        response = super().find(request, path)
        headers = response.headers
        body = response.body
        if not isinstance(body, FileIO):  # to a folder's own URL
            if request.query_string:
                headers["Location"] += "?" + request.query_string
            return response
        if headers["Content-Type"] == "application/octet-stream":
            headers["Content-Type"] = guess_type(path)[0] or "application/octet-stream"
        if headers["Cache-Control"] == "max-age=%d" % _YEAR:
            headers["Cache-Control"] += ", immutable"
        length = int(headers.get("Content-Length", 0))
        if length:
            state = _state(body.fileno())
            if not headers["ETag"].startswith('"%s-%s' % state[:2]):
                body.close()
                return None
            if response.status_code == 200:
                if len(self._known) >= _MOST:
                    self._known.clear()
                kept = dict(headers)
                del kept["Content-Length"]  # the host knows that of a whole file
                self._known[key] = time.monotonic() + _FRESH, str(body.name), state, kept
        if response.status_code == 304:
            body.close()
            response.body = iter(())  # not bytes: those get a Content-Length
        elif length <= _BLOCK:
            response.body = data = body.read(length)
            body.close()
            if len(data) < length:
                return None
        return response


def _state(fd: int) -> tuple[float, ...]:
    found = os.fstat(fd)
    return found.st_mtime, found.st_size, found.st_ino, found.st_dev


def _read(file: str, state: tuple[float, ...]) -> Any:
    """Return the body of a file as long as it is as it was, else None."""
    try:
        fd = os.open(file, _FLAGS)
    except OSError:
        return None
    try:
        if _state(fd) != state:
            return None
        if state[1] > _BLOCK:
            body = FileIO(fd)
            fd = -1
            return body
        data = os.read(fd, _BLOCK)
        return data if len(data) == state[1] else None
    finally:
        if fd >= 0:
            os.close(fd)
