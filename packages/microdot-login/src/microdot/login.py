"""User logins on top of microdot-session: who is logged in, and pages for those who are. With remember me.

Both the session and the remember cookie hold the user's id. Neither needs storage on the server, so neither can be taken
back there, unless the user object has an attribute `login_version`, a number or str that is kept with the user: what was
issued under another one is void. Change it when the password changes, or at logout.
"""

from .datastructures import quote, urlencode
from .helpers import invoke_handler, wraps
from .http import Response, const
from .session import now

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from . import Request

    F = TypeVar("F", bound=Callable[..., Any])


def is_local(url: str) -> bool:
    """Tell whether a URL stays on this site after a browser has read it.

    Args:
        url: what a client sent, decoded.
    """
    # The URL standard (4.4) removes tabs and line ends, takes \ for /, and two slashes for the beginning of a host.
    for c in url.encode():  # bytes: boards keep every character that they have looked at for ever
        if c < 32 or c in b"\\\x7f":
            return False
    return url[:1] == "/" and url[1:2] != "/"


class Login:
    """Logins of an application, which must have a `Session`; the object decorates the routes that need a user.

    Args:
        login_url: the page where users log in.
    """

    def __init__(self, login_url: str = "/login") -> None:
        self.login_url = login_url
        self.user_loader_callback: "Any" = None

    def user_loader(self, f: "Callable[..., Any]") -> None:
        """Register `f(user_id)`, which returns the user with that id, or None. Users have an attribute `id`."""
        self.user_loader_callback = f

    async def login_user(
        self, request: "Request", user: "Any", remember: "bool | float" = False, redirect_url: str = "/"
    ) -> "Response":
        """Log a user in, after the password or what there is has been checked.

        What the session of another user held is forgotten.

        Args:
            request: the request.
            user: the user.
            remember: whether the browser is to stay logged in when it was closed: for 30 days, or the number given.
            redirect_url: where to go on when the query argument `next` does not lead to a page of this site.

        Returns:
            a redirect to where the user wanted to go.
        """
        session = request.app._session.get(request)
        if session.get("_user_id", user.id) != user.id:
            session.clear()
            request.app._session.set_cookie(request, "_remember", "")
        self._store(request, user, 30 if remember is True else remember, True)
        url = request.args.get("next", "")
        # Not redirect(), for which a board would load two more modules. What RFC 3986 2.2 reserves means what it means.
        url = quote(url if is_local(url) else redirect_url, "%:/?#[]@!$&'()*+,;=")
        return Response(b"", 302, {"Location": url})

    def _store(self, request: "Request", user: "Any", days: float, fresh: bool) -> None:
        extension = request.app._session
        session = extension.get(request)
        session["_user_id"] = user.id
        session["_fresh"] = fresh
        session["_version"] = getattr(user, "login_version", None)
        session.save()
        request.g.current_user = user
        if days:
            # Whole seconds: what is added to a float is rounded to minutes on boards.
            age = int(days * 86400)
            # The empty `_` makes it a token that is no session (session.py), and a session cannot have one beside others.
            # `remember` tells it from other tokens that are no sessions.
            token = {"_": {}, "remember": user.id, "days": days, "version": session["_version"], "exp": now() + age}
            extension.set_cookie(request, "_remember", extension.encode(token), max_age=age, http_only=True)

    async def logout_user(self, request: "Request") -> None:
        """Log the user out: the browser forgets. Copies of its cookies are void only by a new `login_version`."""
        session = request.app._session.get(request)
        for key in ("_user_id", "_fresh", "_version"):
            session.pop(key, None)
        session.save()
        request.g.current_user = None
        if "_remember" in request.cookies:
            request.app._session.set_cookie(request, "_remember", "")

    async def get_current_user(self, request: "Request") -> "Any":
        """Return the user who is logged in, or None; it is loaded once per request."""
        g = request.g
        if not hasattr(g, "current_user"):
            extension = request.app._session
            session = extension.get(request)
            g.current_user = None
            if session.get("_user_id"):
                g.current_user = await self._load(session["_user_id"], session.get("_version"))
            else:
                token = extension.decode(request.cookies.get("_remember", ""))
                if token.get("_") == {}:
                    user = await self._load(token.get("remember"), token.get("version"))
                    if user:
                        self._store(request, user, token["days"], False)
        return g.current_user

    async def _load(self, user_id: "Any", version: "Any") -> "Any":
        if __debug__ and not self.user_loader_callback:
            raise RuntimeError("Login: nothing finds users; decorate the function that does with user_loader")
        user = user_id and await invoke_handler(self.user_loader_callback, user_id)
        return user if user and getattr(user, "login_version", None) == version else None

    def __call__(self, f: "F") -> "F":
        """Decorate a handler that needs a user; who is none is sent to the login page, and back after it."""
        return self._wrapper(f)

    def fresh(self, f: "F") -> "F":
        """Decorate a handler that needs a user who has logged in, and was not only remembered."""
        return self._wrapper(f, True)

    def _wrapper(self, f: "F", fresh: bool = False) -> "F":
        @wraps(f)
        async def wrapper(request: "Request", *args: "Any", **kwargs: "Any") -> "Any":
            if __debug__ and not hasattr(request.app, "_session"):
                raise RuntimeError("Login: the application has no sessions; set them up with Session(app, secret_key=...)")
            if not fresh or request.app._session.get(request).get("_fresh"):
                if await self.get_current_user(request):
                    return await invoke_handler(f, request, *args, **kwargs)
            return "", 302, {"Location": self.login_url + "?next=" + urlencode(request.url)}

        return wrapper  # type: ignore[return-value]  # a handler with the same arguments
