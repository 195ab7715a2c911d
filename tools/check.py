"""Run all tests: what CI runs, and what the README calls the second command.

    python3 tools/check.py                 everything
    python3 tools/check.py types unit      only these steps

It needs Python 3.10 or newer; everything else is set up in build/ first (tools/bootstrap.py says what it does).
A step that fails does not stop the others: the summary at the end names every failure, and the exit code is 1.
Each step prints its commands; what they said is in build/log/STEP.txt and, for a failure, on the screen.

What is missing on this machine (no MicroPython to be had, say) is reported as NOT RUN; with CI=true that is a
failure, and so is a skipped test.
"""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import glob
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bootstrap

ROOT = bootstrap.ROOT
BUILD = bootstrap.BUILD
LOG = BUILD / "log"
IN_CI = os.environ.get("CI", "").lower() in ("true", "1", "yes")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
LIMIT = 540
"""Seconds after which a command is ended: the whole is to take less than ten minutes."""

EXIT_MISSING = 69
"""What tools/upy.py returns when there is no such interpreter."""

PYTEST_NO_TESTS = 5
"""What pytest returns when it has found no test."""


@dataclass
class Step:
    """One line of the summary."""

    name: str
    why: str
    commands: Callable[[], list[list[str]]]
    after: tuple[str, ...] = ()
    """Steps whose products this one uses."""
    state: str = ""
    seconds: float = 0.0
    said: str = ""
    failed: list[str] = field(default_factory=list)


def _python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def _pytest(*arguments: str) -> list[str]:
    return _python("-m", "pytest", "-q", "--durations=3", "--continue-on-collection-errors", *arguments)


def _sphinx(*arguments: str) -> list[str]:
    return _python("-m", "sphinx", "-q", "-W", "--keep-going", "-d", "build/site-doctrees", *arguments)


def find_pythons() -> dict[str, str]:
    """Return the other CPythons of this machine: version → path. The running one is not among them."""
    running = "%d.%d" % sys.version_info[:2]
    pyenv = os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")
    uv = Path.home() / ".local/share/uv/python"
    found: dict[str, str] = {}
    for version in PYTHONS:
        if version == running:
            continue
        places = [
            # sorted so that the newest patch release comes first
            *sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python3"), reverse=True),
            *sorted(glob.glob(f"{uv}/cpython-{version}.*/bin/python3"), reverse=True),
            *filter(None, [shutil.which(f"python{version}"), f"/usr/bin/python{version}"]),
        ]
        for place in places:
            # a shim of pyenv exists for versions that are not chosen, and a stripped Python may have no venv
            probe = "import sys, venv; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
            try:
                run = subprocess.run([place, "-c", probe], capture_output=True, text=True, timeout=30)
            except (OSError, subprocess.TimeoutExpired):
                continue
            if run.stdout.split() == ["cpython", version]:
                found[version] = place
                break
    return found


def _needs_clients(path: Path) -> bool:
    """Tell whether a test file imports more than the dependency group `test` has: clients, browsers, other servers."""
    known = {*sys.stdlib_module_names, "microdot", "pytest", "pytest_asyncio", "hypothesis", "support", "tomli"}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in [name.split(".")[0] for name in names]:
            beside = [directory / f"{name}.py" for directory in (path.parent, ROOT / "tools")]
            if name not in known and not any(module.exists() for module in beside):
                return True
    return False


