"""Call an application from its own tests, without a socket; on a computer and on a board.

    client = TestClient(app)
    response = await client.get("/")
    assert response.text == "hello"

`TestClient` is a host like the native server: it makes a request, awaits `app.dispatch()`, reads the response to its end and
calls `app.finish()`. So every hook runs as it does in production.
"""

import asyncio
import json

from microdot import AsyncBytesIO, Request, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from microdot import Microdot

# RFC 6455 section 4.1: what a client says to open a WebSocket. The key is any 16 bytes; this one is the example of
# section 1.3.
_WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class TestResponse:
    """What the application answered, read to its end.

    All attributes but `headers` are None until there is something to put into them: a HEAD response has no body, and a
    response that the handler sent itself (`Response.already_handled`, WebSockets) has nothing at all.

    Attributes:
        status_code: the HTTP status, an int.
        reason: the reason phrase, when the application gave one.
        headers: the headers of the response, a dict whose keys do not mind their case.
        body: the body, bytes.
        text: the body as text; None when it is not UTF-8.
        json: the body as JSON, when its media type is `application/json`.
        events: the events of a `text/event-stream`: dicts with `data` (bytes), `data_json` (the data as JSON, None when
            it is none), `event`, `event_id` (str or None) and `retry` (seconds or None). Comments are left out.
    """

    __test__ = False  # not a class of tests: for collectors that go by the name

    def __init__(self) -> None:
        self.status_code: "int | None" = None
        self.reason: "str | None" = None
        self.headers: "Mapping[str, Any]" = {}
        self.body: "bytes | None" = None
        self.text: "str | None" = None
        self.json: "Any" = None
        self.events: "list[dict[str, Any]] | None" = None

    @classmethod
    async def create(cls, res: Response) -> "TestResponse":
        """Read a response to its end.

        Args:
            res: what `dispatch()` returned.

        Raises:
            Exception: whatever the body raises; it is closed then, as it is at its end.
        """
        result = cls()
        if res is Response.already_handled:
            return result
        res.complete()
        result.status_code = res.status_code
        result.reason = res.reason
        result.headers = res.headers
        body = await _read(res)
        if res.is_head:
            return result
        result.body = body
        try:
            result.text = body.decode()
        except ValueError:  # UnicodeError
            pass
        media_type = (res.headers.get("Content-Type") or "").split(";")[0].strip().lower()
        if media_type == "application/json" and result.text is not None:
            result.json = json.loads(result.text)
        elif media_type == "text/event-stream":
            result.events = _events(body)
        return result


async def _read(response: "Any") -> bytes:
    """Return the body of a response; nothing is read from that of a HEAD response, but it is closed."""
    iterator = response.body_iter().__aiter__()
    body = []
    response.bytes_sent = 0
    left = int(response.headers.get("Content-Length", -1))
    try:
        if not response.is_head:
            while left:
                try:
                    chunk = await iterator.__anext__()
                except StopAsyncIteration:
                    break
                if isinstance(chunk, str):
                    chunk = chunk.encode()
                elif not isinstance(chunk, (bytes, bytearray, memoryview)):  # bytes() makes some of much else
                    raise TypeError("response: the body has a %s; give str, bytes, dict, list, a file or an iterator" % type(chunk))
                chunk = bytes(chunk)
                if left > 0:
                    # Hosts stop there: a part of a file is the file from there on and this header.
                    chunk = chunk[:left]
                    left -= len(chunk)
                body.append(chunk)
                response.bytes_sent += len(chunk)
    finally:
        # A class-based iterator of the program's own need not have it.
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
    return b"".join(body)


def _events(body: bytes) -> "list[dict[str, Any]]":
    """Parse an event stream (HTML living standard, section 9.2.6)."""
    events: "list[dict[str, Any]]" = []
    event: "dict[str, Any]" = {}
    for line in body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        if not line:
            if event:
                data = event.setdefault("data", b"")
                for name in ("event", "event_id", "retry"):
                    event.setdefault(name, None)
                try:
                    event["data_json"] = json.loads(data.decode())
                except ValueError:
                    event["data_json"] = None
                events.append(event)
            event = {}
            continue
        colon = line.find(b":")
        if colon == 0:
            continue  # a comment
        field, value = (line[:colon], line[colon + 1 :]) if colon > 0 else (line, b"")
        if value[:1] == b" ":
            value = value[1:]
        if field == b"data":
            event["data"] = event["data"] + b"\n" + value if "data" in event else value
        elif field == b"event":
            event["event"] = value.decode()
        elif field == b"id":
            event["event_id"] = value.decode()
        elif field == b"retry" and value.isdigit():
            event["retry"] = int(value.decode()) / 1000
    return events


