"""What microdot.sse does a quicker way on CPython gives what boards do (CPython only)."""

from __future__ import annotations

import asyncio
from typing import Any

from microdot.sse import SSE


def slow_send() -> Any:
    """Return the `send()` that boards have, which the quick one keeps for what is out of the ordinary."""
    cells = SSE.send.__closure__ or ()
    names = SSE.send.__code__.co_freevars
    return dict(zip(names, cells))["slow"].cell_contents


async def test_events_are_written_alike() -> None:
    slow = slow_send()
    assert slow is not SSE.send
    for data in ("", "text", "é", "two\nlines", "two\r\nlines\r", b"bytes\n", {"a": 1}, [1], 5, None, 1.5, True):
        for more in ({}, {"event": "kind"}, {"event": ""}, {"event_id": 7}, {"event_id": ""}, {"retry": 1.5}, {"comment": True}):
            one, other = SSE(), SSE()
            await slow(one, data, **more)
            await SSE.send(other, data, **more)
            assert one.queue == other.queue and len(one.queue) == 1, (data, more)
            assert one.event.is_set() and other.event.is_set()
    closed = SSE()
    closed.server_stops()
    await closed.send("dropped")
    assert closed.queue == []


async def test_a_full_queue_waits_and_goes_on() -> None:
    sse = SSE()
    sse.max_queue = 2
    seen: list[int] = []

    async def produce() -> None:
        for n in range(7):
            await sse.send(str(n))
            seen.append(n)

    task = asyncio.create_task(produce())
    await asyncio.sleep(0)
    assert (seen, len(sse.queue)) == ([0, 1], 2)
    sse._tasks = (task,)
    got = b""
    while got.count(b"\n\n") < 7:
        got += await asyncio.wait_for(sse.__anext__(), 5)
    await task
    assert got == b"".join(b"data: %d\n\n" % n for n in range(7))


async def test_several_may_wait_for_one_event() -> None:
    sse = SSE()
    woken: list[int] = []

    async def wait(n: int) -> None:
        assert await sse.event.wait() is True
        woken.append(n)

    tasks = [asyncio.create_task(wait(n)) for n in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()  # the first of them: the others are woken all the same
    await asyncio.sleep(0)
    late = asyncio.create_task(wait(3))
    await asyncio.sleep(0)
    sse.event.set()
    sse.event.clear()
    await asyncio.wait_for(asyncio.gather(*tasks[1:], late), 5)
    assert sorted(woken) == [1, 2, 3] and not sse.event.is_set()
    sse.event.set()
    assert await asyncio.wait_for(sse.event.wait(), 5) is True
