"""Make a static mip index from built wheels.

`mip` and `mpremote mip` install from a plain directory on a web server:

    index.html                         for people: packages, versions, the lines to type
    index.json                         what there is
    package/{py,6}/NAME/VERSION.json   files, requirements (exact versions: mip solves nothing)
    package/{py,6}/NAME/latest.json    the same as the newest version that is no pre-release
    file/xx/xxxxxxxx                   contents, by the start of their SHA-256

`6` holds .mpy files (bytecode version 6, optimised like the board tree), `py` the sources. The wheel decides what is
in a package, so that boards and computers get the same release; `host-only` files and packages with `boards = false`
stay out.

    python tools/mip.py                     dist/*.whl → build/mip
    python tools/mip.py --serve 8765        the same, then serve it on 127.0.0.1 until Ctrl-C
    python tools/mip.py --keep --out DIR    add to a published index; versions that are there stay, and must not change

`tools/release.py X.Y.Z --out DIR` does that as part of a release.
"""

from __future__ import annotations

import argparse
import email.parser
import functools
import hashlib
import html
import http.server
import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bootstrap

if __name__ == "__main__":
    bootstrap.need("build", "mpy_cross")  # before the modules that cannot do without

from project import BUILD, DIST, IMPORT_NAME, mpy_compile, packages, published, shown

MPY_VERSION = "6"
"""The bytecode version that mpy-cross 1.22 and later writes; mip asks for `sys.implementation._mpy & 0xff`."""


@dataclass
class Wheel:
    """What the index needs to know of one wheel."""

    name: str
    version: str
    description: str
    license: str
    author: str
    requirements: list[tuple[str, str]]
    files: dict[str, bytes]
    """Path on the board (`microdot/app.py`) → source."""


