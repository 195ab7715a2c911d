"""Microdot's own distribution owns the same import name: ours says so when it sees it."""

from __future__ import annotations

from pathlib import Path

from project import CORE
from support.environments import Environment

SERVE = """
import asyncio, sys
from microdot import Microdot

app = Microdot()

async def main():
    server = asyncio.create_task(app.start_server(host='127.0.0.1', port=0))
    await asyncio.sleep(0.3)
    app.shutdown()
    await server

asyncio.run(main())
asyncio.run(main())
print('served')
"""


def pretend(environment: Environment, name: str) -> None:
    """Leave the traces of an installed distribution."""
    folder = environment.site / f"{name.replace('-', '_')}-2.7.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.7.0\n")
    (folder / "RECORD").write_text("")


def test_both_installed_is_said_once(environment: Environment, wheels: dict[str, Path]) -> None:
    environment.pip("install", "--no-index", wheels[CORE])
    pretend(environment, "microdot")
    said = environment.run("-c", SERVE)
    assert said.count("RuntimeWarning") == 1, said
    assert "'microdot' 2.7.0 is installed beside 'microdot-core'" in said
    assert "pip uninstall -y microdot && pip install --force-reinstall microdot-core" in said
    assert said.endswith("served\n")


def test_alone_or_with_our_packages_nothing_is_said(environment: Environment, wheels: dict[str, Path]) -> None:
    environment.pip("install", "--no-index", wheels[CORE], wheels["microdot-test-client"])
    pretend(environment, "microdot-something")
    said = environment.run("-W", "error", "-c", SERVE)
    assert said == "served\n"
