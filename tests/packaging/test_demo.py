"""The README's first command: the dashboard, served from installed packages, asked as its page asks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from project import ROOT


def demo(wheels: dict[str, Path], *options: str) -> str:
    dist = next(iter(wheels.values())).parent
    run = subprocess.run(
        [sys.executable, "tools/demo.py", "--once", *options],
        cwd=ROOT,
        env={**os.environ, "MICRODOT_DIST": str(dist)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stdout
    assert "the page, the sensors and the switch answer as they should" in run.stdout
    return run.stdout


def test_on_cpython(wheels: dict[str, Path]) -> None:
    assert '"runtime": "cpython' in demo(wheels)


def test_on_micropython_in_64_kb(wheels: dict[str, Path], micropython32: Path) -> None:
    said = demo(wheels, "--micropython", "--bits", "32")
    assert '"runtime": "micropython' in said
    assert "heapsize=64k" in said


def test_on_64_bit_micropython(wheels: dict[str, Path], micropython64: Path) -> None:
    assert '"runtime": "micropython' in demo(wheels, "--micropython", "--bits", "64")


def test_a_port_that_is_taken() -> None:
    """It is said before anything is built, and no other program's page is taken for ours."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = subprocess.run(
            [sys.executable, "tools/demo.py", "--once", "--port", str(port)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
    assert run.returncode == 1 and "--port" in run.stdout and "Traceback" not in run.stdout, run.stdout
