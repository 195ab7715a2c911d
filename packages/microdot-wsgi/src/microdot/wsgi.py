"""Run an application under a WSGI server, such as gunicorn or waitress."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Microdot, Request, Response


class Wsgi:
    """Run an application under a WSGI server, such as gunicorn or waitress: `app.install(Wsgi())`."""

    def setup(self, app: "Microdot") -> None:
        """Register the hooks; `app.install` calls this.

        Args:
            app: the application. One object may be set up on several.
        """
        app.on("after", self._after)

    async def _after(self, request: "Request", response: "Response") -> None:
        response.headers["X-Wsgi"] = "1"