def _other_python(version: str, python: str) -> list[list[str]]:
    """Return what tests the built wheels on another CPython."""
    venv = BUILD / f"venv-wheels-{version}"
    inside = str(bootstrap.python_in(venv))
    pip = _python("-m", "pip", "--disable-pip-version-check", "--python", inside, "install", "-q")
    wheels = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "dist").glob("*.whl"))
    # What tries other projects' software against a package, or a board, or much data, was run on the first Python.
    others = ("board", "clients", "docs", "hosts", "large", "prometheus", "pyjwt", "redis")
    options = ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
    # Real clients meet the server once, on the Python of the environment; to install them for each would take minutes.
    tests = sorted(path for path in (ROOT / "packages").glob("*/tests/test_*.py") if _needs_clients(path))
    options += [f"--ignore={path.relative_to(ROOT)}" for path in tests]
    options += [f"--ignore-glob=*/test_*_{name}.py" for name in others]
    commands = []
    if subprocess.run([inside, "-c", ""], capture_output=True).returncode if Path(inside).exists() else True:
        commands.append([python, "-m", "venv", "--clear", "--without-pip", str(venv)])
    return [
        *commands,
        [*pip, "--group", "test"],
        [*pip, "--no-index", "--no-deps", "--force-reinstall", *wheels],
        [inside, "-m", "pytest", "-q", *options, "tests/conformance", "packages"],
    ]


def steps() -> list[Step]:
    """Return all steps, the one that others wait for first."""
    hatch = _python("-m", "hatch")
    found = [
        Step(
            "build",
            "every wheel, the mip index and the board tree",
            lambda: [
                # hatch's own --clean, with --all, removes what it has built of the member before
                _python("-c", "import shutil; shutil.rmtree('dist', ignore_errors=True)"),
                [*hatch, "build", "--all"],
                _python("tools/mip.py"),
                _python("tools/tree.py", "--mpy", "--out", "build/board"),
            ],
        ),
        Step("gen", "generated files are up to date", lambda: [_python("tools/gen.py", "--check")]),
        Step("types", "mypy, strict", lambda: [_python("-m", "mypy")]),
        Step(
            "unit",
            "pytest: conformance, packages, wire",
            lambda: [_pytest("--ignore=tests/packaging", "--ignore=tests/docs")],
        ),
        Step(
            "docs",
            "the site without a warning, its blocks and its links",
            lambda: [
                # Begin anew: Sphinx knows pages, and neither docstrings nor what the pages of sources link to.
                _python("-c", "import shutil; [shutil.rmtree(f'build/{name}', True) for name in ('site', 'site-doctrees')]"),
                _sphinx("-b", "html", "docs", "build/site"),
                _sphinx("-b", "doctest", "docs", "build/site-doctest"),
                _pytest("tests/docs"),
            ],
        ),
        Step("packaging", "wheels, mip, manifests, the demo", lambda: [_pytest("tests/packaging")], after=("build",)),
        Step(
            "board",
            "the portable tests on MicroPython: of the sources, 64-bit, and of what boards get, 32-bit",
            lambda: [
                # Who copies the sources to a board has other code than the published: its `__debug__` is True.
                _python("tools/tree.py", "--copy", "--out", "build/sources"),
                _python("tools/upy.py", "--bits", "64", "--tree", "build/sources"),
                _python("tools/upy.py", "--bits", "32"),
            ],
            after=("build",),
        ),
    ]
    for version, python in find_pythons().items():
        found.append(
            Step(
                f"python{version}",
                "the wheels, tested on another CPython",
                lambda version=version, python=python: _other_python(version, python),  # type: ignore[misc]
                after=("build",),
            )
        )
    found.append(
        Step("size", "bytes and heap within budget.toml", lambda: [_python("tools/size.py", "--check")], ("build",))
    )
    return found


_print_lock = threading.Lock()


def _show(text: str) -> None:
    with _print_lock:
        print(text, flush=True)


def _readable(command: Sequence[str]) -> str:
    words = ["python" if word == sys.executable else word for word in command]
    return shlex.join(words).replace(str(ROOT) + os.sep, "")


def _execute(command: list[str], log: Path) -> int:
    """Run one command with its output in a file; return the exit code, 124 when it took too long."""
    with log.open("ab") as output:
        output.write(f"$ {_readable(command)}\n".encode())
        output.flush()
        try:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "MICRODOT_DIST": str(ROOT / "dist"), "PYTHONUNBUFFERED": "1"},
                start_new_session=os.name != "nt",
            )
        except OSError as error:
            output.write(f"{error}\n".encode())
            return 127
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            output.write(f"\nended after {LIMIT} s\n".encode())
            return 124
        finally:
            if process.poll() is None:
                # with what it has started: a server that a test left running would hold a port
                if os.name == "nt":
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _last_line(log: Path) -> str:
    text = log.read_text(errors="replace")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("$ ")]
    return re.sub(r"^=+ | =+$", "", lines[-1].strip()) if lines else ""


