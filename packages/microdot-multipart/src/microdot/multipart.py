"""Multipart forms and file uploads (RFC 7578), as a stream: the memory needed does not depend on the size.

    @app.post('/upload')
    @with_form_data
    async def upload(request):
        await request.files['photo'].save('uploads/' + request.files['photo'].filename)

`parse_form()` knows no sockets: bytes in, events out. `FormDataIter` feeds it from a request.
"""

import os

from .datastructures import MultiDict, unquote
from .headers import parse_headers
from .helpers import invoke_handler
from .http import HTTPException, const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from .http import Request


def parse_options(value: "str | None") -> "dict[str, str]":
    """Return the parameters of a header (RFC 9110 5.6.6) by their names in lower case; what comes before them is a name too.

    Args:
        value: such as `form-data; name="a"; filename="b;c.txt"`.
    """
    options: "dict[str, str]" = {}
    # Every other piece is quoted. HTML's "multipart/form-data encoding algorithm" writes a quote as %22, others put a
    # backslash before it. Nothing else is taken for escaped: old browsers send C:\path\name.
    pieces = (value or "").replace("\\\\", "\0").replace('\\"', "%22").split('"')
    while pieces:
        for option in pieces.pop(0).split(";"):
            name, _, plain = option.partition("=")
            name = name.strip().lower()
            options[name] = plain.strip()
        if pieces:
            options[name] = pieces.pop(0).replace("%22", '"').replace("\0", "\\")
    return options


def safe_name(filename: str) -> str:
    """Return what is left of a client's file name when nothing in it can lead out of a folder, on any system.

    Args:
        filename: as the client sent it, perhaps with a path.

    Returns:
        the part after the last slash, backslash, colon (drives, streams) or NUL, without dots or blanks at its end; `_` when
        nothing remains. An empty name, that of a form's file field in which nothing was chosen, stays empty.
    """
    name = filename
    for c in "/\\:\0":
        name = name.split(c)[-1]
    return name.rstrip(". ") or filename and "_"


def parse_form(boundary: bytes) -> "Generator[Any, bytes, None]":
    """Parse multipart/form-data without input or output: a generator of events, to which received bytes are sent.

    Args:
        boundary: the boundary parameter of the Content-Type.

    Yields:
        None: `send()` it more bytes; a tuple `(name, filename or None, content type or None)`: a part begins; bytes: a piece
        of its content; empty bytes: the part is complete; an empty tuple, from then on: the form is complete, what follows
        is ignored (RFC 2046 5.1.1: epilogue). The preamble comes before all, as the content of a part that did not begin.

    Raises:
        ValueError: malformed.
    """
    mark = b"\r\n--" + boundary
    # The first delimiter may stand at the very beginning.
    buffer = b"\r\n"
    while True:
        # The line end before the content may belong to a delimiter: a part without content may share its empty line with it
        # (RFC 2046 5.1.1: body-part).
        skip = 2
        while True:
            at = buffer.find(mark)
            # What may be the beginning of a delimiter waits for the rest.
            end = len(buffer) - len(mark) + 1 if at < 0 else at
            if end > skip:
                yield buffer[skip:end]
                buffer = buffer[end:]
                skip = 0
            elif at < 0:
                buffer += yield
            else:
                break
        yield b""
        buffer = buffer[at + len(mark) :]
        while True:
            while buffer[:2] == b"--":
                yield ()
            end = buffer.find(b"\r\n\r\n")
            if -1 < end <= FormDataIter.max_header:
                break
            if len(buffer) > FormDataIter.max_header + 3:  # the end's last bytes may be on their way
                raise ValueError
            buffer += yield
        headers = parse_headers(buffer[:end])
        options = parse_options(headers.get("Content-Disposition"))
        filename = options.get("filename")
        if "filename*" in options:  # RFC 6266 4.3: it is preferred; RFC 8187 3.2: in UTF-8
            filename = unquote(options["filename*"].split("'")[-1])
        # RFC 2046 5.1.1: only padding may follow a delimiter. RFC 7578 4.2: there must be a name.
        if buffer.lstrip(b" \t")[:2] != b"\r\n" or "form-data" not in options or "name" not in options:
            raise ValueError
        buffer = buffer[end + 2 :]
        yield options["name"], filename, headers.get("Content-Type")


