"""docs/examples/extension, the package of a third party: what docs/writing-extensions.md says about publishing it works."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from project import CORE, ROOT
from support.board import Board
from support.environments import Environment, run

EXTENSION = ROOT / "docs" / "examples" / "extension"

PROGRAM = """
from microdot import Microdot
from microdot_busy import Busy

app = Microdot()
busy = app.install(Busy(most=2))
print(len(app.hooks['admit']), len(app.hooks['done']), busy.most)
"""


def test_by_pip(environment: Environment, wheels: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(EXTENSION, tmp_path / "source", ignore=shutil.ignore_patterns("__pycache__"))
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=tmp_path / "source")
    (wheel,) = tmp_path.glob("microdot_busy-*.whl")
    # pip itself sees to it that the requirement on the core is met
    environment.pip("install", "-q", "--no-index", wheels[CORE], wheel)
    assert environment.run("-c", PROGRAM) == "1 1 2\n"


def test_by_mip(micropython64: Path, index_url: str, tmp_path: Path) -> None:
    from mpremote.mip import _install_package

    library = tmp_path / "lib"
    library.mkdir()
    _install_package(Board(tmp_path), str(EXTENSION / "package.json"), index_url, "lib", None, True)
    assert (library / "microdot_busy.py").read_bytes() == (EXTENSION / "microdot_busy.py").read_bytes()
    program = tmp_path / "program.py"
    program.write_text(f"import sys\nsys.path.insert(0, {str(library)!r})\n{PROGRAM}")
    assert run([micropython64, program], cwd=tmp_path) == "1 1 2\n"
