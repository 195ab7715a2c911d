"""Who is there: Basic (RFC 7617) and token authentication (RFC 6750). Passwords and limits are in `microdot.passwords`."""

from binascii import a2b_base64

from .helpers import invoke_handler, same as same, wraps
from .http import abort, const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from . import Request
    from .passwords import Limiter

    F = TypeVar("F", bound=Callable[..., Any])


class BaseAuth:
    """What Basic and token authentication have in common; the object decorates the routes that need a user.

    Attributes:
        limiter: a `microdot.passwords.Limiter` of failed attempts by client address; who is over it is answered 429.
        auth_callback: finds the user of credentials.
        error_callback: answers a request without a user.
    """

    auth_callback: "Any" = None
    error_callback: "Any" = None
    limiter: "Limiter | None" = None

    def optional(self, f: "F") -> "F":
        """Decorate a handler that is called also without a user; `request.g.current_user` is None then."""
        return BaseAuth.__call__(self, f, True)  # a subclass may have one that takes a handler alone

    def authenticate(self, f: "Callable[..., Any]") -> None:
        """Register the function that returns the user of credentials, or None.

        It is called `f(request, username, password)` by BasicAuth, `f(request, token)` by TokenAuth.
        """
        self.auth_callback = f

    def __call__(self, f: "F", optional: bool = False) -> "F":
        """Decorate a handler that needs a user, who is in `request.g.current_user`.

        Args:
            f: the handler, directly below the route decorator.
            optional: what the method `optional` is for.
        """

        @wraps(f)
        async def wrapper(request: "Request", *args: "Any", **kwargs: "Any") -> "Any":
            user = None
            credentials = self._credentials(request.headers)  # type: ignore[attr-defined]
            if credentials:
                if __debug__ and not self.auth_callback:
                    raise RuntimeError("%s: nothing checks credentials; decorate the function that does with authenticate" % type(self).__name__)
                limiter = self.limiter
                wait = limiter and limiter.attempt(request.client_addr)
                if wait:
                    abort(429, None, {"Retry-After": str(wait)})
                user = await invoke_handler(self.auth_callback, request, *credentials)
                if user and limiter:
                    limiter.attempt(request.client_addr, -1)
            if not user and not optional:
                return await invoke_handler(self.error_callback, request)
            request.g.current_user = user
            return await invoke_handler(f, request, *args, **kwargs)

        return wrapper  # type: ignore[return-value]  # a handler with the same arguments


class BasicAuth(BaseAuth):
    """Basic authentication (RFC 7617): the browser asks for name and password.

    Args:
        realm: what it asks for.
        charset: the encoding that it is told to use; RFC 7617 knows UTF-8 only.
        scheme: the name of the scheme in the answer; another one keeps browsers from asking.
        error_status: the status of the answer.
        limiter: see `BaseAuth`.
    """

    def __init__(
        self,
        realm: str = "Please login",
        charset: str = "UTF-8",
        scheme: str = "Basic",
        error_status: int = 401,
        limiter: "Limiter | None" = None,
    ) -> None:
        self.realm = realm
        self.charset = charset
        self.scheme = scheme
        self.error_status = error_status
        self.limiter = limiter
        self.error_callback = self.authentication_error

    def _credentials(self, headers: "Any") -> "Any":
        scheme, _, value = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":  # RFC 9110 11.1: without case
            try:
                name, colon, password = a2b_base64(value).decode().partition(":")
                return colon and (name, password)
            except ValueError:  # no base64, no UTF-8
                pass

    async def authentication_error(self, request: "Request") -> "Any":
        """Answer a request without a user: ask for one."""
        # RFC 9110 5.6.4: what a quoted string is to hold is escaped.
        realm = self.realm.replace("\\", "\\\\").replace('"', '\\"')
        challenge = '%s realm="%s", charset="%s"' % (self.scheme, realm, self.charset)
        return "", self.error_status, {"WWW-Authenticate": challenge}


class TokenAuth(BaseAuth):
    """Token authentication: `Authorization: Bearer …` (RFC 6750), or a header of your own.

    Args:
        header: the header that has the token; another one than Authorization has nothing else.
        scheme: what stands before the token in Authorization.
        error_status: the status of the answer.
        limiter: see `BaseAuth`.
    """

    def __init__(
        self,
        header: str = "Authorization",
        scheme: str = "Bearer",
        error_status: int = 401,
        limiter: "Limiter | None" = None,
    ) -> None:
        self.header = header
        self.scheme = scheme.lower()
        self.error_status = error_status
        self.limiter = limiter
        self.error_callback = self.authentication_error

    def _credentials(self, headers: "Any") -> "Any":
        token = headers.get(self.header, "")
        if self.header.lower() == "Authorization".lower():
            scheme, _, token = token.partition(" ")
            if scheme.lower() != self.scheme:
                return None
        return token and (token.strip(),)

    def errorhandler(self, f: "Callable[..., Any]") -> None:
        """Register `f(request)`, which answers requests without a user."""
        self.error_callback = f

    async def authentication_error(self, request: "Request") -> "Any":
        """Answer a request without a user: an error of the application, with the challenge that RFC 9110 15.5.2 wants."""
        # RFC 6750 3: not without a parameter.
        abort(self.error_status, None, {"WWW-Authenticate": self.scheme + ' realm="token"'})