class FileUpload:
    """A file in a form.

    Args:
        filename: its name; that of a client has been through `safe_name()`.
        content_type: the media type that the client gave, or None. Do not trust it.
        read: `async read(n)`, which returns at most about n bytes, empty at the end.
    """

    #: A smaller file is kept in memory by `copy()`, in bytes; a larger one goes to a temporary file.
    max_memory_size = 1024
    #: The folder for temporary files, with its slash; on CPython that of the system.
    folder = ""

    _file: "Any" = None
    #: Path of the temporary file that `copy()` has made.
    name: "Any" = None

    def __init__(self, filename: str, content_type: "str | None", read: "Callable[[int], Any] | None") -> None:
        self.filename = filename
        self.content_type = content_type
        self._read = read
        # What comes before the next read: small pieces, because in a small heap there may be no place for a larger one.
        self._rest: "list[bytes]" = []

    async def read(self, n: int = -1) -> bytes:
        """Read `n` bytes, fewer only at the end; everything when `n` is negative, which takes memory of that size."""
        if self._file:
            return self._file.read(n)  # type: ignore[no-any-return]
        data = bytearray()
        while not 0 <= n <= len(data):
            more = self._rest.pop(0) if self._rest else self._read and await self._read(n)
            if not more:
                self._read = None
                return bytes(data)
            data += more
        if data[n:]:
            self._rest.insert(0, data[n:])  # type: ignore[arg-type]
        return bytes(data[:n])

    async def save(self, path_or_file: "Any") -> "str | None":
        """Save what has not been read yet.

        Args:
            path_or_file: a path, or a binary file that is open for writing and stays open. At a path the file appears when
                it is complete, in place of an older one; before, it has another name in the same folder. With a folder and
                its slash alone the file keeps that other name, which nobody can guess and no other file has.

        Returns:
            the path, None for an open file.

        Raises:
            OSError: it cannot be written; nothing is left behind.
            HTTPException: the upload broke off; nothing is left behind.
        """
        if hasattr(path_or_file, "write"):
            while True:
                data = await self.read(FormDataIter.buffer_size)
                if not data:
                    return None
                path_or_file.write(data)
        folder = path_or_file[: path_or_file.rfind("/") + 1]
        name = folder + ".part" + os.urandom(8).hex()
        file = open(name, "wb")
        try:
            with file:
                await self.save(file)
            if path_or_file != folder:
                os.rename(name, path_or_file)
                return path_or_file  # type: ignore[no-any-return]
            return name  # type: ignore[no-any-return]
        except BaseException:
            os.remove(name)
            raise

    async def copy(self, max_memory_size: "int | None" = None) -> "FileUpload":
        """Detach the upload from the request: what follows it in the form can be read before it.

        Args:
            max_memory_size: instead of the attribute.

        Returns:
            the upload; `close()` it.

        Raises:
            OSError: there is no room for a temporary file; nothing is left behind.
            HTTPException: the upload broke off; nothing is left behind.
        """
        limit = self.max_memory_size if max_memory_size is None else max_memory_size
        pieces = []
        while limit > 0:
            data = await self.read(FormDataIter.buffer_size)
            if not data:
                break
            pieces.append(data)
            limit -= len(data)
        self._rest = pieces + self._rest
        if limit <= 0:
            self.name = await self.save(self.folder)
            self._file = open(self.name, "rb")
        return self

    async def close(self) -> None:
        """Remove the temporary file, if there is one."""
        if self._file:
            self._file.close()
            self._file = None
        if self.name:
            os.remove(self.name)
            self.name = None


