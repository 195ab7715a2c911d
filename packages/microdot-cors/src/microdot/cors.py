"""Cross-origin resource sharing (Fetch standard, 3.3): which pages of other sites may call this one from a browser."""

from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from . import Microdot, Request, Response


if __debug__:  # the compiled files of boards leave this out

    def _explain() -> None:
        # Fetch standard, 3.3.5: browsers refuse the combination, and a server that gets round it lets every page in.
        text = "CORS: allow_credentials has no effect with allowed_origins='*': list the origins that may send credentials"
        try:
            from warnings import warn

            warn(text, stacklevel=3)
        except Exception:  # a board, which has no UserWarning either; a program that makes errors of warnings has to answer
            print(text)


class CORS:
    """Let pages of other origins in: `CORS(app, allowed_origins=[…])`, or `app.install(CORS(allowed_origins=[…]))`.

    The attributes have the names of the arguments, and are looked at with each request.

    Args:
        app: the application; one object may be set up on several.
        allowed_origins: a list such as `["https://example.com"]`, compared exactly; or `"*"` for everybody, who then never get
            in with credentials.
        allow_credentials: whether cookies and the like may be sent. Not with `"*"`: any page that a user looks at could act
            in the user's name.
        allowed_methods: a list of the methods that may be used; None or `"*"` for all.
        expose_headers: a list of response headers that pages may read besides the simple ones.
        allowed_headers: a list of request headers that may be sent; None or `"*"` for all.
        max_age: for how many seconds a browser may keep what it was told.
        handle_cors: whether to add the headers to every response; False leaves that to `get_cors_headers()`.

    Raises:
        ValueError: a str was given where a list is wanted.
    """

    default_options_handler: "Any" = None

    def __init__(
        self,
        app: "Microdot | None" = None,
        allowed_origins: "list[str] | str | None" = None,
        allow_credentials: bool = False,
        allowed_methods: "list[str] | None" = None,
        expose_headers: "list[str] | None" = None,
        allowed_headers: "list[str] | None" = None,
        max_age: "int | None" = None,
        handle_cors: bool = True,
    ) -> None:
        for names in (allowed_origins, allowed_methods, expose_headers, allowed_headers):
            # In a str every part would be found: `"https://a.co" in "https://a.com"`.
            if isinstance(names, str) and names != "*":
                raise ValueError("CORS: a list, not a str")
        self.allowed_origins = allowed_origins
        self.allow_credentials = allow_credentials
        self.allowed_methods = allowed_methods
        self.expose_headers = expose_headers
        self.allowed_headers = allowed_headers and list(map(str.lower, allowed_headers))
        self.max_age = max_age
        if __debug__ and allow_credentials and allowed_origins == "*":
            _explain()
        if app:
            self.initialize(app, handle_cors)

    def initialize(self, app: "Microdot", handle_cors: bool = True) -> None:
        """Set an application up; see the class for the arguments."""
        self.default_options_handler = app.options_handler
        if handle_cors:
            hook: "Any" = self.after_request
            if __debug__:  # not on boards: a plain hook costs CPython a thread

                async def after(request: "Request | None", response: "Response") -> None:
                    self.after_request(request, response)

                hook = after
            app.on("error", app.on("after", hook))

    setup = initialize

    def options_handler(self, request: "Request") -> "dict[str, str]":
        """Return the headers of the answer to an OPTIONS request."""
        handler = self.default_options_handler
        headers = dict(handler(request) if handler else {})
        headers.update(self.get_cors_headers(request))
        return headers

    def get_cors_headers(self, request: "Request") -> "dict[str, str]":
        """Return the headers that the response to a request gets."""
        prefix = "Access-Control-"
        get = request.headers.get
        headers = {}
        origin = get("Origin")
        allowed = self.allowed_origins
        preflight = request.method == "OPTIONS"
        if allowed == "*" or origin and origin in (allowed or ()):
            headers[prefix + "Allow-Origin"] = origin or "*"
            if origin:
                g = request.g
                g._vary = getattr(g, "_vary", set()) | {"Origin"}
            if self.allow_credentials:
                if allowed != "*":
                    headers[prefix + "Allow-Credentials"] = "true"
                elif __debug__:
                    _explain()
        elif preflight and origin:
            return headers  # outsiders learn nothing
        if self.expose_headers:
            headers[prefix + "Expose-Headers"] = ", ".join(self.expose_headers)
        if preflight:
            if self.max_age:
                headers[prefix + "Max-Age"] = str(self.max_age)
            method = get(prefix + "Request-Method")
            if method:
                method = method.upper()
                methods = self.allowed_methods
                if methods is not None and method not in methods and "*" not in methods:
                    return headers
                headers[prefix + "Allow-Methods"] = method
            names = get(prefix + "Request-Headers")
            if names:
                allowed = self.allowed_headers
                if allowed is not None and "*" not in allowed:
                    kept = []
                    for name in names.split(","):
                        name = name.strip()
                        if name.lower() in allowed:
                            kept.append(name)
                    names = ", ".join(kept)
                headers[prefix + "Allow-Headers"] = names
            # A page of the internet that calls a board at home: Chromium asks the board (Private Network Access).
            if get(prefix + "Request-Private-Network") == "true":
                headers[prefix + "Allow-Private-Network"] = "true"
        return headers

    def after_request(self, request: "Request | None", response: "Response") -> None:
        """Add the headers to a response; with `handle_cors=False` call it yourself."""
        if request:
            headers = self.get_cors_headers(request)
            response.headers.update(headers)
            if not headers and request.method == "OPTIONS" and "Origin" in request.headers:
                response.headers.pop("Allow", None)

