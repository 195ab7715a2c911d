"""Set one version everywhere and write the changelog. It uploads nothing and commits nothing.

    python tools/release.py 0.2.0                 today's date
    python tools/release.py 0.2.0 --date 2027-01-31

mip cannot choose among versions, so all packages have the same one and require exactly each other's. This writes the
version and the pins into every packages/*/pyproject.toml and the core's `__version__`, folds news/*.md into
CHANGELOG.md and deletes them, and runs tools/gen.py. Look at the difference, run `python3 tools/check.py`, commit, tag;
then `python3 tools/check.py build` leaves the wheels in dist/, and `python tools/mip.py --keep --out INDEX` adds them
to a published index.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path

from project import CORE, ROOT, packages, shown

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
        raise ValueError(f'{CORE}: there must be one line __version__ = "…" in __init__.py')
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


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="X.Y.Z")
    today = datetime.date.today().isoformat()
    parser.add_argument("--date", default=today, help="date of the release (default: today)")
    options = parser.parse_args()
    version: str = options.version
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        print(f"release: {version!r} is no version: give X.Y.Z", file=sys.stderr)
        return 1
    news = {path: path.read_text(encoding="utf-8") for path in (ROOT / "news").glob("*.md") if path.name != "README.md"}
    log = ROOT / "CHANGELOG.md"
    try:
        # Everything is computed before anything is written.
        files = {log: changelog(log.read_text(encoding="utf-8"), news, version, options.date)}
        for package in packages():
            path = package.directory / "pyproject.toml"
            files[path] = set_version(path.read_text(encoding="utf-8"), version)
            if package.name == CORE:
                init = package.source / "__init__.py"
                files[init] = set_dunder(init.read_text(encoding="utf-8"), version)
    except ValueError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
        print(f"written: {shown(path)}")
    for path in news:
        path.unlink()
        print(f"folded: {shown(path)}")
    return subprocess.run([sys.executable, str(ROOT / "tools" / "gen.py")]).returncode


if __name__ == "__main__":
    sys.exit(main())