class FormDataIter:
    """Iterate over a form as it arrives: `async for name, value in FormDataIter(request)`.

    A value is a str, or a `FileUpload` for a file, of which the loop's next step skips what was not read. A request that is
    no multipart form has no values.

    Args:
        request: the request.

    Raises:
        HTTPException: 400 for a malformed form or one that breaks off, 413 for one over a limit.
    """

    #: Bytes that are read at a time; on CPython at least 64 KB.
    buffer_size = 256
    #: Fields and files of one form (413).
    max_parts = 100
    #: Bytes of the headers of one part (400).
    max_header = 2048
    #: Bytes of one field (413).
    max_field = 16384
    #: Bytes of all fields of a form and of all names (413); on CPython 65536. The whole body is limited by
    #: `Request.max_content_length`.
    max_form = 16384

    _file: "FileUpload | None" = None
    _at = 0  # how much of a body in memory was parsed

    def __init__(self, request: "Request") -> None:
        self.request = request
        options = parse_options(request.content_type)
        #: The boundary; something false when the request is no multipart form.
        self.boundary = "multipart/form-data" in options and options.get("boundary")
        if self.boundary:
            self._send = parse_form(self.boundary.encode()).send

    def __aiter__(self) -> "FormDataIter":
        return self

    async def _read(self, n: int = 0) -> "Any":
        data: "Any" = None
        while True:
            event = self._send(data)
            if event is not None:
                return event
            body = self.request.body
            if body:  # in memory: a board loads no module that makes a stream of it
                start = self._at
                self._at = start + self.buffer_size
                data = body[start : self._at]
            else:
                data = await self.request.stream.read(self.buffer_size)
            if not data:
                raise HTTPException(400)

    async def __anext__(self) -> "tuple[str, Any]":
        if self._file:
            self._file._read = None
        part: "Any" = b""
        try:
            # What is left of the last part, or of the preamble, is skipped.
            while self.boundary and not isinstance(part, tuple):
                part = await self._read()
            if not part:
                raise StopAsyncIteration
            name, filename, content_type = part
            # The limits count down.
            self.max_parts -= 1
            self.max_form -= len(name)
            data = b""
            while True:
                if self.max_parts < 0 or self.max_form < 0 or len(data) > self.max_field:
                    raise HTTPException(413)
                if filename is not None:
                    self._file = FileUpload(safe_name(filename), content_type, self._read)
                    return name, self._file
                more = await self._read()
                if not more:
                    return name, data.decode()
                data += more
                self.max_form -= len(more)
        except ValueError:
            raise HTTPException(400)


def with_form_data(f: "Callable[..., Any]") -> "Callable[..., Any]":
    """Decorate a handler: `request.form` and `request.files` hold the form when it runs, the files are closed after it.

    Both are dicts in which the last of several values of a name counts; `request.form_data` is a `MultiDict` of all fields and
    files, whose `getlist()` has every value of a name. On CPython the dicts have that method too. (On MicroPython `dict()`
    takes only plain ones, and existing programs call it.) All stay as they were when the request is no multipart form or an
    empty one. Files smaller than `FileUpload.max_memory_size` are kept in memory, the others in temporary files.

    Args:
        f: the handler, `async` or not.
    """

    async def wrapper(request: "Request", *args: "Any", **kwargs: "Any") -> "Any":
        form = FormData()
        files = FormData()
        every = MultiDict()
        uploads = []
        try:
            async for name, value in FormDataIter(request):
                every[name] = value
                if isinstance(value, str):
                    form[name] = value
                else:
                    files[name] = value
                    uploads.append(value)
                    await value.copy()
            if every:
                request.form = form
                request.files = files
                request.form_data = every  # type: ignore[attr-defined]
            return await invoke_handler(f, request, *args, **kwargs)
        finally:
            for value in uploads:  # also when the form breaks off after some
                await value.close()

    return wrapper


try:
    from ._multipart import FormData as FormData, with_form_data as with_form_data  # `as`: for type checkers an export
except ImportError:  # a board never gets that file
    FormData = dict  # type: ignore[assignment, misc]
