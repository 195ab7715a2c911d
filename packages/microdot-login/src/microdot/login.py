"""User logins with remember me."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Microdot, Request, Response


class Login:
    """User logins with remember me: `app.install(Login())`."""

    def setup(self, app: "Microdot") -> None:
        """Register the hooks; `app.install` calls this.

        Args:
            app: the application. One object may be set up on several.
        """
        app.on("after", self._after)

    async def _after(self, request: "Request", response: "Response") -> None:
        response.headers["X-Login"] = "1"
