"""Answer 503 instead of taking on more requests than the heap has room for."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdot import Microdot, Request, Response
    from microdot.app import Route


class Busy:
    """At most `most` requests are at work at the same time, in all applications that this is installed in."""

    def __init__(self, most: int = 4) -> None:
        self.most = most
        self.at_work: "list[Request]" = []

    def setup(self, app: "Microdot") -> None:
        app.on("admit", self.admit)
        app.on("done", self.done)

    def admit(self, request: "Request", route: "Route | None") -> "tuple[str, int, dict[str, str]] | None":
        if len(self.at_work) >= self.most:
            return "Busy", 503, {"Retry-After": "1"}
        self.at_work.append(request)
        return None

    def done(self, request: "Request | None", response: "Response | None", exception: "BaseException | None") -> None:
        if request in self.at_work:  # not those that were refused, here or before
            self.at_work.remove(request)
