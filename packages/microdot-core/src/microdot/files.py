"""`send_file`, and the media types of files."""

import microdot.bodies
import microdot.headers  # a board loads both now, while its heap is in one piece, and not with the first file

from .http import Response, const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

# One string, because a dictionary of them would hold a kilobyte of heap.
_TYPES = (
    " csv:text/csv htm:text/html ico:image/x-icon jpeg:image/jpeg mjs:application/javascript mp4:video/mp4"
    " pdf:application/pdf wasm:application/wasm webp:image/webp woff2:font/woff2 xml:application/xml "
)


def media_type(cls: "type[Response]", extension: str) -> str:
    """Return the media type of a file's extension: the one in `types_map`, else a usual one."""
    types_map = cls.types_map
    if extension in types_map:
        return types_map[extension]
    extension = extension.lower()
    if extension in types_map:
        return types_map[extension]
    start = _TYPES.find(" " + extension + ":")
    if start < 0 or not extension:
        return "application/octet-stream"
    start += len(extension) + 2
    return _TYPES[start : _TYPES.find(" ", start)]


def send_file(
    cls: "type[Response]",
    filename: str,
    status_code: int = 200,
    content_type: "str | None" = None,
    stream: "Any" = None,
    max_age: "int | None" = None,
    compressed: "bool | str" = False,
    file_extension: str = "",
) -> Response:
    """Do what `Response.send_file()` says."""
    if content_type is None:
        name = filename[:-3] if compressed and filename[-3:] == ".gz" else filename
        content_type = media_type(cls, name.split(".")[-1])
    headers = {"Content-Type": content_type}
    if max_age is None:
        max_age = cls.default_send_file_max_age
    if max_age is not None:
        headers["Cache-Control"] = "max-age=%d" % int(max_age)
    if compressed:
        headers["Content-Encoding"] = compressed if isinstance(compressed, str) else "gzip"
    response = cls(status_code=status_code, headers=headers)  # first, so that a refused header leaves no file open
    response.body = stream or open(filename + file_extension, "rb")
    return response
