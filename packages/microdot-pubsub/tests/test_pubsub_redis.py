"""Topics through a real Redis: several processes, a broker that is restarted, one that loses its memory."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from provide import Missing, provide
from support.wire_server import free_port

pytest.importorskip("redis", reason="pip install redis")

from microdot.pubsub_redis import PublishError, RedisPubSub  # noqa: E402


class Broker:
    """A Redis on a free port of 127.0.0.1, with its files in a temporary folder."""

    def __init__(self, folder: Path, keeps: bool) -> None:
        try:
            self.program = provide("redis")
        except Missing as error:
            pytest.skip(str(error))
        self.folder = folder
        self.keeps = keeps
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with the data that it had if it keeps any."""
        command = [str(self.program), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        if self.keeps:
            command += ["--appendonly", "yes", "--appendfsync", "always"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


@contextlib.contextmanager
def broker(folder: Path, keeps: bool = True) -> Iterator[Broker]:
    """Run a broker."""
    one = Broker(folder, keeps)
    one.start()
    try:
        yield one
    finally:
        one.stop()


@contextlib.asynccontextmanager
async def bus(url: str, **settings: int) -> AsyncIterator[RedisPubSub]:
    """Run a bus."""
    one = RedisPubSub(url, **settings)  # type: ignore[arg-type]
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


async def listen(port: int, topic: str, count: int, ready: asyncio.Semaphore) -> list[str]:
    """Return the data of that many events of a server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /events/%s HTTP/1.0\r\n\r\n" % topic.encode())  # 1.0: no chunks
    await reader.readuntil(b": subscribed\n\n")
    ready.release()
    data = b""
    while data.count(b"\n\n") < count:
        more = await reader.read(65536)
        assert more, "the stream ended"
        data += more
    writer.close()
    return [line[6:].decode() for line in data.split(b"\n") if line.startswith(b"data: ")]


async def publish(port: int, topic: str, numbers: range) -> None:
    """Publish numbers, five with each request, on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for start in range(0, len(numbers), 5):
        body = b"\n".join(b"%d" % number for number in numbers[start : start + 5])
        writer.write(b"POST /publish/%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (topic.encode(), len(body)) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()


async def accepting(port: int) -> None:
    """Wait until a port accepts connections."""
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}")


async def through_a_restart(redis: Broker, ports: list[int]) -> list[list[str]]:
    """Publish 1,000 messages through two servers, restart the broker meanwhile, and return what each listener got."""
    ready = asyncio.Semaphore(0)
    listeners = [asyncio.create_task(listen(port, "*", 1000, ready)) for port in ports for _ in range(50)]
    for _ in listeners:
        await ready.acquire()
    await asyncio.gather(publish(ports[0], "a", range(250)), publish(ports[1], "b", range(10000, 10250)))
    rest = [
        asyncio.create_task(publish(ports[0], "a", range(250, 500))),
        asyncio.create_task(publish(ports[1], "b", range(10250, 10500))),
    ]
    await asyncio.sleep(0.05)
    redis.stop()  # while messages are being published
    await asyncio.sleep(0.5)
    redis.start()
    await asyncio.gather(*rest)
    return await asyncio.gather(*listeners)


async def test_two_servers_and_a_restarted_broker(tmp_path: Path) -> None:
    """1,000 messages, 50 subscribers on each of two processes: each gets each message once and in its topic's order."""
    servers: list[subprocess.Popen[bytes]] = []
    with broker(tmp_path) as redis:
        try:
            ports = [free_port(), free_port()]
            for port in ports:
                program = Path(__file__).with_name("redis_server.py")
                servers.append(subprocess.Popen([sys.executable, str(program), str(port), str(redis.port)]))
            for port in ports:
                await accepting(port)
            received = await asyncio.wait_for(through_a_restart(redis, ports), 60)
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait(15)
    assert len(received) == 100
    for got in received:
        numbers = [int(number) for number in got]
        assert [number for number in numbers if number < 10000] == list(range(500))
        assert [number for number in numbers if number >= 10000] == list(range(10000, 10500))


async def test_what_crosses_the_network(tmp_path: Path) -> None:
    with broker(tmp_path) as redis:
        async with bus(redis.url) as one, bus(redis.url) as two:
            subscription = two.subscribe("room/*")
            data = ["text é", b"\xff\x00", {"a": [1, None]}, [], 17, None, ""]
            ids = [await one.publish("room/1", value) for value in data]
            await one.publish("elsewhere", "not this")
            got = [await asyncio.wait_for(subscription.__anext__(), 5) for _ in data]
            assert [message.data for message in got] == data
            assert [message.id for message in got] == ids
            # A process that comes later has what is kept.
            async with bus(redis.url) as three:
                replay = three.subscribe("room/*", after=ids[4])
                assert [message.data for message in replay.queue] == [None, ""] and not replay.lost
            with pytest.raises(TypeError):
                await one.publish("room/1", object())
            with pytest.raises(ValueError):
                one.subscribe("t", policy="wait")


async def test_what_cannot_be_published_is_reported(tmp_path: Path) -> None:
    with broker(tmp_path) as redis:
        async with bus(redis.url, publish_timeout=1, max_unsent=2) as one:
            subscription = one.subscribe("t")
            await one.publish("t", "before")
            redis.stop()
            tasks = [asyncio.create_task(one.publish("t", "during")) for _ in range(2)]
            await asyncio.sleep(0.01)
            with pytest.raises(PublishError):
                await one.publish("t", "too many")
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(result, PublishError)
            assert not one.connected
            redis.start()
            for _ in range(100):
                try:
                    await one.publish("t", "after")
                    break
                except PublishError:
                    await asyncio.sleep(0.05)
            got = [(await asyncio.wait_for(subscription.__anext__(), 5)).data for _ in range(2)]
            assert got == ["before", "after"]  # what was reported as not published is not published later
            assert subscription.lost == 0 and one.connected


async def test_a_broker_that_lost_its_memory(tmp_path: Path) -> None:
    with broker(tmp_path, keeps=False) as redis:
        async with bus(redis.url, publish_timeout=10) as one:
            subscription = one.subscribe("t")
            await one.publish("t", 1)
            assert (await asyncio.wait_for(subscription.__anext__(), 5)).data == 1
            redis.stop()
            redis.start()
            await one.publish("t", 2)
            assert (await asyncio.wait_for(subscription.__anext__(), 5)).data == 2
            assert one.gaps == 1 and subscription.lost == 1


async def test_a_slow_subscriber_slows_nobody(tmp_path: Path) -> None:
    with broker(tmp_path) as redis:
        async with bus(redis.url) as one:
            slow = one.subscribe("t", size=5)
            quick = one.subscribe("t", size=100)
            for i in range(50):
                await one.publish("t", i)
            got = [(await asyncio.wait_for(quick.__anext__(), 5)).data for _ in range(50)]
            assert got == list(range(50)) and quick.lost == 0
            assert [message.data for message in slow.queue] == [45, 46, 47, 48, 49] and slow.lost == 45
