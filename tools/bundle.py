"""Make a bundle for CircuitPython: a zip to be copied onto the drive of a board.

    python tools/bundle.py websocket sse               the core and these: dist/bundles/NAME-py-VERSION.zip
    python tools/bundle.py --all                       all packages that boards can use
    python tools/bundle.py --folder OUT                not a zip: OUT/lib/microdot

A bundle holds sources, because CircuitPython reads no .mpy files of MicroPython's compiler; they are stripped
(tools/strip.py), because a board compiles them in its heap. What CircuitPython lacks or has under another name is
exchanged here, so that MicroPython's boards do not pay for it:

    _circuitpython.py takes the place of _micropython.py (`circuitpython` in a package's pyproject.toml)
    hashlib.sha1, sha256 → functions of that file     CircuitPython's hashlib has only new()
    sys.print_exception → traceback.print_exception   version 10 has only the latter
    time.gmtime → time.localtime                      it knows no time zones

The layout is that of CircuitPython's own bundles, with the requirements where circup looks for them.
"""

from __future__ import annotations

import argparse
import ast
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import bootstrap

if __name__ == "__main__":
    bootstrap.need("build")  # before the modules that cannot do without

from project import CORE, DIST, IMPORT_NAME, Package, packages, shown, with_requirements
from strip import Edits, strip

NAME = "microdot"
LIBRARIES = ("asyncio", "adafruit_ticks")
"""What a bundle needs of CircuitPython's own libraries."""

_PORT = f"{IMPORT_NAME}._micropython"
_MOVED = {("hashlib", "sha1"): _PORT, ("hashlib", "sha256"): _PORT, ("sys", "print_exception"): "traceback"}
_RENAMED = {("time", "gmtime"): "localtime"}

CODE = """\
# SPDX-License-Identifier: MIT
# Save this as code.py. CIRCUITPY_WIFI_SSID and CIRCUITPY_WIFI_PASSWORD in settings.toml connect the board.
import wifi
from microdot import Microdot

app = Microdot()


@app.get("/")
async def index(request):
    return "Hello from " + str(wifi.radio.ipv4_address)


print("http://%s:5000/" % wifi.radio.ipv4_address)
app.run(port=5000)
"""


def for_circuitpython(text: str, name: str) -> str:
    """Return a board module as CircuitPython gets it.

    Args:
        text: the source.
        name: what messages call it.

    Raises:
        ValueError: it imports something that has to be exchanged in a way that this does not know.
    """
    edits = Edits(text)
    for node in ast.walk(ast.parse(text, name)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            homes = {_MOVED.get((node.module or "", alias.name)) for alias in node.names}
            if homes != {None}:
                (home,) = homes if len(homes) == 1 else (None,)
                if home is None:
                    raise ValueError(f"{name}, line {node.lineno}: import these names in lines of their own")
                begin = edits.start(node) + len("from ")
                edits.replace(begin, begin + len(node.module or ""), home)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in _MOVED:
                raise ValueError(f"{name}, line {node.lineno}: import {node.attr} from {node.value.id} instead")
            new = _RENAMED.get((node.value.id, node.attr))
            if new:
                edits.replace(edits.end(node) - len(node.attr), edits.end(node), new)
    return strip(edits.result(), name)


def bundle_files(chosen: Sequence[Package]) -> dict[str, str]:
    """Return the modules of packages as CircuitPython gets them: path below `lib` → source."""
    found: dict[str, str] = {}
    for package in chosen:
        for name, source in package.circuitpython_files().items():
            found[f"{IMPORT_NAME}/{name}"] = for_circuitpython(source.read_text(encoding="utf-8"), name)
    return found


def write_files(files: dict[str, str], out: Path) -> None:
    """Write modules into `out`/lib."""
    for name, text in files.items():
        path = out / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def write_zip(chosen: Sequence[Package], out: Path, name: str = NAME) -> Path:
    """Write the bundle of packages into the folder `out` and return its path; the same packages make the same bytes.

    Args:
        chosen: the packages, with what they need.
        out: where to.
        name: what the file name begins with, in bundles that of the repository.
    """
    boards = [package for package in chosen if package.boards]
    stem = f"{name}-py-{boards[0].version}"
    libraries = ", ".join(f'"{library}"' for library in LIBRARIES)
    about = [f"{package.name} {package.version}: {package.description}" for package in boards]
    files = {f"lib/{path}": text for path, text in bundle_files(boards).items()}
    files["README.txt"] = (
        "Copy lib/microdot into the folder lib of the drive CIRCUITPY, and CircuitPython's own libraries\n"
        f"{' and '.join(LIBRARIES)} too (`circup install {' '.join(LIBRARIES)}`).\n\n" + "\n".join(about) + "\n"
    )
    files["examples/microdot_simpletest.py"] = CODE
    files[f"requirements/{IMPORT_NAME}/requirements.txt"] = ""
    files[f"requirements/{IMPORT_NAME}/pyproject.toml"] = f"[circup]\ncircup_dependencies = [{libraries}]\n"
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{stem}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files):
            info = zipfile.ZipInfo(f"{stem}/{file}", (2020, 2, 2, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[file])
    return path


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="packages besides the core, such as websocket")
    parser.add_argument("--all", action="store_true", help="all packages that boards can use")
    parser.add_argument("--out", type=Path, default=DIST / "bundles", help="folder of the zip (default: dist/bundles)")
    parser.add_argument("--folder", type=Path, help="write the files into this folder instead")
    parser.add_argument("--name", default=NAME, help="what the file name begins with (default: microdot)")
    options = parser.parse_args()
    known = packages()
    try:
        names = [package.name for package in known if package.boards] if options.all else [CORE, *options.names]
        chosen = with_requirements(names, known)
        for package in chosen:
            if not package.boards:
                raise ValueError(f"{package.name} does not run on boards")
        if options.folder:
            files = bundle_files(chosen)
            write_files(files, options.folder)
            print(f"{len(files)} files in {shown(options.folder)}")
        else:
            print(shown(write_zip(chosen, options.out, options.name)))
    except ValueError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
