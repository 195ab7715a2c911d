"""Protection against cross-site requests (CSRF): pages of other sites cannot use the cookies of this one's users.

Browsers say where a request comes from: in `Sec-Fetch-Site` (Fetch metadata), over plain HTTP in `Origin` alone (RFC 6454). Nothing
has to be put into forms.
"""

# For the first request: a board loads them now, while its heap is in one piece (docs/design.md, "What is loaded when").
import microdot.headers
import microdot.lazy
import microdot.outgoing

from .http import abort, const, is_token

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from . import Microdot, Request


class CSRF:
    """Refuse requests from other sites with 403: `CSRF(app)`, or `app.install(CSRF())`.

    A request is let in when it comes from a page of this site, or of an origin listed in `cors`, or from no browser at
    all. It is looked at before its body is read.

    Args:
        app: the application; one object may be set up on several.
        cors: the `CORS` object whose `allowed_origins` may send requests; `"*"` lists nobody.
        protect_all: whether all routes are protected, except those with `@csrf.exempt`; else those with `@csrf.protect` are.
        allow_subdomains: whether subdomains of this host and of the listed origins count as they do; and every host of the
            same registered domain where browsers say so (`Sec-Fetch-Site: same-site`).

    Methods in SAFE_METHODS are free, unless the route has `@csrf.protect`: give it to WebSocket routes, whose handshake is a
    GET that any page may send.
    """

    SAFE_METHODS = ["GET", "HEAD", "OPTIONS"]

    def __init__(
        self,
        app: "Microdot | None" = None,
        cors: "Any" = None,
        protect_all: bool = True,
        allow_subdomains: bool = False,
    ) -> None:
        self.cors = cors
        self.protect_all = protect_all
        self.allow_subdomains = allow_subdomains
        self.exempt_routes: "list[Callable[..., Any]]" = []
        self.protected_routes: "list[Callable[..., Any]]" = []
        if app:
            self.initialize(app)

    def initialize(self, app: "Microdot", cors: "Any" = None) -> None:
        """Set an application up; see the class for the arguments."""
        self.cors = cors or self.cors
        app.on("admit", self._admit)
        if __debug__:
            app.on("route", self._look)

    setup = initialize

    if __debug__:  # the compiled files of boards leave this out; functions of boards do not tell what they wrap

        def _look(self, route: "Any") -> None:
            # What a route calls is compared with what was marked; a mark on a function further below is not seen.
            f = getattr(route.handler, "__wrapped__", None)
            while f:
                if f in self.protected_routes or f in self.exempt_routes:
                    from warnings import warn

                    warn("CSRF: of %s: protect and exempt only count directly below the route decorator" % route.pattern, stacklevel=5)
                    return
                f = getattr(f, "__wrapped__", None)

    def exempt(self, f: "Callable[..., Any]") -> "Callable[..., Any]":
        """Let requests of any site in: for the handler directly below the route decorator."""
        self.exempt_routes.append(f)
        return f

    def protect(self, f: "Callable[..., Any]") -> "Callable[..., Any]":
        """Protect a handler whatever the method: directly below the route decorator."""
        self.protected_routes.append(f)
        return f

    def _admit(self, request: "Request", route: "Any") -> None:
        handler = request.route
        if route and (
            handler in self.protected_routes
            or self.protect_all
            and request.method not in self.SAFE_METHODS
            and handler not in self.exempt_routes
        ):
            get = request.headers.get
            site = get("Sec-Fetch-Site")
            if site in ("same-origin", "none") or site == "same-site" and self.allow_subdomains:
                request.g._vary = getattr(request.g, "_vary", set()) | {"Sec-Fetch-Site"}
                return
            origin = get("Origin")
            if not site and not origin:
                return
            allowed = self.cors and self.cors.allowed_origins
            allowed = list(allowed) if allowed and allowed != "*" else []
            own = get("Host")
            if own and not site:
                # https also when this server speaks plain HTTP: a proxy in front of it may not. Never the other way round.
                allowed += [request.scheme + "://" + own.lower(), "https://" + own.lower()]
            scheme, mark, host = (origin or "").partition("://")
            if mark and "#" not in host and is_token(host.encode(), b":[]"):  # not `null`, nor anything else that is no origin
                for one in allowed:
                    if origin == one:
                        return
                    one, _, own = one.partition("://")
                    if self.allow_subdomains and scheme == one and host.endswith("." + own):
                        return
            abort(403, "Forbidden")
