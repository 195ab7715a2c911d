"""Publish and subscribe in memory: topics, queues and their policies, replay, and feeding clients.

Portable: CPython, MicroPython.
"""

import asyncio
import gc

from microdot import Microdot, Request
from microdot.pubsub import PubSub, Subscription, matches
from microdot.test_client import TestClient
from support.checks import CPYTHON, raised, raised_async

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    from microdot.sse import SSE, with_sse
    from microdot.websocket import WebSocket, with_websocket
except ImportError:  # installed without its sisters
    SSE = None  # type: ignore[assignment, misc]


async def take(subscription: Subscription, count: int) -> "list[Any]":
    """Return the data of the next messages."""
    got: "list[Any]" = []
    while len(got) < count:
        got.append((await asyncio.wait_for(subscription.__anext__(), 2)).data)
    return got


def test_matches() -> None:
    for pattern, topic, expected in (
        ("a", "a", True),
        ("a", "ab", False),
        ("a", "", False),
        ("a", "ba", False),
        ("a/*", "ba/b", False),
        ("a*b", "cab", False),
        ("*", "", True),
        ("*", "any/thing", True),
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", True),
        ("a/*", "a/", True),
        ("a/*", "a", False),
        ("*/temp", "kitchen/temp", True),
        ("*/temp", "temp", False),
        ("a*b", "ab", True),
        ("a*b", "aab", True),
        ("a*b", "abc", False),
        ("aa*aa", "aaa", False),
        ("aa*aa", "aaaa", True),
        ("a*b*c", "a1b2c", True),
        ("a*b*c", "acb", False),
        ("a*b*c", "abc", True),
        ("a*bc*c", "abc", False),
        ("a**b", "ab", True),
        ("*a*", "bab", True),
        ("*a*", "bbb", False),
        ("a.b", "axb", False),
        ("[a]", "a", False),
        ("?", "x", False),
    ):
        assert matches(pattern, topic) is expected, (pattern, topic)


async def test_publish_and_subscribe() -> None:
    bus = PubSub()
    assert await bus.publish("room/1", "nobody hears")
    one = bus.subscribe("room/1")
    rooms = bus.subscribe("room/*")
    two = bus.subscribe(("room/2", "other"))
    for topic, data in (("room/1", "a"), ("room/2", b"b"), ("other", {"c": 1}), ("third", None)):
        await bus.publish(topic, data)
    assert await take(one, 1) == ["a"]
    assert await take(rooms, 2) == ["a", b"b"]
    assert await take(two, 2) == [b"b", {"c": 1}]
    for subscription in (one, rooms, two):
        assert not subscription.queue
        subscription.close()
    assert not bus.subscriptions


async def test_the_loop_of_the_issue() -> None:
    bus = PubSub()
    got: "list[Any]" = []

    async def listen() -> None:
        async for message in bus.subscribe("t"):
            got.append((message.topic, message.data))
            if message.data == 2:
                break

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    for i in range(4):
        await bus.publish("t", i)
    await asyncio.wait_for(task, 2)
    assert got == [("t", 0), ("t", 1), ("t", 2)]


async def test_a_cancelled_subscriber_leaves_nothing() -> None:
    bus = PubSub()

    async def listen() -> None:
        async for _ in bus.subscribe("t"):
            pass

    task = asyncio.create_task(listen())
    await asyncio.sleep(0.01)
    assert len(bus.subscriptions) == 1
    task.cancel()
    await raised_async(asyncio.CancelledError, task)
    assert not bus.subscriptions


async def test_a_loop_that_was_left_is_closed() -> None:
    # On a board nobody tells that an exception has left `async for`: the queue is bounded, and then the whole thing goes.
    bus = PubSub()
    subscription = bus.subscribe("t", size=4)
    for i in range(400):
        await bus.publish("t", i)
        assert len(subscription.queue) <= 4
    assert subscription.closed and not bus.subscriptions
    assert subscription.lost > 256


async def test_policies() -> None:
    for policy, expected, lost in (("oldest", [2, 3, 4], 2), ("latest", [3, 4], 3)):
        bus = PubSub()
        subscription = bus.subscribe("t", policy, 3)
        quick = bus.subscribe("t", size=5)
        for i in range(5):
            await bus.publish("t", i)
        assert [message.data for message in subscription.queue] == expected, (policy, subscription.queue)
        assert subscription.lost == lost, (policy, subscription.lost)
        assert await take(quick, 5) == list(range(5))  # nobody else is slowed or loses anything
    bus = PubSub()
    subscription = bus.subscribe("t", policy="close", size=3)
    for i in range(5):
        await bus.publish("t", i)
    assert subscription.closed and subscription.lost and not bus.subscriptions
    await raised_async(StopAsyncIteration, subscription.__anext__())
    raised(ValueError, bus.subscribe, "t", "newest")


