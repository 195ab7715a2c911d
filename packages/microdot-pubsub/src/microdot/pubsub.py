"""Publish and subscribe, in memory; `pubsub_redis.py` shares topics between processes and machines.

    bus = PubSub()
    await bus.publish("room/1", "hello")
    async for message in bus.subscribe("room/*"):
        print(message.topic, message.data)

Each subscription has a bounded queue of its own, so nobody waits for one that is slow unless its policy says so.
"""

import json
from asyncio import Event
from os import urandom

from .http import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from typing import Any

# Messages in a row that a subscriber may miss before it is taken for forgotten and closed: a loop that was left by an
# exception cannot say so on a board.
_FORGOTTEN = const(256)


class Message:
    """What was published: one object for all subscribers.

    Attributes:
        topic: the topic.
        data: what was published.
        id: a str, for `subscribe(after=…)` and for the ids of server-sent events.
    """

    def __init__(self, topic: str, data: "Any", id: str) -> None:
        self.topic = topic
        self.data = data
        self.id = id


def matches(pattern: str, topic: str) -> bool:
    """Tell whether a topic is one of a pattern's, in which each `*` stands for any characters or none.

    >>> matches("sensors/*/temperature", "sensors/kitchen/temperature"), matches("sensors/*", "alarm")
    (True, False)
    """
    if "*" not in pattern:
        return pattern == topic
    parts = pattern.split("*")
    at = len(parts[0])
    end = len(topic) - len(parts[-1])
    if end < at or topic[:at] != parts[0] or topic[end:] != parts[-1]:
        return False
    for part in parts[1:-1]:
        at = topic.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


class Subscription:
    """An async iterator over messages. `PubSub.subscribe()` makes it.

    It ends its subscription when the task that waits for a message is cancelled, and with `close()` or `async with`.

    Attributes:
        lost: how many messages this subscriber did not get; a gap of unknown size counts as one.
        closed: no more come.
    """

    lost = 0
    closed = False
    _missed = 0  # in a row

    def __init__(self, bus: "PubSub", topics: "Sequence[str]", policy: str, size: int) -> None:
        self._bus = bus
        self.topics = topics
        self.policy = policy
        self.size = size
        self.queue: "list[Message]" = []
        # Set when a message is put or taken, or the subscription ends: nobody waits for a message while others wait for room.
        self.event = Event()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Message:
        try:
            while not self.queue:
                if self.closed:
                    raise StopAsyncIteration
                await self.wait()
        except BaseException:  # CancelledError above all
            self.close()
            raise
        self._missed = 0
        message = self.queue.pop(0)
        self.event.set()
        return message

    async def __aenter__(self) -> "Subscription":
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the subscription; messages that came before can still be taken."""
        self.closed = True
        self._bus.subscriptions.discard(self)
        self.event.set()

    async def wait(self) -> None:
        """Wait until a message is put or taken, or the subscription ends."""
        self.event.clear()
        await self.event.wait()

    def wants(self, topic: str) -> bool:
        """Tell whether a topic was subscribed to."""
        for pattern in self.topics:
            if matches(pattern, topic):
                return True
        return False

    def put(self, message: Message) -> bool:
        """Add a message as the policy says; True when the publisher should wait."""
        queue = self.queue
        full = len(queue) >= self.size
        if full and self.policy != "wait":
            self._missed += 1
            self.lost += 1
            if self.policy == "oldest":
                queue.pop(0)
            else:
                self.lost += len(queue) - 1
                queue.clear()
            if self.policy == "close" or self._missed > _FORGOTTEN:
                self.close()
                return False
        queue.append(message)
        self.event.set()
        return full


class PubSub:
    """Topics in the memory of one process.

    Args:
        history: how many messages are kept for subscribers that come back.

    Attributes:
        subscriptions: the open ones.
    """

    def __init__(self, history: int = 0) -> None:
        self.history = history
        self.subscriptions: "set[Subscription]" = set()
        self._kept: "list[Message]" = []
        self._count = 0
        # An id of another life of this process must not be taken for one of this.
        self._life = urandom(3).hex() + "-"

    async def publish(self, topic: str, data: "Any") -> str:
        """Publish a message; waits for nobody but subscribers whose policy is "wait".

        Args:
            topic: such as `room/1`; without `*`.
            data: anything; what crosses the network is str, bytes, or what JSON knows.

        Returns:
            the id of the message.
        """
        self._count += 1
        message = Message(topic, data, self._life + str(self._count))
        for subscription in self.deliver(message):
            while len(subscription.queue) > subscription.size and not subscription.closed:
                await subscription.wait()
        return message.id

    def deliver(self, message: Message) -> "list[Subscription]":
        """Give a message to its subscribers; return those that the publisher should wait for."""
        if self.history:
            if len(self._kept) >= self.history:
                self._kept.pop(0)
            self._kept.append(message)
        return [one for one in list(self.subscriptions) if one.wants(message.topic) and one.put(message)]

    def subscribe(
        self, topics: "str | Sequence[str]", policy: str = "oldest", size: int = 32, after: "str | None" = None
    ) -> Subscription:
        """Subscribe; messages published from now on come.

        Args:
            topics: one or several; a `*` stands for any characters.
            policy: what happens when `size` messages wait: drop the "oldest", keep the "latest" only, "close" this
                subscription, or have publishers "wait".
            size: how many messages may wait.
            after: the id of the last message seen: what was kept of those after it comes first. With an id that is not
                kept any more that is all there is, and `lost` says so; `""` is all there is.

        Raises:
            ValueError: there is no such policy.
        """
        if policy not in ("oldest", "latest", "close", "wait"):
            raise ValueError("pubsub: no such policy")
        subscription = Subscription(self, (topics,) if isinstance(topics, str) else topics, policy, size)
        if after is not None:
            start = 0
            for i in range(len(self._kept)):
                if self._kept[i].id == after:
                    start = i + 1
            if after and not start:
                subscription.lost = 1
            for message in self._kept[start:]:
                if subscription.wants(message.topic):
                    subscription.put(message)
        self.subscriptions.add(subscription)
        return subscription

    def feed(self, target: "Any", topics: "str | Sequence[str]", **settings: "Any") -> "Coroutine[Any, Any, None]":
        """Subscribe, and return a coroutine that sends every message to a WebSocket or an event stream until that ends.

            await bus.feed(sse, "sensors/*")
            task = asyncio.create_task(bus.feed(ws, "chat"))

        A WebSocket gets the data, as JSON when it is neither str nor bytes. An event stream gets the ids too, so that a
        browser that reconnects gets what was kept meanwhile.

        Args:
            target: a `WebSocket` or an `SSE`.
            topics: as for `subscribe()`, and so are the settings. For an event stream `after` is where those begin who come
                for the first time: `""` gives them all that is kept. Who comes back goes on where it was.

        Raises:
            OSError: the WebSocket has ended.
        """
        stream = hasattr(target, "last_event_id")
        if stream:
            settings["after"] = target.last_event_id or settings.get("after")
        # At once, not when the coroutine runs: what is published in between is not missed.
        return _feed(self.subscribe(topics, **settings), target, stream)


async def _feed(subscription: Subscription, target: "Any", stream: bool) -> None:
    try:
        async for message in subscription:
            data = message.data
            if stream:
                await target.send(data, None, message.id)
            else:
                await target.send(data if isinstance(data, (str, bytes)) else json.dumps(data))
    finally:
        subscription.close()
