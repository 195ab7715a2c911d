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

# Messages that a subscriber may miss without taking any before it is taken for forgotten and closed: a loop that was left by an
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
    parts = pattern.split("*")
    last = parts.pop()
    if not (parts and topic.startswith(parts[0])):
        return topic == pattern
    for part in parts:
        at = topic.find(part)
        if at < 0:
            return False
        topic = topic[at + len(part) :]
    return topic.endswith(last)


class Subscription:
    """An async iterator over messages. `PubSub.subscribe()` makes it.

    It ends its subscription when the task that waits for a message is cancelled, and with `close()`.

    Attributes:
        lost: how many messages this subscriber did not get; a gap of unknown size counts as one.
        closed: no more come.
    """

    lost = 0
    closed = False
    _before = 0  # of them, when it took its last message

    def __init__(self, bus: "PubSub", topics: "Sequence[str]", policy: str, size: int) -> None:
        self.bus = bus
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
        self._before = self.lost
        self.event.set()
        return self.queue.pop(0)

    def close(self) -> None:
        """End the subscription; messages that came before can still be taken."""
        self.closed = True
        self.bus.subscriptions.discard(self)
        self.event.set()

    async def wait(self) -> None:
        """Wait until a message is put or taken, or the subscription ends."""
        self.event.clear()
        await self.event.wait()

    def put(self, message: Message) -> bool:
        """Add a message, as the policy says, if its topic was subscribed to; True when the publisher should wait."""
        for pattern in self.topics:
            if matches(pattern, message.topic):
                break
        else:
            return False
        queue = self.queue
        full = len(queue) >= self.size
        if full and self.policy != "wait":
            self.lost += 1
            if self.policy == "oldest":
                queue.pop(0)
            else:
                self.lost += len(queue) - 1
                queue.clear()
            if self.policy == "close" or self.lost - self._before > _FORGOTTEN:
                self.close()
                return False
        queue.append(message)
        self.event.set()
        return full

    async def _feed(self, target: "Any") -> None:
        stream = hasattr(target, "last_event_id")
        try:
            async for message in self:
                data = message.data
                if stream:
                    await target.send(data, None, message.id)
                else:
                    await target.send(data if isinstance(data, (str, bytes)) else json.dumps(data))
        finally:
            self.close()


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
        # An id of another life of this process must not be taken for one of this.
        self._count = int.from_bytes(urandom(4), "big")

    async def publish(self, topic: str, data: "Any") -> str:
        """Publish a message; waits for nobody but subscribers whose policy is "wait".

        Args:
            topic: such as `room/1`; without `*`.
            data: anything; what crosses the network is str, bytes, or what JSON knows.

        Returns:
            the id of the message.
        """
        self._count += 1
        message = Message(topic, data, str(self._count))
        for subscription in self.deliver(message):
            while len(subscription.queue) > subscription.size and not subscription.closed:
                await subscription.wait()
        return message.id

    def deliver(self, message: Message) -> "list[Subscription]":
        """Give a message to its subscribers; return those that the publisher should wait for."""
        self._kept.append(message)
        if len(self._kept) > self.history:
            self._kept.pop(0)
        waiting = []
        for one in list(self.subscriptions):
            if one.put(message):
                waiting.append(one)
        return waiting

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
            raise ValueError("policy")
        subscription = Subscription(self, (topics,) if isinstance(topics, str) else topics, policy, size)
        if after is not None:
            missed = []
            for message in self._kept:
                missed.append(message)
                if message.id == after:  # up to here it has seen them all
                    missed = []
                    after = ""
            if after:
                subscription.lost = 1
            for message in missed:
                subscription.put(message)
        self.subscriptions.add(subscription)
        return subscription

    def feed(
        self, target: "Any", topics: "str | Sequence[str]", after: "str | None" = None, **settings: "Any"
    ) -> "Coroutine[Any, Any, None]":
        """Subscribe, and return a coroutine that sends every message to a WebSocket or an event stream until that ends.

            await bus.feed(sse, "sensors/*")
            task = asyncio.create_task(bus.feed(ws, "chat"))

        A WebSocket gets the data, as JSON when it is neither str nor bytes. An event stream gets the ids too, so that a
        browser that reconnects gets what was kept meanwhile.

        Args:
            target: a `WebSocket` or an `SSE`.
            topics: as for `subscribe()`, and so are the settings.
            after: the same; for an event stream it is where those begin who come for the first time: `""` gives them all
                that is kept. Who comes back goes on where it was.
            settings: `policy` and `size`.

        Raises:
            OSError: the WebSocket has ended.
        """
        after = getattr(target, "last_event_id", None) or after
        # At once, not when the coroutine runs: what is published in between is not missed.
        return self.subscribe(topics, after=after, **settings)._feed(target)
