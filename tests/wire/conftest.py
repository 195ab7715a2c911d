"""Fixtures of the wire tests: servers on CPython and on MicroPython, one of each kind for the whole run.

A test gets a server that lives and answers; afterwards it is checked that it still does and that nothing ran that a
test had hidden from it. A server that a test has broken is started anew for the next one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from support.wire_server import Missing, Server, Workbench

RUNTIMES = ("cpython", "micropython")

# Names of the usual settings of the battery, and what differs from the defaults.
SETTINGS: dict[str, tuple[str, ...]] = {
    # More connections at once than a board's eight, so that tests of other things do not meet the cap.
    "battery": ("app.max_connections=100",),
    # Deadlines that a test can wait for.
    "deadlines": (
        "app.max_connections=100",
        "app.head_timeout=1",
        "app.body_timeout=1",
        "app.write_timeout=1",
        "app.idle_timeout=1",
    ),
    "few": ("app.max_connections=4",),
    "tls": ("app.max_connections=100", "app.head_timeout=3"),
}


class Pool:
    """The servers that run, by runtime and kind."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self._running: dict[tuple[str, str], Server] = {}

    def get(self, runtime: str, kind: str) -> Server:
        """Return a running server of that kind: a name in SETTINGS."""
        server = self._running.get((runtime, kind))
        if server is None or not server.alive:
            arguments = [f"file={self.bench.file}", *SETTINGS[kind]]
            server = start(Server(self.bench, runtime, "battery.py", arguments, tls=kind == "tls"))
            self._running[runtime, kind] = server
        server.note()
        return server

    def drop(self, server: Server) -> None:
        """End a server that is no longer fit for use."""
        server.stop(0)

    def close(self) -> None:
        """End all servers."""
        for server in self._running.values():
            server.stop(0.2)


def start(server: Server) -> Server:
    """Start a server. Without that runtime the test is skipped, and with CI=true it fails."""
    try:
        return server.start()
    except Missing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def bench() -> Iterator[Workbench]:
    """Files of this run."""
    bench = Workbench()
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def pool(bench: Workbench) -> Iterator[Pool]:
    """All running servers."""
    pool = Pool(bench)
    yield pool
    pool.close()


def _lent(pool: Pool, runtime: str, kind: str) -> Iterator[Server]:
    server = pool.get(runtime, kind)
    yield server
    try:
        server.healthy()
    except BaseException:
        pool.drop(server)
        raise


@pytest.fixture(params=RUNTIMES, scope="session")
def runtime(request: pytest.FixtureRequest) -> str:
    """Every test runs once on each runtime."""
    return str(request.param)


@pytest.fixture
def server(pool: Pool, runtime: str) -> Iterator[Server]:
    """The battery with the usual settings."""
    yield from _lent(pool, runtime, "battery")


@pytest.fixture
def deadline_server(pool: Pool, runtime: str) -> Iterator[Server]:
    """The battery with deadlines of one second."""
    yield from _lent(pool, runtime, "deadlines")


@pytest.fixture
def few_server(pool: Pool, runtime: str) -> Iterator[Server]:
    """The battery with room for four connections."""
    yield from _lent(pool, runtime, "few")


@pytest.fixture
def tls_server(pool: Pool, runtime: str) -> Iterator[Server]:
    """The battery over TLS."""
    yield from _lent(pool, runtime, "tls")


@pytest.fixture
def launch(bench: Workbench) -> Iterator[Callable[..., Server]]:
    """Start a server for one test: `launch(runtime, app, *arguments, heap="1m")`; it is ended after the test."""
    started: list[Server] = []

    def starter(runtime: str, app: str, *arguments: str, heap: str = "1m") -> Server:
        server = Server(bench, runtime, app, arguments, heap)
        started.append(server)
        return start(server)

    yield starter
    for server in started:
        server.stop(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the servers printed during that test."""
    report = yield
    if report.failed:
        arguments: dict[str, Any] = getattr(item, "funcargs", {})
        for name, value in arguments.items():
            if isinstance(value, Server):
                said = value.said()
                if said.strip():
                    report.sections.append((f"output of {name}", said[-4000:]))
    return report