class _Peer:
    """The client's side of a WebSocket, played by a generator; and the message channel that the server gets.

    The generator moves on when the server asks for a message, and when the server sends one while another still waits. What
    the server sends waits in `_replies` until the generator asks for it with its next `yield`, and what the generator says
    meanwhile in `_messages` until the server does, so nothing is lost and nothing changes places.

    Args:
        client: the generator, None for a peer that is gone at once.
    """

    messages = True

    def __init__(self, client: "Any" = None) -> None:
        self._client = client
        self._replies: "list[str | bytes]" = []
        self._messages: "list[str | bytes]" = []
        self._arrived: "asyncio.Event | None" = None  # a reply has come for a generator that waits for one
        self._started = False
        self._moving = False  # an async generator is on its way to its next yield
        self._owed = False  # it has yielded a message and gets a value for that
        self.upgraded = False
        self.failure: "BaseException | None" = None  # what the generator raised: a test's failed assertion, mostly

    async def upgrade(self, request: Request, headers: "Mapping[str, str]") -> "_Peer":
        """Hand the connection over: the host's side of `request.upgrade()`."""
        self.upgraded = True
        return self

    def info(self, name: str, default: "Any" = None) -> "Any":
        """Return `peername`."""
        return ("127.0.0.1", 1234) if name == "peername" else default

    async def receive(self) -> "str | bytes | None":
        """Return the client's next message; None when it has gone."""
        while self._messages or self._client is not None:
            if self._messages:
                return self._messages.pop(0)
            if not self._moving and (self._replies or self._owed or not self._started):
                message = await self._step()
            else:
                # The client waits for a message, and so does the caller: another task of the server may send one.
                self._arrived = asyncio.Event()
                await self._arrived.wait()
                continue
            if message is not None:
                return message
        return None

    async def send(self, data: "str | bytes") -> None:
        """Send a message to the client.

        Raises:
            OSError: it has gone.
        """
        if self._client is None:
            raise OSError(32, "Websocket connection closed")
        self._replies.append(data)
        if self._arrived is not None:
            self._arrived.set()
        # A server that only sends must learn that the client has gone: by now it has seen what came before this.
        while len(self._replies) > 1 and self._client is not None and not self._moving:
            message = await self._step()
            if message is not None:
                self._messages.append(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection: the client sees what was sent before, and no more messages of its own arrive."""
        while self._client is not None and (self._replies or not self._started):
            await self._step()
        client, self._client = self._client, None
        if self._arrived is not None:
            self._arrived.set()
        if client is not None:
            try:
                if hasattr(client, "__anext__"):
                    await client.aclose()
                else:
                    client.close()
            except Exception as exc:  # the generator's own: given to the test
                self.failure = exc

    async def _step(self) -> "str | bytes | None":
        """Run the generator, with the next reply if there is one, to its next yield.

        Returns:
            its message, None when it sends none or has ended.
        """
        client = self._client
        value = self._replies.pop(0) if self._started and self._replies else None
        self._moving = True
        try:
            message: "str | bytes | None"
            if hasattr(client, "__anext__"):
                message = await client.asend(value)
            else:
                message = client.send(value)
            self._owed = message is not None
            return message
        except (StopIteration, StopAsyncIteration):
            self._client = None
        except Exception as exc:  # kept from the server, which would take it for an error of its own
            self._client = None
            self.failure = exc
        finally:
            self._started = True
            self._moving = False
            if self._arrived is not None:
                self._arrived.set()
        return None


class TestClient:
    """Send requests to an application.

    Args:
        app: the application.
        cookies: a dict of cookies by name to begin with. The client keeps in it those that the application sets.
        scheme: `"http"` (default) or `"https"`.
        host: the Host header, `"example.com:1234"` by default.

    Attributes:
        cookies: the cookies by name: a str, or (value, path) when the path is not `/`; these are sent when the path of a
            request begins with it.

    `async with TestClient(app) as client:` runs the application's start and stop hooks around the block.
    """

    __test__ = False

    def __init__(
        self,
        app: "Microdot",
        cookies: "dict[str, Any] | None" = None,
        scheme: "str | None" = None,
        host: "str | None" = None,
    ) -> None:
        self.app = app
        self.cookies: "dict[str, Any]" = {} if cookies is None else cookies
        self.scheme = scheme
        self.host = host or "example.com:1234"

    async def __aenter__(self) -> "TestClient":
        await self.app.begin()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.app.end()

    async def request(
        self,
        method: str,
        path: str,
        headers: "Mapping[str, Any] | None" = None,
        body: "Any" = None,
        sock: "Any" = None,
    ) -> TestResponse:
        """Send a request.

        Args:
            method: the HTTP method, sent as it is.
            path: path and query string, sent as they are.
            headers: a mapping of header names to values, sent as they are: a line end in a value ends the header line.
            body: bytes; str, sent as UTF-8; dict or list, sent as JSON; None for no body.
            sock: what the application finds in `request.sock`, instead of a pair of streams in memory.

        Returns:
            the response, read to its end.

        Raises:
            ValueError: the request can't be parsed, or a line is longer than `Request.max_readline`.
            Exception: whatever the body of the response raises.
        """
        # RFC 9110 section 7.8: there is no Upgrade in HTTP/1.0.
        version = "1.0" if _value(headers, "Upgrade") is None else "1.1"
        return await self._request(method, path, headers, body, sock, _Peer(), version)

    async def get(self, path: str, headers: "Mapping[str, Any] | None" = None) -> TestResponse:
        """Send a GET request; see `request()`."""
        return await self.request("GET", path, headers)

    async def post(self, path: str, headers: "Mapping[str, Any] | None" = None, body: "Any" = None) -> TestResponse:
        """Send a POST request; see `request()`."""
        return await self.request("POST", path, headers, body)

    async def put(self, path: str, headers: "Mapping[str, Any] | None" = None, body: "Any" = None) -> TestResponse:
        """Send a PUT request; see `request()`."""
        return await self.request("PUT", path, headers, body)

    async def patch(self, path: str, headers: "Mapping[str, Any] | None" = None, body: "Any" = None) -> TestResponse:
        """Send a PATCH request; see `request()`."""
        return await self.request("PATCH", path, headers, body)

    async def delete(self, path: str, headers: "Mapping[str, Any] | None" = None) -> TestResponse:
        """Send a DELETE request; see `request()`."""
        return await self.request("DELETE", path, headers)

    async def query(self, path: str, headers: "Mapping[str, Any] | None" = None, body: "Any" = None) -> TestResponse:
        """Send a QUERY request; see `request()`."""
        return await self.request("QUERY", path, headers, body)

    async def websocket(
        self, path: str, client: "Callable[[], Any]", headers: "Mapping[str, Any] | None" = None
    ) -> TestResponse:
        """Open a WebSocket, play the client's side, and wait until the handler has ended.

            def client():
                reply = yield "hello"       # send a message, and take the server's next one
                assert reply == "hello to you"
                another = yield None        # send nothing, and wait for the server's next message
                                            # the end closes the connection

        Each message of the server is the value of one `yield`, in order. When the server asks for the next message without
        having sent one, the value is None.

        Args:
            path: path and query string.
            client: a function without arguments that returns a generator, or on CPython an async generator, of str and
                bytes messages.
            headers: more headers of the handshake; they replace the usual ones of that name.

        Returns:
            the response: its body is None when the connection was upgraded, else it says why not.

        Raises:
            Exception: whatever the client's generator raises, a failed assertion above all.
        """
        peer = _Peer(client())
        handshake: "dict[str, Any]" = {}
        for name in _WEBSOCKET:
            if _value(headers, name) is None:
                handshake[name] = _WEBSOCKET[name]
        for name in headers or {}:
            handshake[name] = (headers or {})[name]
        try:
            # RFC 6455 section 4.1: a handshake is an HTTP/1.1 request.
            return await self._request("GET", path, handshake, None, None, peer, "1.1")
        finally:
            if peer.failure is not None:
                raise peer.failure

    async def _request(
        self, method: str, path: str, headers: "Mapping[str, Any] | None", body: "Any", sock: "Any", peer: _Peer, version: str
    ) -> TestResponse:
        kind = None
        if body is None:
            body = b""
        elif isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            kind = "application/json"
        elif isinstance(body, str):
            body = body.encode()
        head = self._head(method, path, version, headers, kind, len(body))
        if sock is None:
            sock = (AsyncBytesIO(head + body), AsyncBytesIO(b""))
        # Read as contract section 3.7 says, then once more as a host does: with the body still to come, so that the hooks
        # that run before it is read find it unread.
        parsed = await Request.create(self.app, AsyncBytesIO(head + body), sock[1], ("127.0.0.1", 1234), scheme=self.scheme)
        if parsed is None:
            raise ValueError("no request: give a method")
        request = Request(
            self.app,
            parsed.client_addr,
            parsed.method,
            parsed.url,
            parsed.http_version,
            parsed.headers,
            stream=AsyncBytesIO(await parsed.stream.read(parsed.content_length)) if parsed.content_length else None,
            sock=sock,
            scheme=self.scheme,
        )
        request.connection = peer
        response = None
        failure: "BaseException | None" = None
        try:
            response = await self.app.dispatch(request)
            result = await TestResponse.create(response)
            if peer.upgraded:
                await peer.close()
        except BaseException as exc:
            failure = exc
            raise
        finally:
            self.app.finish(request, response, failure)
        self._keep_cookies(result.headers)
        return result

    def _head(
        self, method: str, path: str, version: str, headers: "Mapping[str, Any] | None", kind: "str | None", length: int
    ) -> bytes:
        """Return the head of a request: the caller's headers, and those that it left out."""
        lines = ["%s %s HTTP/%s" % (method, path, version)]
        cookie = _value(headers, "Cookie")
        for name in headers or {}:
            if name.lower() != "cookie":
                lines.append("%s: %s" % (name, (headers or {})[name]))
        cookies = [cookie] if cookie else []
        for name in self.cookies:
            value = self.cookies[name]
            if isinstance(value, tuple):
                value, below = value
                if not path.startswith(below):
                    continue
            cookies.append("%s=%s" % (name, value))
        for name, default in (
            ("Host", self.host),
            ("Content-Type", kind),
            ("Content-Length", length or None),
        ):
            if default is not None and _value(headers, name) is None:
                lines.insert(1, "%s: %s" % (name, default))
        if cookies:
            lines.insert(1, "Cookie: " + "; ".join(cookies))
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _keep_cookies(self, headers: "Mapping[str, Any]") -> None:
        """Take over the cookies that a response sets, and forget those that it deletes."""
        lines = _value(headers, "Set-Cookie") or []
        for line in [lines] if isinstance(lines, str) else lines:
            parts = line.split(";")
            name, _, value = parts[0].strip().partition("=")
            path = "/"
            deleted = False
            for part in parts[1:]:
                attribute, _, argument = part.strip().partition("=")
                attribute = attribute.lower()
                if attribute == "path":
                    path = argument or "/"
                elif attribute == "max-age":
                    deleted = deleted or _is_past(argument)
                elif attribute == "expires":
                    deleted = deleted or "1 jan 1970" in argument.lower()
            if deleted:
                # A cookie of another path is another cookie (RFC 6265 section 5.3).
                if name in self.cookies:
                    kept = self.cookies[name]
                    if path == (kept[1] if isinstance(kept, tuple) else "/"):
                        del self.cookies[name]
            else:
                self.cookies[name] = value if path == "/" else (value, path)


def _is_past(max_age: str) -> bool:
    """Tell whether a Max-Age deletes the cookie; what is no number says nothing (RFC 6265 section 5.2.2)."""
    try:
        return int(max_age) <= 0
    except ValueError:
        return False


def _value(headers: "Mapping[str, Any] | None", name: str) -> "Any":
    """Return the value of a header in whatever spelling the caller chose, None when it isn't there."""
    name = name.lower()
    for given in headers or {}:
        if given.lower() == name:
            return (headers or {})[given]
    return None
