"""Run programs away from the checkout, and in virtual environments of their own (CPython only)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def run(command: Sequence[str | Path], *, cwd: Path, timeout: float = 120, code: int | None = 0) -> str:
    """Run a command away from the checkout and return what it printed (both streams).

    Args:
        command: the program and its arguments.
        cwd: where; not the repository, or its sources would be imported.
        timeout: seconds.
        code: the exit code that it must have; None: any.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MYPY"))}
    environment["MICROPYPATH"] = ".frozen"
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    if code is not None:
        assert done.returncode == code, f"{command} → exit code {done.returncode}\n{done.stdout}"
    return done.stdout


class Environment:
    """A virtual environment; pip and mypy of the running one work on it."""

    def __init__(self, directory: Path) -> None:
        """Make an empty one in `directory`."""
        self.directory = directory
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True, timeout=60)
        self.python = directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        (self.site,) = [path for path in directory.rglob("site-packages") if path.is_dir()]

    def pip(self, *arguments: str | Path) -> str:
        """Run pip on this environment; return its output."""
        pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", self.python]
        return run([*pip, *arguments], cwd=self.directory)

    def run(self, *arguments: str | Path, code: int | None = 0) -> str:
        """Run this environment's Python; return its output."""
        return run([self.python, *arguments], cwd=self.directory, code=code)

    def mypy(self, path: Path, code: int | None = 0) -> str:
        """Check a file with mypy --strict, against what is installed here; return its output."""
        cache = self.directory / "mypy"
        options: list[str | Path] = ["--strict", "--python-executable", self.python]
        options += ["--cache-dir", cache, "--config-file="]  # not the repository's settings
        return run([sys.executable, "-m", "mypy", *options, path], cwd=self.directory, code=code)
