"""Fixtures of the host tests: each host is started once and serves all tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hosts.running import KINDS, ROOT, Host
from support.wire_server import Missing


BOARD_PACKAGES = "core,websocket,sse,session,auth,login,cors,csrf,multipart,static"


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Files of this run."""
    with tempfile.TemporaryDirectory(prefix="hosts-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def board_tree(folder: Path) -> Path:
    """The library as boards have it."""
    out = folder / "board"
    command = [sys.executable, str(ROOT / "tools" / "tree.py"), "--mpy", "--packages", BOARD_PACKAGES, "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    return out


@pytest.fixture(scope="session")
def launch(folder: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Host]]:
    """Start a host: `launch(name, program, *options)`; it is ended after the last test."""
    started: list[Host] = []

    def starter(name: str, program: str = "", *more: str) -> Host:
        host = Host(KINDS[name], folder, program, more)
        tree = request.getfixturevalue("board_tree") if host.kind.board else None
        try:
            host.start(tree)
        except Missing as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error), pytrace=False)
            pytest.skip(str(error))
        started.append(host)
        return host

    yield starter
    for host in started:
        host.stop()


@pytest.fixture(scope="session", params=KINDS)
def host(request: pytest.FixtureRequest, launch: Callable[..., Host]) -> Host:
    """Every host, one after the other."""
    return launch(str(request.param))
