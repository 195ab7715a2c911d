"""Basic and token authentication, password hashes, a limit on failed attempts."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Microdot, Request, Response


class Auth:
    """Basic and token authentication, password hashes, a limit on failed attempts: `app.install(Auth())`."""

    def setup(self, app: "Microdot") -> None:
        """Register the hooks; `app.install` calls this.

        Args:
            app: the application. One object may be set up on several.
        """
        app.on("after", self._after)

    async def _after(self, request: "Request", response: "Response") -> None:
        response.headers["X-Auth"] = "1"
