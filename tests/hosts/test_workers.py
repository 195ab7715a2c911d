"""Several workers that share topics through Redis: a message published in one reaches the subscribers of all."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hosts.running import Host, read_until
from provide import Missing, provide
from support.wire_client import Connection, request
from support.wire_server import free_port, wait_until


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis server of our own."""
    try:
        program = provide("redis")
    except Missing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:

        def answers() -> bool:
            try:
                Connection(port, 5).close()
            except OSError:
                return False
            return True

        assert wait_until(answers, 20), (folder / "log").read_text()
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def next_event(client: Connection) -> Any:
    """Read one event of a stream."""
    read_until(client, b"\n\n")
    text, _, client.received = client.received.partition(b"\n\n")
    (line,) = [line for line in text.split(b"\n") if line.startswith(b"data: ")]
    return json.loads(line[6:])


@pytest.mark.parametrize(
    ("name", "interface", "options"),
    [
        ("uvicorn-httptools", "asgi", ("--workers", "2")),
        # A thread for each client, also for those that have gone: WSGI does not tell.
        ("gunicorn-threads", "wsgi", ("--workers", "2", "--threads", "100")),
    ],
    ids=["uvicorn", "gunicorn"],
)
def test_message_reaches_all_workers(
    launch: Callable[..., Host],
    redis: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    interface: str,
    options: tuple[str, ...],
) -> None:
    monkeypatch.setenv("MICRODOT_REDIS_URL", redis)
    monkeypatch.setenv("MICRODOT_INTERFACE", interface)
    host = launch(name, "hosts.program_pubsub:app", *options)
    with ExitStack() as stack:
        subscribers: dict[int, Connection] = {}
        for _ in range(90):
            client = host.connect()
            client.send(request("GET", "/events"))
            assert client.head().status == 200
            pid = next_event(client)["pid"]
            if pid in subscribers:
                client.close()
                time.sleep(0.05)  # the other one may still be starting
                continue
            subscribers[pid] = client
            stack.callback(client.close)
            if len(subscribers) == 2:
                break
        assert len(subscribers) == 2, "all connections went to one worker"
        publishers: set[int] = set()
        for number in range(100):
            publisher = json.loads(host.ask(f"/publish/message{number}", "POST").body)["pid"]
            for client in subscribers.values():
                assert next_event(client) == {"text": f"message{number}", "from": publisher}
            publishers.add(publisher)
            if len(publishers) == 2:
                break
        assert publishers == set(subscribers), "no message came from the other worker"
