"""Sessions: a dict per browser, kept in a signed cookie. The server stores nothing; the browser can read, not change it.

The cookie is a JSON Web Token (RFC 7519) signed with HS256, as Microdot's sessions are: either reads the other's, and
PyJWT reads both. The claims are what the session holds. If one of its keys has a meaning of its own in a token (`exp`,
`sub` …), all of it goes into one claim called `_`; a token for another use has an empty one, so it is no session.
"""

import binascii
import json
import time
from hashlib import sha256

from .helpers import invoke_handler, same, wraps
from .http import const
from .replies import send_cookie

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import Any, Concatenate, ParamSpec

    from . import Microdot, Request

    P = ParamSpec("P")


if __debug__:  # the compiled files of boards leave this out: they have no `warnings`

    def _warn(text: str) -> None:
        try:
            from warnings import warn

            warn(text, stacklevel=4)
        except Exception:  # a board, which has no UserWarning either; a program that makes errors of warnings runs with its key
            print(text)


def _base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data).rstrip(b"=\n").replace(b"+", b"-").replace(b"/", b"_")


def _mac(data: bytes, key: "str | bytes") -> bytes:
    # HMAC-SHA256 (RFC 2104), because boards have no `hmac`: the inner hash, then the outer one over its result. The key and
    # the pads are numbers, because that is the shortest way to fill the key up and to XOR it; `(pad << 512) // 255` is the
    # byte `pad` 64 times.
    if isinstance(key, str):
        key = key.encode()
    number = int.from_bytes(sha256(key).digest() if len(key) > 64 else key, "little")
    for pad in b"\x36\x5c":
        data = sha256((number ^ (pad << 512) // 255).to_bytes(64, "little") + data).digest()
    return _base64(data)


def _parsed(data: bytes) -> "Any":
    # More padding than needed is no error.
    return json.loads(binascii.a2b_base64(data.replace(b"-", b"+").replace(b"_", b"/") + b"=="))


def now() -> int:
    """Return the seconds since 1970, which tokens count in (RFC 7519 2); the clocks of many boards begin in 2000."""
    # 1970 // 2000 is 0, 2000 // 2000 is 1.
    return int(time.time()) + time.localtime(0)[0] // 2000 * 946684800


class SessionDict(dict):  # type: ignore[type-arg]  # what it holds is JSON; boards have no dict[…]
    """What a browser's session holds. Changes are kept when `save()` is called.

    Attributes:
        request: the request that it was made for.
    """

    def __init__(self, request: "Request", session_dict: "Mapping[str, Any]") -> None:
        super().__init__(session_dict)
        self.request = request

    def save(self) -> None:
        """Send the session as it is now, also when the request ends in an error; the last `save()` counts.

        Raises:
            TypeError: there is something in it that is not JSON.
            ValueError: the cookie is longer than the 4096 bytes that browsers keep; nothing is sent.
        """
        self.request.app._session.update(self.request, self)

    def delete(self) -> None:
        """Tell the browser to forget the session."""
        self.request.app._session.delete(self.request)


class Session:
    """Sessions of an application: `Session(app, secret_key=…)`, or `app.install(Session(secret_key=…))`.

    Args:
        app: the application; one object may be set up on several.
        secret_key: a str or bytes, at least 32 bytes of chance (RFC 7518 3.2); or a list of them: the first one signs, all
            are accepted, so that keys can be changed without ending sessions.
        cookie_options: arguments for `Response.set_cookie()`. Unless said otherwise: `path="/"`, `http_only=True`,
            `same_site="Lax"`, and `secure` when the request came over TLS.
        max_age: seconds after its last `save()` in which a session ends; None (default) for never. A session that is used
            when half of them have passed is saved by itself.
    """

    secret_key: "Any" = None
    max_age: "int | None" = None
    cookie_options: "dict[str, Any]" = {"path": "/", "http_only": True, "same_site": "Lax"}

    def __init__(
        self,
        app: "Microdot | None" = None,
        secret_key: "Any" = None,
        cookie_options: "dict[str, Any] | None" = None,
        max_age: "int | None" = None,
    ) -> None:
        self.secret_key = secret_key or self.secret_key
        self.max_age = max_age or self.max_age
        # Whole, because subclasses set cookies of their own with them.
        self.cookie_options = dict(Session.cookie_options, **(cookie_options or self.cookie_options))
        if __debug__ and secret_key:
            for key in self._keys(None):  # the weakest of them is enough to forge a session
                if len(key.encode() if isinstance(key, str) else key) < 32:
                    _warn("session: a secret key has less than 32 bytes")
                    break
        if app:
            app._session = self  # type: ignore[attr-defined]

    #: Set up sessions for an application, with the arguments of the class: what is given goes before what was given before.
    initialize = setup = __init__

    def _keys(self, secret_key: "Any") -> "Any":
        keys = secret_key or self.secret_key
        if not keys:
            raise ValueError("The session secret key is not configured")
        return [keys] if isinstance(keys, (str, bytes)) else keys

    def get(self, request: "Request") -> SessionDict:
        """Return the session of a request, empty when there is none that can be trusted; every call returns the same.

        Raises:
            ValueError: there is no secret key.
        """
        g = request.g
        if not hasattr(g, "_session"):
            data = self.decode(request.cookies.get("session", ""))
            g._vary = getattr(g, "_vary", set()) | {"Cookie"}
            expires = data.pop("exp", 0)
            own = data.get("_")
            g._session = session = SessionDict(request, own if isinstance(own, dict) else data)
            if session and self.max_age and expires < now() + self.max_age // 2:
                session.save()
        return g._session  # type: ignore[no-any-return]

    def update(self, request: "Request", session: "dict[str, Any]") -> None:
        """Do what `SessionDict.save()` says, with any dict."""
        data: "Any" = session.copy()
        if {"_", "exp", "nbf", "iat", "aud", "iss", "sub", "jti"} & set(data):
            data = {"_": data}
        if self.max_age:
            data["exp"] = now() + self.max_age
        self.set_cookie(request, "session", self.encode(data))

    def delete(self, request: "Request") -> None:
        """Do what `SessionDict.delete()` says."""
        self.set_cookie(request, "session", "")

    def set_cookie(self, request: "Request", cookie: str, value: str, **options: "Any") -> None:
        """Send a cookie with the options of the session's, whatever the request ends in; the last one of a name counts.

        Args:
            request: the request.
            cookie: its name.
            value: its value; an empty one deletes it.
            options: arguments of `Response.set_cookie()` that go before those of the session.
        """
        send_cookie(request, cookie, value, **dict(self.cookie_options, **options))

    def encode(self, payload: "Mapping[str, Any]", secret_key: "Any" = None) -> str:
        """Return a signed token.

        Args:
            payload: what it says; `exp` and `nbf` mean what they mean in RFC 7519.
            secret_key: another key than the session's.

        Raises:
            ValueError: there is no secret key.
            TypeError: there is something in the payload that is not JSON.
        """
        # {"alg":"HS256","typ":"JWT"}
        data = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + _base64(json.dumps(payload).encode())
        return (data + b"." + _mac(data, self._keys(secret_key)[0])).decode()

    def decode(self, session: str, secret_key: "Any" = None) -> "dict[str, Any]":
        """Return what a token says; an empty dict when it is not ours, has ended or cannot be read.

        Args:
            session: the token.
            secret_key: another key than the session's.

        Raises:
            ValueError: there is no secret key.
        """
        for key in self._keys(secret_key):
            try:
                signed, _, mac = session.encode().rpartition(b".")
                if same(mac, _mac(signed, key)):
                    header, data = map(_parsed, signed.split(b"."))
                    # RFC 8725 3.1: the token does not choose its algorithm; RFC 7515 4.1.11: what is critical and
                    # unknown; RFC 7519 4.1.3: meant for somebody else.
                    if (
                        header["alg"] == "HS256"
                        and "crit" not in header
                        and "aud" not in data
                        and data.get("nbf", 0) <= now() < data.get("exp", now() + 1)
                    ):
                        return data  # type: ignore[no-any-return]
            except Exception:  # whatever is wrong with it, it is no session
                pass
        return {}


def with_session(
    f: "Callable[Concatenate[Request, SessionDict, P], Any]",
) -> "Callable[Concatenate[Request, P], Coroutine[Any, Any, Any]]":
    """Call the decorated handler with the session behind the request: `f(request, session, …)`.

    The handler raises RuntimeError when its application has no `Session` (AttributeError in the compiled files of boards).
    """

    @wraps(f)
    async def wrapper(request: "Request", *args: "P.args", **kwargs: "P.kwargs") -> "Any":
        if __debug__ and not hasattr(request.app, "_session"):
            raise RuntimeError("with_session: the application has no sessions; set them up with Session(app, secret_key=...)")
        return await invoke_handler(f, request, request.app._session.get(request), *args, **kwargs)

    return wrapper  # type: ignore[return-value]  # the request is given by its place
