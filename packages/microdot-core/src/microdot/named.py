"""`Request` and `Response` as programs import them: with what they have as classes, which cannot be lazy."""

from .http import Request as Request, Response as Response, const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any


async def _create(*args: "Any", **kwargs: "Any") -> "Request | None":
    from .compat import create_request

    return await create_request(*args, **kwargs)


def _redirect(cls: "type[Response]", *args: "Any", **kwargs: "Any") -> Response:
    from .replies import redirect

    return redirect(cls, *args, **kwargs)


def _send_file(cls: "type[Response]", *args: "Any", **kwargs: "Any") -> Response:
    from .files import send_file

    return send_file(cls, *args, **kwargs)


Request.create = staticmethod(_create)  # type: ignore[method-assign]
Response.redirect = classmethod(_redirect)  # type: ignore[method-assign, assignment]
Response.send_file = classmethod(_send_file)  # type: ignore[method-assign, assignment]
Response.types_map = {
    "css": "text/css",
    "gif": "image/gif",
    "html": "text/html",
    "jpg": "image/jpeg",
    "js": "application/javascript",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}