async def test_publishers_wait() -> None:
    bus = PubSub()
    slow = bus.subscribe("t", policy="wait", size=2)
    quick = bus.subscribe("t")
    published: "list[int]" = []

    async def publish() -> None:
        for i in range(6):
            await bus.publish("t", i)
            published.append(i)

    task = asyncio.create_task(publish())
    await asyncio.sleep(0.02)
    assert published == [0, 1]
    assert await take(quick, 3) == [0, 1, 2]  # it has what the publisher still waits for
    assert await take(slow, 3) == [0, 1, 2]
    await asyncio.sleep(0.02)
    assert len(published) > 2
    slow.close()  # whoever waits for it goes on
    await asyncio.wait_for(task, 2)
    assert published == list(range(6))


async def test_replay() -> None:
    bus = PubSub(history=4)
    ids = await _publish(bus, 3)
    assert len(set(ids)) == 3
    assert await take(bus.subscribe("t", after=ids[0]), 2) == [1, 2]
    late = bus.subscribe("t", after=ids[2])
    assert not late.queue and not late.lost
    assert await take(bus.subscribe("t", after=""), 3) == [0, 1, 2]
    assert not bus.subscribe("t").queue
    assert not bus.subscribe("other", after="").queue
    for i in range(3, 6):
        await bus.publish("t", i)
    gone = bus.subscribe("t", after=ids[0])  # kept: 2, 3, 4, 5
    assert gone.lost == 1 and await take(gone, 4) == [2, 3, 4, 5]
    # An id of another process says nothing here.
    assert PubSub(history=4)._count != bus._count
    other = bus.subscribe("t", after="zzzzzz-4")
    assert other.lost == 1 and len(other.queue) == 4


async def _publish(bus: PubSub, count: int) -> "list[str]":
    ids = []
    for i in range(count):
        ids.append(await bus.publish("t", i))
    return ids


async def test_feeding_an_event_stream() -> None:
    if SSE is None:
        return
    bus = PubSub(history=10)
    app = Microdot()

    @app.route("/events")
    @with_sse
    async def events(request: Request, sse: SSE) -> None:
        feed = asyncio.create_task(bus.feed(sse, "t*"))
        await asyncio.sleep(0.02)
        await bus.publish("t1", "live")
        await asyncio.sleep(0.02)
        feed.cancel()

    first = await bus.publish("t", "first")
    second = await bus.publish("t", {"n": 2})
    response = await TestClient(app).get("/events", headers={"Last-Event-ID": first})
    assert response.events is not None
    assert [event["data"] for event in response.events] == [b'{"n": 2}', b"live"]
    assert response.events[0]["event_id"] == second
    response = await TestClient(app).get("/events")
    assert [event["data"] for event in response.events or []] == [b"live"]
    assert not bus.subscriptions


async def test_history_for_who_comes_and_the_rest_for_who_returns() -> None:
    if SSE is None:
        return
    bus = PubSub(history=10)
    app = Microdot()

    @app.route("/events")
    @with_sse
    async def events(request: Request, sse: SSE) -> None:
        feed = asyncio.create_task(bus.feed(sse, "t", after=""))
        await asyncio.sleep(0.02)
        feed.cancel()

    ids = await _publish(bus, 3)
    for last, expected in ((None, [b"0", b"1", b"2"]), (ids[1], [b"2"]), (ids[2], []), ("gone-1", [b"0", b"1", b"2"])):
        response = await TestClient(app).get("/events", headers={"Last-Event-ID": last} if last else None)
        assert [event["data"] for event in response.events or []] == expected, last


async def test_feeding_a_websocket() -> None:
    if SSE is None:
        return
    bus = PubSub()
    app = Microdot()
    got: "list[Any]" = []

    @app.route("/")
    @with_websocket
    async def index(request: Request, ws: WebSocket) -> None:
        feed = asyncio.create_task(bus.feed(ws, "*"))
        try:
            async for message in ws:
                await bus.publish("said", message)
                await asyncio.sleep(0.01)
                await bus.publish("json", {"length": len(message)})
                await asyncio.sleep(0.01)
        finally:
            feed.cancel()

    def client() -> "Any":
        got.append((yield "hello"))
        got.append((yield None))
        got.append((yield b"raw"))
        got.append((yield None))

    await TestClient(app).websocket("/", client)
    assert got == ["hello", '{"length": 5}', b"raw", '{"length": 3}'], got
    await asyncio.sleep(0.01)
    assert not bus.subscriptions


async def test_heap_of_subscribers() -> None:
    if CPYTHON:
        return
    bus = PubSub()
    count = 40
    gc.collect()
    before = gc.mem_alloc()  # type: ignore[attr-defined]
    for _ in range(count):
        bus.subscribe("sensors/*")
    gc.collect()
    each = (gc.mem_alloc() - before) // count  # type: ignore[attr-defined]
    assert each < 500, each