def read_wheel(path: Path, host_only: Iterable[str] = ()) -> Wheel:
    """Read a wheel; leave out what never goes to a board.

    Raises:
        ValueError: a requirement on a sibling is not pinned (`==`), which mip could not follow.
    """
    hidden = {f"{IMPORT_NAME}/{name}" for name in host_only}
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (metadata_name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.parser.Parser().parsestr(archive.read(metadata_name).decode("utf-8"))
        files = {name: archive.read(name) for name in names if name.endswith(".py") and name not in hidden}
    requirements = []
    for line in metadata.get_all("Requires-Dist") or []:
        requirement, _, marker = line.partition(";")
        if "extra" in marker or not requirement.startswith("microdot-"):
            continue
        match = re.fullmatch(r"([a-z0-9-]+)==([0-9A-Za-z.]+)", requirement.replace(" ", ""))
        if not match:
            raise ValueError(f"{path.name}: {line!r} is not pinned with ==; mip cannot choose a version")
        requirements.append((match.group(1), match.group(2)))
    return Wheel(
        name=metadata["Name"],
        version=metadata["Version"],
        description=metadata["Summary"] or "",
        license=metadata["License-Expression"] or "",
        author=metadata["Author"] or "",
        requirements=sorted(requirements),
        files=files,
    )


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def newest(versions: Iterable[str]) -> str:
    """Return what `latest` means: the highest version, a pre-release (`1.0.0rc1`) only when there is no other."""

    def key(version: str) -> tuple[bool, tuple[int, ...], str]:
        number = re.match(r"[0-9.]+", version)
        numbers = tuple(map(int, filter(None, number.group().split(".")))) if number else ()
        rest = version[number.end() :] if number else version
        return not rest, numbers, rest

    return max(versions, key=key)


PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Microdot packages for boards</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }}
code, pre {{ background: #f2f2f2; padding: .1em .3em; overflow-x: auto }} td, th {{ text-align: left; padding: .3em .8em .3em 0 }}
@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #181818 }} code, pre {{ background: #2a2a2a }} }}
</style>
<h1>Microdot packages for boards</h1>
<p>This is an index for <code>mip</code>, MicroPython's installer. From a computer, with the board plugged in:</p>
<pre>mpremote mip install --index ADDRESS microdot-core</pre>
<p>On the board itself:</p>
<pre>import mip
mip.install("microdot-core", index="ADDRESS")</pre>
<p>ADDRESS is that of this page. <code>--no-mpy</code> (<code>mpy=False</code>) installs sources,
<code>NAME@VERSION</code> (<code>version="VERSION"</code>) another version.</p>
<table>
<tr><th>package<th>latest<th>also<th>what it is
{rows}
</table>
<script>
const here = location.href.replace(/[#?].*|[^/]*$/g, "").replace(/\\/$/, "");
for (const pre of document.querySelectorAll("pre")) pre.textContent = pre.textContent.replaceAll("ADDRESS", here);
</script>
</html>
"""


def page(entries: Iterable[dict[str, Any]]) -> str:
    """Return the index for people."""
    rows = []
    for entry in entries:
        others = [version for version in entry["versions"]["py"] if version != entry["version"]]
        cells = [entry["name"], entry["version"], ", ".join(reversed(others)), entry["description"]]
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in cells))
    return PAGE.format(rows="\n".join(rows))


def _store(out: Path, content: bytes) -> str:
    """Write a file under its hash and return the short hash, which is what mip compares."""
    short = hashlib.sha256(content).hexdigest()[:8]
    path = out / "file" / short[:2] / short
    if path.exists() and path.read_bytes() != content:
        raise ValueError(f"two files have the short hash {short}: change a comment in one of them")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return short


def make_index(wheels: Iterable[Path], out: Path, *, keep: bool = False) -> list[Wheel]:
    """Write the index of these wheels to `out` and return what is in it.

    Args:
        wheels: the .whl files.
        out: the directory to serve.
        keep: add to the index that is there; without it the directory is made anew.

    Raises:
        ValueError: with `keep`, a published version would change; or a wheel cannot be expressed for mip.
        RuntimeError: mpy-cross refused a file.
    """
    if not keep and out.exists():
        shutil.rmtree(out)
    own = {package.name: package for package in packages()}
    done: list[Wheel] = []
    entries: dict[str, dict[str, Any]] = {}
    index_file = out / "index.json"
    if index_file.exists():
        entries = {entry["name"]: entry for entry in json.loads(index_file.read_text())["packages"]}
    for path in sorted(wheels):
        package = own.get(path.name.split("-")[0].replace("_", "-"))
        if package is not None and not package.boards:
            continue
        wheel = read_wheel(path, package.host_only if package else ())
        forms: dict[str, dict[str, bytes]] = {"py": wheel.files, MPY_VERSION: {}}
        texts = {name: content.decode("utf-8") for name, content in wheel.files.items()}
        with tempfile.TemporaryDirectory() as scratch:
            compiled = Path(scratch, "compiled.mpy")
            for name, text in published(texts, package.linked if package else {}, package.names if package else {}).items():
                mpy_compile(text, compiled, name)
                forms[MPY_VERSION][name[: -len(".py")] + ".mpy"] = compiled.read_bytes()
        entry = entries.setdefault(
            wheel.name,
            {
                "name": wheel.name,
                "path": wheel.name,
                "versions": {tag: [] for tag in forms},
            },
        )
        latest = newest([*entry["versions"]["py"], wheel.version])
        if latest == wheel.version:
            entry.update(
                version=wheel.version, author=wheel.author, description=wheel.description, license=wheel.license
            )
        for tag, files in forms.items():
            document = {
                "v": 1,
                "version": wheel.version,
                "hashes": [[name, _store(out, files[name])] for name in sorted(files)],
                "deps": [list(requirement) for requirement in wheel.requirements],
            }
            versioned = out / "package" / tag / wheel.name / f"{wheel.version}.json"
            if versioned.exists() and json.loads(versioned.read_text()) != document:
                raise ValueError(f"{wheel.name} {wheel.version} is published with other files: give it a new version")
            _write_json(versioned, document)
            if latest == wheel.version:
                _write_json(versioned.with_name("latest.json"), document)
            if wheel.version not in entry["versions"][tag]:
                entry["versions"][tag].append(wheel.version)
        done.append(wheel)
    ordered = [entries[name] for name in sorted(entries)]
    _write_json(index_file, {"v": 2, "packages": ordered})
    (out / "index.html").write_text(page(ordered), encoding="utf-8")
    return done


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves the index without a line per request."""

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: mip itself says what it fetches."""


def index_server(directory: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """Return a server for the index on 127.0.0.1, bound (`server_port` tells where) and not yet started."""
    handler = functools.partial(QuietHandler, directory=str(directory))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", nargs="*", type=Path, help="wheels (default: dist/*.whl)")
    parser.add_argument("--out", type=Path, default=BUILD / "mip", help="directory of the index (default: build/mip)")
    parser.add_argument("--keep", action="store_true", help="add to the index in --out instead of replacing it")
    parser.add_argument("--serve", type=int, metavar="PORT", help="serve the index on 127.0.0.1 afterwards")
    options = parser.parse_args()
    wheels: list[Path] = options.wheels or sorted(DIST.glob("*.whl"))
    if not wheels:
        print("mip: no wheels in dist/: run `hatch build --all` first", file=sys.stderr)
        return 1
    try:
        done = make_index(wheels, options.out, keep=options.keep)
    except (ValueError, RuntimeError) as error:
        print(f"mip: {error}", file=sys.stderr)
        return 1
    for wheel in done:
        print(f"{wheel.name} {wheel.version}: {len(wheel.files)} files")
    print(f"index of {len(done)} packages in {shown(options.out)}")
    if options.serve is not None:
        with index_server(options.out, options.serve) as server:
            print(f"serving http://127.0.0.1:{server.server_port}/ until Ctrl-C")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
