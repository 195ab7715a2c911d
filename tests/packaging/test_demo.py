"""The README's first command: the dashboard, served from installed packages, asked as its page asks."""

from __future__ import annotations

import os
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
