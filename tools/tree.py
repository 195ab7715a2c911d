"""Make one merged `microdot/` directory out of all packages.

MicroPython imports a package from one directory only (unlike CPython it does not merge `microdot/` from several
entries of sys.path), and editors resolve one path better than twenty. So whatever runs from a checkout without
installing anything runs from a merged tree:

    python tools/tree.py                   build/tree, symbolic links to the sources: for editors and CPython
    python tools/tree.py --copy            build/tree, copies of what boards get
    python tools/tree.py --mpy             build/board, compiled as the published .mpy files are

--copy and --mpy leave out the files that never go to a board (`host-only` in a package's pyproject.toml).
The output directory is made anew each time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from project import BUILD, IMPORT_NAME, Package, mpy_compile, packages, shown, with_requirements


def make_tree(out: Path, chosen: list[Package], *, copy: bool = False, mpy: bool = False, optimize: int = 3) -> int:
    """Write the merged tree to `out`/microdot, replacing what is there; return the number of files.

    Raises:
        ValueError: two packages own the same file.
    """
    final = out / IMPORT_NAME
    target = out / f".{IMPORT_NAME}-{os.getpid()}"
    owners: dict[str, str] = {}
    for package in chosen:
        texts = package.published() if mpy and optimize == 3 else {}
        for name in package.board_files() if copy or mpy else package.files():
            if texts and f"{IMPORT_NAME}/{name}" not in texts:  # it was linked into another
                continue
            if name in owners:
                raise ValueError(f"{name} is in {owners[name]} and in {package.name}: a file has one owner")
            owners[name] = package.name
            source = package.source / name
            destination = target / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            if mpy:
                path = f"{IMPORT_NAME}/{name}"
                text = texts.get(path) or source.read_text(encoding="utf-8")
                mpy_compile(text, destination.with_suffix(".mpy"), path, optimize=optimize)
            elif copy:
                shutil.copyfile(source, destination)
            else:
                destination.symlink_to(source)
    # Swapped in when complete: another command may be importing from it.
    if final.exists():
        shutil.rmtree(final)
    target.rename(final)
    return len(owners)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copy", action="store_true", help="copy the files that boards get")
    parser.add_argument("--mpy", action="store_true", help="compile the files that boards get")
    parser.add_argument("-O", dest="optimize", type=int, default=3, help="optimisation level for --mpy (default 3)")
    parser.add_argument("--packages", help="only these, separated by commas, and what they need (default: all)")
    parser.add_argument("--out", type=Path, help="directory (default: build/tree, with --mpy build/board)")
    options = parser.parse_args()
    known = packages()
    out: Path = options.out or BUILD / ("board" if options.mpy else "tree")
    try:
        chosen = with_requirements(options.packages.split(","), known) if options.packages else known
        count = make_tree(out, chosen, copy=options.copy, mpy=options.mpy, optimize=options.optimize)
    except (ValueError, RuntimeError) as error:
        print(f"tree: {error}", file=sys.stderr)
        return 1
    print(f"{count} files of {len(chosen)} packages in {shown(out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
