"""Provide the programs that tests need and pip does not have: MicroPython, 64-bit and 32-bit, nginx, Redis, Chromium.

    python tools/provide.py micropython32      print the path of a program that starts it
    python tools/provide.py circuitpython      print the folder of CircuitPython's libraries that our packages need
    python tools/provide.py --all              all of them

The path is that of a small launcher in a cache folder (MICRODOT_CACHE; default: `microdot` in the user's cache folder).
What is missing is downloaded with apt from the Debian archive that this machine uses already, and unpacked in the
cache folder: nothing is installed, no privileges are needed, and apt's own lists stay as they are. The programs
run on the C library that comes with them, so the release of this machine does not matter. Chromium starts copies of
itself, which that cannot help: it is the one of this machine's release, with all that it needs but the C library.
What is on PATH serves when there is no such archive (of MicroPython 1.22 or newer).

Where that is impossible the message says what to do; MICRODOT_MICROPYTHON64, MICRODOT_MICROPYTHON32, MICRODOT_NGINX,
MICRODOT_REDIS and MICRODOT_CHROMIUM name programs of your own. There is no CircuitPython for computers to be had in this way;
its asyncio comes by pip, and MICRODOT_CIRCUITPYTHON names a folder of your own with it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
"""Debian 13, the first with MicroPython 1.25. The program is the same whatever release this machine runs."""

WIDE = {"amd64": "amd64", "arm64": "arm64"}
NARROW = {"amd64": "i386", "i386": "i386", "arm64": "armhf", "armhf": "armhf"}
"""This machine's Debian architecture → the one of the package: its own processor runs both."""

_MICROPYTHON = ("micropython", "libc6", "libffi8", "libmbedtls21", "libmbedx509-7", "libmbedcrypto16")
_CHECK = "import sys; print(sys.implementation[1][0] * 100 + sys.implementation[1][1], sys.maxsize > 1 << 32)"


class Missing(Exception):
    """A program is not here and cannot be provided; the message says how to get it."""


@dataclass(frozen=True)
class Component:
    """A program, and the Debian packages that it consists of."""

    program: str
    packages: tuple[str, ...]
    architectures: dict[str, str]
    probe: tuple[str, ...]
    """Arguments with which the program must run and exit 0 before it is handed out."""
    advice: str
    """How to get it where this tool cannot."""
    whole: bool = False
    """Whether apt finds out what else it needs, of this machine's release; else `packages` is the whole list."""
    names: tuple[str, ...] = ()
    """What it is called on PATH."""