def run(step: Step) -> None:
    """Run the commands of a step up to the first that fails, and set its state."""
    log = LOG / f"{step.name}.txt"
    log.write_bytes(b"")
    start = time.monotonic()
    step.state = "ok"
    said = []
    for command in step.commands():
        _show(f"{step.name}: $ {_readable(command)}")
        code = _execute(command, log)
        if code == PYTEST_NO_TESTS and "pytest" in command:
            step.failed.append(f"{_readable(command)} → no test was found")
        elif code == EXIT_MISSING and "tools/upy.py" in command:
            step.state = "NOT RUN"
        elif code:
            step.failed.append(f"{_readable(command)} → exit code {code}")
            # Both widths of MicroPython are told apart; whatever else fails spoils what comes after it.
            if "tools/upy.py" not in command:
                break
        said.append(_last_line(log))
    if step.failed or (IN_CI and step.state == "NOT RUN"):
        step.state = "FAILED"
    step.seconds = time.monotonic() - start
    step.said = said[-1] if said else ""
    if step.state == "ok":
        _show(f"{step.name}: ok, {step.seconds:.1f} s: {step.said}")
    else:
        output = log.read_text(errors="replace")
        _show(f"{step.name}: {step.state} after {step.seconds:.1f} s\n{'-' * 79}\n{output}{'-' * 79}")


def run_all(chosen: Sequence[Step], jobs: int) -> None:
    """Run steps, each after those that it needs, at most `jobs` at a time."""
    waiting = list(chosen)
    names = {step.name for step in chosen}
    done: set[str] = set()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running: dict[concurrent.futures.Future[None], Step] = {}
        while waiting or running:
            for step in list(waiting):
                if len(running) < jobs and all(name in done or name not in names for name in step.after):
                    waiting.remove(step)
                    running[pool.submit(run, step)] = step
            finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                step = running.pop(future)
                done.add(step.name)
                future.result()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = "gen, types, build, unit, docs, packaging, board, pythons, size"
    parser.add_argument("steps", nargs="*", help=f"{names} (default: all)")
    parser.add_argument("-j", dest="jobs", type=int, default=2, help="steps at a time (default 2)")
    parser.add_argument("--list", action="store_true", help="print the steps and what they are for")
    options = parser.parse_args()
    bootstrap.enter("dev")
    everything = steps()
    if options.list:
        for step in everything:
            print(f"{step.name:12} {step.why}")
        return 0
    chosen = everything
    if options.steps:
        known = {step.name for step in everything} | {"pythons"}
        unknown = sorted(set(options.steps) - known)
        if unknown:
            parser.error(f"no step {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        chosen = [
            step
            for step in everything
            if step.name in options.steps or ("pythons" in options.steps and re.match(r"python\d", step.name))
        ]
        # what is tested is what is there now, not what was built some time ago
        if "build" not in options.steps and any("build" in step.after for step in chosen):
            chosen.insert(0, everything[0])
    LOG.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    run_all(chosen, options.jobs)
    print(f"\n{'step':12} {'':8} {'s':>6}")
    for step in chosen:
        said = "" if step.state == "FAILED" else step.said
        print(f"{step.name:12} {step.state:8} {step.seconds:6.1f}  {said}".rstrip())
        for line in step.failed:
            print(f"{'':12} {line}")
    bad = [step.name for step in chosen if step.state == "FAILED"]
    not_run = [step.name for step in chosen if step.state == "NOT RUN"]
    if not_run:
        print(f"NOT RUN: {', '.join(not_run)} (what is missing is said above)")
    verdict = f"FAILED: {', '.join(bad)}" if bad else "all passed" if not not_run else "all that ran passed"
    print(f"{verdict}, {time.monotonic() - start:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
