"""Topics that several processes and machines share through Redis or Valkey. CPython only.

    bus = RedisPubSub("redis://127.0.0.1:6379/0")
    app.install(bus)

All messages of a bus go through one Redis stream, so every process sees them in the same order, and one that has lost its
connection reads on where it was. Each process reads the stream once, whatever the number of its subscribers, and puts the
messages into their queues, which never wait: a slow subscriber slows nobody.
"""

import asyncio
import json
from collections import deque
from os import urandom
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .pubsub import Message, PubSub, Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microdot import Microdot

_BATCH = 500  # messages per command
_BLOCK = 5000  # milliseconds that Redis may wait for the next message
_FIRST_DELAY = 0.05  # seconds before the first new attempt to connect, doubled for each one after it …
_LAST_DELAY = 2.0  # … up to this
_PUBLISHERS = 4096  # processes whose last message is remembered

_TROUBLE = (RedisError, OSError, asyncio.TimeoutError)


class PublishError(OSError):
    """A message was not published, or nobody knows whether it was: the broker did not answer in time."""


class RedisPubSub(PubSub):
    """Topics in a Redis or Valkey server.

    Args:
        url: where it is, as redis-py's `from_url` takes it.
        name: the stream that holds the messages; those of other names know nothing of each other.
        history: how many messages are kept, in Redis and in each process: what can be replayed, and what a process can
            catch up on when it has lost its connection.
        publish_timeout: seconds that `publish()` tries, over lost connections, before it raises `PublishError`.
        max_unsent: messages that may wait for the broker; one more raises `PublishError` at once.

    Attributes:
        connected: whether the last exchange with the broker went well.
        gaps: how many times messages may have been missed for good, because the broker had lost or trimmed them. Every
            subscription then counts one more in `lost`.
    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379/0",
        name: str = "microdot",
        history: int = 1000,
        publish_timeout: float = 10,
        max_unsent: int = 10000,
    ) -> None:
        super().__init__(history)
        self.url = url
        self.name = name
        self.publish_timeout = publish_timeout
        self.max_unsent = max_unsent
        self.connected = False
        self.gaps = 0
        self._last: "str | None" = None  # the id of the last message read
        self._me = urandom(8).hex()
        self._number = 0
        self._seen: "dict[str, int]" = {}  # the last number of each publisher: a repeated one was sent twice
        self._unsent: "deque[tuple[dict[str, Any], asyncio.Future[str]]]" = deque()
        self._wake = asyncio.Event()
        self._tasks: "list[asyncio.Task[None]]" = []
        self._ready = asyncio.Event()

    def setup(self, app: "Microdot") -> None:
        """Start and stop with the server of an application."""
        app.on("start", self.start)
        app.on("stop", self.stop)

    async def start(self, app: "Microdot | None" = None) -> None:
        """Connect; a broker that is not there is tried again until it is."""
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            await asyncio.wait_for(self._ready.wait(), 2)
        except asyncio.TimeoutError:
            pass  # it comes when it comes; what is published meanwhile waits

    async def stop(self, app: "Microdot | None" = None) -> None:
        """Disconnect, and end all subscriptions."""
        tasks = self._tasks
        self._tasks = []
        while tasks:
            for task in tasks:
                task.cancel()
            # Once may not be enough: redis-py can swallow a cancellation that comes while it connects.
            tasks = list((await asyncio.wait(tasks, timeout=0.2))[1])
        self._ready.clear()
        for _, future in self._unsent:
            if not future.done():
                future.set_exception(PublishError("the bus was stopped"))
                future.exception()  # whoever waits gets it; nobody need
        self._unsent.clear()
        for subscription in list(self.subscriptions):
            subscription.close()

    async def publish(self, topic: str, data: Any) -> str:
        """Publish a message, and wait until the broker has it.

        Args:
            topic: such as `room/1`; without `*`.
            data: str, bytes, or what JSON knows.

        Returns:
            the id of the message.

        Raises:
            PublishError: the broker did not take it within `publish_timeout`, or too many messages wait for it.
            TypeError: JSON does not know such data.
        """
        if len(self._unsent) >= self.max_unsent:
            raise PublishError("%d messages wait for the broker" % len(self._unsent))
        kind = "s" if isinstance(data, str) else "b" if isinstance(data, bytes) else "j"
        fields = {"t": topic, "k": kind, "d": json.dumps(data) if kind == "j" else data, "p": self._me, "n": 0}
        future: "asyncio.Future[str]" = asyncio.get_running_loop().create_future()
        item = fields, future
        self._unsent.append(item)
        self._wake.set()
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.publish_timeout)
        except asyncio.TimeoutError:
            future.cancel()  # it is not sent any more, if it was not
            raise PublishError("the broker did not answer in %g seconds" % self.publish_timeout) from None

    def subscribe(
        self, topics: "str | Sequence[str]", policy: str = "oldest", size: int = 256, after: "str | None" = None
    ) -> Subscription:
        """Subscribe; see `PubSub.subscribe()`. The policy "wait" is none here: it would make all wait for one.

        Raises:
            ValueError: there is no such policy.
        """
        if policy == "wait":
            raise ValueError("pubsub: publishers elsewhere cannot wait; policy is oldest, latest or close")
        return super().subscribe(topics, policy, size, after)

    def _client(self) -> Any:  # redis-py's types leave open what the settings of the client decide
        # Retrying is done here, where it is known what was sent; a broker that is silent is one that has gone.
        return Redis.from_url(
            self.url, socket_timeout=_BLOCK / 1000 + 5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    async def _read(self) -> None:
        delay = _FIRST_DELAY
        while True:
            client = self._client()
            try:
                await self._find_place(client)
                self._ready.set()
                while True:
                    self.connected = True
                    delay = _FIRST_DELAY
                    reply = await client.xread({self.name: self._last or "0-0"}, count=_BATCH, block=_BLOCK)
                    for _, entries in reply.items() if isinstance(reply, dict) else reply or ():
                        for entry in entries[0] if entries and isinstance(entries[0], list) else entries:
                            self._take(*entry)
            except _TROUBLE:
                self.connected = False
            finally:
                await _close(client)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LAST_DELAY)

    async def _find_place(self, client: Any) -> None:
        """Find where to read on, and report what cannot be read any more."""
        if self._last is None:
            for entry_id, fields in reversed(await client.xrevrange(self.name, count=max(self.history, 1))):
                self._take(entry_id, fields)
            self._last = self._last or "0-0"
            return
        if self._last == "0-0" or await client.xrange(self.name, self._last, self._last):
            return
        # The stream no longer has the last message read: it was trimmed beyond it, or the broker lost its memory.
        newest = await client.xrevrange(self.name, count=1)
        if newest and _order(_text(newest[0][0])) < _order(self._last):
            self._last = "0-0"  # a new stream, by a clock that goes behind
        self.gaps += 1
        for subscription in self.subscriptions:
            subscription.lost += 1

    def _take(self, entry_id: Any, fields: "dict[bytes, bytes]") -> None:
        self._last = message_id = _text(entry_id)
        try:
            publisher = fields[b"p"].decode()
            number = int(fields[b"n"])
            kind = fields[b"k"]
            data: Any = fields[b"d"]
            topic = fields[b"t"].decode()
            if kind == b"j":
                data = json.loads(data)
            elif kind == b"s":
                data = data.decode()
        except (KeyError, ValueError):
            return  # somebody else writes to this stream
        if number <= self._seen.get(publisher, 0):
            return
        self._seen.pop(publisher, None)
        self._seen[publisher] = number
        if len(self._seen) > _PUBLISHERS:
            del self._seen[next(iter(self._seen))]
        self.deliver(Message(topic, data, message_id))

    async def _write(self) -> None:
        delay = _FIRST_DELAY
        client = self._client()
        try:
            while True:
                while not self._unsent:
                    self._wake.clear()
                    await self._wake.wait()
                batch = []
                for fields, future in list(self._unsent)[:_BATCH]:
                    if not future.done():
                        if not fields["n"]:
                            # Given once: a message that is sent again after a lost connection keeps its number.
                            self._number += 1
                            fields["n"] = self._number
                        batch.append((fields, future))
                try:
                    pipe = client.pipeline(transaction=False)
                    for fields, _ in batch:
                        pipe.xadd(self.name, fields, maxlen=max(self.history, _BATCH))
                    ids = await pipe.execute()
                except _TROUBLE:
                    await _close(client)
                    await asyncio.sleep(delay)
                    delay = min(2 * delay, _LAST_DELAY)
                    client = self._client()
                    continue
                delay = _FIRST_DELAY
                for (_, future), message_id in zip(batch, ids):
                    if not future.done():
                        future.set_result(_text(message_id))
                while self._unsent and self._unsent[0][1].done():
                    self._unsent.popleft()
        finally:
            await _close(client)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _order(message_id: str) -> "tuple[int, int]":
    time, _, number = message_id.partition("-")
    return int(time), int(number)


async def _close(client: Any) -> None:
    try:
        await client.aclose()
    except _TROUBLE:
        pass
