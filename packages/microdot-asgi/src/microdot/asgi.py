"""Run an application under an ASGI server, such as uvicorn, hypercorn or granian."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Microdot, Request, Response


class Asgi:
    """Run an application under an ASGI server, such as uvicorn, hypercorn or granian: `app.install(Asgi())`."""

    def setup(self, app: "Microdot") -> None:
        """Register the hooks; `app.install` calls this.

        Args:
            app: the application. One object may be set up on several.
        """
        app.on("after", self._after)

    async def _after(self, request: "Request", response: "Response") -> None:
        response.headers["X-Asgi"] = "1"
