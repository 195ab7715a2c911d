"""What the packaging tests share: the built wheels, virtual environments, the mip index on loopback, MicroPython."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mip
import provide
from project import DIST, ROOT, Package, packages
from support.environments import Environment, run


@pytest.fixture(scope="session")
def members() -> list[Package]:
    """All packages of the repository."""
    return packages()


@pytest.fixture(scope="session")
def wheels(members: list[Package]) -> dict[str, Path]:
    """Name → wheel, of all packages; built now unless MICRODOT_DIST names a directory of them."""
    dist = Path(os.environ.get("MICRODOT_DIST", ""))
    if not os.environ.get("MICRODOT_DIST"):
        dist = DIST
        shutil.rmtree(dist, ignore_errors=True)
        run([sys.executable, "-m", "hatch", "build", "--all"], cwd=ROOT, timeout=300)
    found = {}
    for package in members:
        (found[package.name],) = dist.glob(f"{package.name.replace('-', '_')}-{package.version}-*.whl")
    return found


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An empty virtual environment."""
    return Environment(tmp_path / "venv")


@pytest.fixture(scope="session")
def index(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mip index made from the wheels, as a directory."""
    out = tmp_path_factory.mktemp("index")
    mip.make_index(wheels.values(), out)
    return out


@pytest.fixture(scope="session")
def index_url(index: Path) -> Iterator[str]:
    """The address of the mip index, served on 127.0.0.1."""
    server = mip.index_server(index)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def _micropython(bits: int) -> Path:
    try:
        return provide.micropython(bits)
    except provide.Missing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def micropython64() -> Path:
    """The 64-bit MicroPython."""
    return _micropython(64)


@pytest.fixture(scope="session")
def micropython32() -> Path:
    """The 32-bit MicroPython: words as wide as a board's."""
    return _micropython(32)