COMPONENTS = {
    "micropython64": Component(
        "usr/bin/micropython",
        _MICROPYTHON,
        WIDE,
        ("-c", _CHECK),
        "install MicroPython 1.22 or newer (a package `micropython`, or ports/unix of its sources)",
    ),
    "micropython32": Component(
        "usr/bin/micropython",
        _MICROPYTHON,
        NARROW,
        ("-c", _CHECK),
        "build ports/unix of MicroPython's sources with MICROPY_FORCE_32BIT=1",
    ),
    "nginx": Component(
        "usr/sbin/nginx",
        ("nginx", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3t64", "libzstd1", "zlib1g"),
        WIDE,
        ("-v",),
        "install nginx so that it is on PATH",
        names=("nginx", "/usr/sbin/nginx"),
    ),
    "redis": Component(
        "usr/bin/redis-server",
        (
            "redis-server",
            "redis-tools",
            "libatomic1",
            "libc6",
            "libcap2",
            "libgcc-s1",
            "libjemalloc2",
            "liblua5.1-0",
            "liblzf1",
            "libssl3t64",
            "libstdc++6",
            "libsystemd0",
            "libzstd1",
            "lua-bitop",
            "lua-cjson",
            "zlib1g",
        ),
        WIDE,
        ("--version",),
        "install redis-server or valkey-server so that it is on PATH",
        names=("redis-server", "valkey-server"),
    ),
    "chromium": Component(
        "usr/lib/chromium/chromium",
        ("chromium", "fonts-dejavu-core"),
        WIDE,
        ("--version",),
        "install chromium so that it is on PATH",
        whole=True,
        names=("chromium", "chromium-browser", "google-chrome"),
    ),
}


def cache() -> Path:
    """Return the folder for downloads, made if need be."""
    named = os.environ.get("MICRODOT_CACHE")
    if named:
        folder = Path(named).resolve()
    elif sys.platform == "darwin":
        folder = Path.home() / "Library/Caches/microdot"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "microdot"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Missing(f"cannot write to {folder} ({error}): set MICRODOT_CACHE to a folder that you own") from None
    return folder


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file: two commands that provide the same thing take turns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _works(command: Path, component: Component) -> str:
    """Return '' when the program runs, else what it said."""
    try:
        run = subprocess.run([str(command), *component.probe], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if run.returncode == 0 else (run.stdout + run.stderr).strip() or f"exit code {run.returncode}"


def provide(name: str) -> Path:
    """Return the path of an executable that starts the program, downloading it on first use.

    Args:
        name: one of COMPONENTS: "micropython64", "micropython32", "nginx", "redis", "chromium".

    Raises:
        Missing: it is not here and cannot be had; the message says why and what to do.
    """
    component = COMPONENTS[name]
    variable = f"MICRODOT_{name.upper()}"
    own = os.environ.get(variable)
    if own:
        trouble = _works(Path(own), component)
        if trouble:
            raise Missing(f"{variable} names {own}, which does not run: {trouble}")
        return Path(own).resolve()
    folder = cache() / f"{name}-{SUITE}"
    launcher = folder / name
    if launcher.exists():
        return launcher
    with locked(folder.with_name(folder.name + ".lock")):
        if launcher.exists():
            return launcher
        try:
            _download(name, component, folder)
        except Missing as error:
            found = _on_path(name)
            if found:
                return found
            raise Missing(
                f"{name} is missing. It cannot be downloaded here: {error}.\n"
                f"To get it: {component.advice}, and set {variable} to its path."
            ) from None
    return launcher


def _on_path(name: str) -> Path | None:
    """Return an installed program that will do."""
    names = COMPONENTS[name].names
    if names:
        there = [found for found in map(shutil.which, names) if found]
        return Path(there[0]) if there else None
    found = shutil.which("micropython")
    if found is None:
        return None
    run = subprocess.run([found, "-c", _CHECK], capture_output=True, text=True, timeout=30)
    words = run.stdout.split()
    wide = "True" if name == "micropython64" else "False"
    return Path(found) if len(words) == 2 and int(words[0]) >= 122 and words[1] == wide else None


def _source() -> tuple[str, str, str]:
    """Return (address, Signed-By, release of this machine) of the Debian archive in this machine's own apt sources.

    Raises:
        Missing: this is not Debian, or its sources name no such archive.
    """
    try:
        release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(), re.MULTILINE))
    except OSError:
        release = {}
    if release.get("ID") != "debian":
        raise Missing(f"this is {release.get('PRETTY_NAME', platform.system())}, and the packages are Debian's")
    # testing and unstable name no codename in some images
    own = release.get("VERSION_CODENAME", SUITE)
    suites = {own, SUITE, "stable", "testing", "unstable", "sid"}
    etc = Path("/etc/apt")
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n", "", path.read_text())):
            fields = dict(re.findall(r"(?m)^([A-Za-z-]+):[ \t]*((?:.*)(?:\n[ \t].*)*)", stanza))
            if (
                suites & set(fields.get("Suites", "").split())
                and "main" in fields.get("Components", "").split()
                and "deb" in fields.get("Types", "").split()
                and fields.get("Enabled", "yes").strip() != "no"
            ):
                return fields["URIs"].split()[0], fields.get("Signed-By", ""), own
    for path in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))]:
        if not path.exists():
            continue
        for line in path.read_text().splitlines():
            match = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)", line)
            if match and match.group(3) in suites and "main" in match.group(4).split():
                keyring = re.search(r"signed-by=(\S+)", match.group(1) or "", re.IGNORECASE)
                return match.group(2), keyring.group(1) if keyring else "", own
    raise Missing("the apt sources of this machine name no Debian archive with `main`")


def _run(command: list[str], folder: Path) -> None:
    run = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    if run.returncode:
        last = "; ".join(run.stdout.strip().splitlines()[-3:])
        raise Missing(f"`{shlex.join(command)}` failed: {last}")


def _fetch(packages: Sequence[str], architecture: str, work: Path, whole: bool = False) -> Path:
    """Download packages into an empty folder, unpack them, and return the root that they were unpacked to.

    Args:
        packages: their names.
        architecture: Debian's name of it.
        work: the folder.
        whole: whether to get what they depend on too, of this machine's release and without its C library.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise Missing(f"there is no {tool} on this machine")
    address, keyring, suite = _source()
    shutil.rmtree(work, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial", "sources", "debs", "root"):
        (work / part).mkdir(parents=True)
    (work / "status").touch()
    signed = f"Signed-By: {keyring}\n" if keyring else ""
    (work / "sources/debian.sources").write_text(
        f"Types: deb\nURIs: {address}\nSuites: {suite if whole else SUITE}\nComponents: main\n{signed}"
    )
    # Read after the machine's own settings, of which a proxy is wanted and the hooks of other programs are not.
    (work / "apt.conf").write_text(
        f"""#clear APT::Update;
