"""Who asks too often, sends too much or takes too long: limits per client and per route, in memory of a fixed size."""

from .http import abort, const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from . import Microdot, Request, Response
    from .app import Route

    F = TypeVar("F", bound=Callable[..., Any])

# Times are milliseconds modulo this and one: that is how the clocks of 32-bit boards count.
_MASK = const(0x3FFFFFFF)

try:
    from ._ratelimit import client, ticks
except ImportError:  # a board
    from asyncio.core import ticks  # type: ignore[import-not-found, no-redef]

    client = None  # type: ignore[assignment]


class RateLimit:
    """A token bucket per client: `limit` requests at once, and as many in every `per` seconds.

    `limits = app.install(RateLimit(100, per=60))` counts all requests, also those that no route answers. They are looked at
    before their bodies are read; one too many is answered 429 with Retry-After. The object also decorates handlers:

        @app.post("/login")
        @limits(RateLimit(5, per=60), max_content_length=1000, timeout=5)
        async def login(request): ...

    There are `slots` buckets. When all are taken, a client that is new gets the slot of the fullest: those who are over
    their limit stay. Who has more addresses than there are slots is not limited by this.

    Args:
        limit: how many requests a full bucket is good for, at most 1000 per second.
        per: the seconds in which an empty bucket fills, at most a day.
        slots: how many clients are told apart, at least one; one takes some 50 bytes on a board.
        key: returns what tells clients apart, `f(request)` → str, of which 64 characters count; by default the IPv4
            address, or the network of an IPv6 address: who has one of that has 2 ** 64.

    Raises:
        ValueError: one of the three numbers is beyond what is said above.
    """

    def __init__(
        self, limit: int = 60, per: int = 60, slots: int = 32, key: "Callable[[Request], str] | None" = client
    ) -> None:
        step = limit and per * 1000 // limit  # milliseconds for a request
        if step < 1 or per > 86400 or slots < 1:
            if __debug__:
                raise ValueError("RateLimit: limit is 1 to 1000 per second, per is 1 to 86400 seconds, slots at least 1")
            raise ValueError("limit", "per", "slots")
        # The last: by client, the time at which its bucket is full again. This is GCRA, which needs one number per bucket.
        self.options: "tuple[int, int, int, Callable[[Any], str] | None, dict[str, int]]" = step, step * limit, slots, key, {}
        # By handler, because functions of boards take no attributes.
        self._of: "dict[Any, tuple[RateLimit, dict[str, Any]]]" = {}

    def setup(self, app: "Microdot") -> None:
        """Limit an application; one object may be set up on several, which then count together."""
        app.on("admit", self.admit)
        app.on("error", app.on("after", self.after))
        if __debug__:
            app.on("route", self._look)

    if __debug__:  # the compiled files of boards leave this out; functions of boards do not tell what they wrap

        def _look(self, route: "Route") -> None:
            # The handler of a route is looked up; limits of a function further below are not found.
            f = getattr(route.handler, "__wrapped__", None)
            while f:
                if f in self._of:
                    from warnings import warn

                    warn("RateLimit: of %s: limits only count directly below the route decorator" % route.pattern, stacklevel=5)
                    return
                f = getattr(f, "__wrapped__", None)

    def __call__(self, rate: "RateLimit | None" = None, **options: "Any") -> "Callable[[F], F]":
        """Decorate a handler: this goes directly below its route.

        Args:
            rate: counts the requests of the handler instead of this object, which is what is set up. One that decorates
                several handlers counts them together.
            options: `max_content_length`: the longest body in bytes, longer ones are answered 413; `max_body_length`: the
                longest one that is loaded, longer ones are left in `request.stream`; `timeout`: the seconds that before
                hooks and handler may take, else the answer is 503.
        """
        assert not set(options) - {"max_content_length", "max_body_length", "timeout"}, "RateLimit: no such option"

        def add(f: "F") -> "F":
            self._of[f] = rate or self, options
            return f

        return add

    def admit(self, request: "Any", route: "Route | None") -> None:
        """Apply the limits: this is a hook. `request.rate` is then the value of a RateLimit header, which tells what is left.

        Raises:
            HTTPException: 429 with Retry-After, when nothing is.
        """
        rate, options = self._of.get(route and route.handler, (self, {}))
        for name in options:
            setattr(request, name, options[name])
        step, most, slots, key, full = rate.options
        whose = (key(request) if key else request.client_addr[0])[:64]
        now = ticks()
        least = most
        # All of them each time: none may stay until the clock comes round and makes a future of its past.
        for other in list(full):
            wait = (full[other] - now) & _MASK
            if wait > most:
                del full[other]  # it is full, since a time that has passed
            elif wait <= least:
                least = wait
                fullest = other
        if whose not in full and len(full) >= slots:
            del full[fullest]
        missing = ((full.get(whose, now) - now) & _MASK) + step
        left = most - missing
        # draft-ietf-httpapi-ratelimit-headers-10 4: requests that are left, seconds until there are as many as can be.
        request.rate = '"default";r=%d;t=%d' % (left // step * (left > 0), -(-missing // 1000))
        if left < 0:
            abort(429, "Too many requests", {"Retry-After": str(-(left // 1000))})
        full[whose] = now + missing

    async def after(self, request: "Any", response: "Response") -> None:
        """Tell the client what is left: this is a hook."""
        if hasattr(request, "rate"):  # not when it could not be read, or a hook ahead of ours has answered
            response.headers["RateLimit"] = request.rate