#clear DPkg;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::CNF;
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{work}/sources";
Dir::State::lists "{work}/lists";
Dir::State::status "{work}/status";
Dir::Cache "{work}/cache";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
"""
    )
    apt = ["apt-get", "-c", str(work / "apt.conf"), "-q"]
    _run([*apt, "update"], work)
    if whole:
        _run([*apt, "-y", "--no-install-recommends", "--download-only", "install", *packages], work)
    else:
        _run([*apt, "download", *packages], work / "debs")
    for package in sorted([*(work / "debs").glob("*.deb"), *(work / "cache/archives").glob("*.deb")]):
        if whole and package.name.startswith(("libc6_", "libc-bin_")):
            continue
        _run(["dpkg-deb", "-x", str(package), str(work / "root")], work)
    for part in ("lists", "cache", "debs"):
        shutil.rmtree(work / part)
    return work / "root"


def _debian_architecture() -> str:
    if not shutil.which("dpkg"):
        raise Missing("there is no dpkg on this machine")
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()


def _download(name: str, component: Component, folder: Path) -> None:
    """Download and unpack the packages of a program, and write the launcher."""
    own = _debian_architecture()
    architecture = component.architectures.get(own)
    if architecture is None:
        raise Missing(f"the packages are not made for {own}")
    print(f"provide: fetching {name} ({SUITE}, {architecture}) with apt into {folder}", file=sys.stderr, flush=True)
    work = folder.with_name(folder.name + ".part")
    root = _fetch(component.packages, architecture, work, component.whole)

    loaders = sorted(path for path in root.rglob("ld-linux*.so.*") if path.is_file())
    shared = root.rglob("lib*.so*")
    libraries = sorted({path.parent for path in shared if path.parent.name.endswith(("gnu", "gnueabihf", "pulseaudio"))})
    if not (loaders or component.whole) or not (root / component.program).exists():
        raise Missing(f"the packages hold no {component.program}")

    def final(path: Path) -> str:
        return shlex.quote(str(folder / path.relative_to(work)))

    search = ":".join(final(path) for path in libraries)
    launcher = work / name
    if component.whole:
        start = (
            f"export LD_LIBRARY_PATH={search} FONTCONFIG_SYSROOT={final(root)} FONTCONFIG_FILE=/etc/fonts/fonts.conf\n"
            f"exec {final(root / component.program)}"
        )
    else:
        start = f"exec {final(loaders[0].resolve())} --library-path {search} {final(root / component.program)}"
    launcher.write_text(f'#!/bin/sh\n{start} "$@"\n')
    launcher.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)
    trouble = _works(folder / name, component)
    if trouble:
        shutil.rmtree(folder)
        raise Missing(f"it was fetched and does not run on this machine: {trouble}")


def pip_wheel() -> Path:
    """Return a wheel of pip, for a Python whose `ensurepip` was packaged apart (Debian). Raises Missing."""
    folder = cache() / f"pip-{SUITE}"
    with locked(folder.with_name(folder.name + ".lock")):
        found = sorted(folder.rglob("pip-*.whl"))
        if not found:
            work = folder.with_name(folder.name + ".part")
            _fetch(["python3-pip-whl"], _debian_architecture(), work)
            shutil.rmtree(folder, ignore_errors=True)
            work.rename(folder)
            found = sorted(folder.rglob("pip-*.whl"))
    if not found:
        raise Missing("the package python3-pip-whl holds no wheel of pip")
    return found[-1]


LIBRARIES = ("adafruit-circuitpython-asyncio>=3", "adafruit-circuitpython-ticks>=1.1")
"""What a CircuitPython board needs besides our packages; pip has them as sources."""


def circuitpython_libraries() -> Path:
    """Return a folder with the libraries of CircuitPython that our packages need, as a board has them in `lib`.

    MICRODOT_CIRCUITPYTHON names a folder of your own.

    Raises:
        Missing: pip cannot get them.
    """
    own = os.environ.get("MICRODOT_CIRCUITPYTHON")
    folder = Path(own).resolve() if own else cache() / "circuitpython-3"
    with locked(folder.with_name(folder.name + ".lock")):
        if not own and not folder.exists():
            work = folder.with_name(folder.name + ".part")
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            # Only these two: what they ask for besides serves computers.
            download = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps"]
            _run([*download, "--only-binary", ":all:", "-d", "wheels", *LIBRARIES], work)
            for wheel in (work / "wheels").glob("*.whl"):
                shutil.unpack_archive(wheel, work, "zip")
            for left in [work / "wheels", *work.glob("*.dist-info")]:
                shutil.rmtree(left)
            work.rename(folder)
    if not (folder / "asyncio" / "core.py").exists() or not (folder / "adafruit_ticks.py").exists():
        raise Missing(f"{folder} has no asyncio/core.py and adafruit_ticks.py of CircuitPython")
    return folder


def micropython(bits: int) -> Path:
    """Return the path of an executable MicroPython with 64 or 32 bits. Raises Missing."""
    return provide(f"micropython{bits}")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help=", ".join([*COMPONENTS, "circuitpython"]))
    parser.add_argument("--all", action="store_true", help="provide everything")
    parser.add_argument("--bits", type=int, choices=(64, 32), help="the same as micropython64 or micropython32")
    options = parser.parse_args()
    names: list[str] = list(COMPONENTS) if options.all else list(options.name)
    if options.bits:
        names.append(f"micropython{options.bits}")
    if options.all:
        names.append("circuitpython")
    unknown = sorted(set(names) - set(COMPONENTS) - {"circuitpython"})
    if unknown or not names:
        there = ", ".join([*COMPONENTS, "circuitpython"])
        wrong = f"there is no {', '.join(unknown)}" if unknown else "name something"
        parser.error(f"{wrong}; there are {there}, or --all")
    code = 0
    for name in names:
        try:
            print(circuitpython_libraries() if name == "circuitpython" else provide(name))
        except Missing as error:
            print(f"provide: {error}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
