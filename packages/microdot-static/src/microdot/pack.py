"""Pack a web folder for a board: hashes in names, gzip, a manifest, and on request a module to freeze into the firmware.

    python -m microdot.pack web packed                   a folder to copy to the board
    python -m microdot.pack web packed --module web.py   also a module to freeze

* Files that pages refer to (scripts, styles, images, fonts, …) get a hash of their content into their names,
  `app.js` → `app.v-5d41402a.js`, and the references to them in HTML and CSS are changed. `Static` lets browsers keep files
  with such names for a year, so a page that is loaded again costs one request. What is named elsewhere too (in scripts, in
  data) keeps its name.
* What becomes smaller by a tenth is kept compressed only, as `app.v-5d41402a.js.gz`, which `Static` serves to everybody.
* `manifest.json` has the names: `{"app.js": "app.v-5d41402a.js"}`.
* The module holds the packed files as constants, which in a frozen module stay in flash. `web.mount("/web")` makes them a
  file system, and `Static(app, "", "/web")` serves them from there, without a copy of a whole file in RAM.

The same files give the same bytes, so that a repository or a build does not change without a reason.
CPython only: a board gets what this makes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import posixpath
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

PAGES = (".html", ".htm")
"""Pages keep their names: those are what people type and link to."""
KEPT = (*PAGES, ".json", ".webmanifest", ".txt", ".xml")
"""Files that are fetched by names written elsewhere (robots.txt, sitemap.xml, data) keep them too."""
COMPRESSED_ALREADY = (".gz", ".br", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".woff", ".woff2", ".mp3", ".mp4", ".webm", ".ogg", ".zip")

TEXTS = (*PAGES, ".css", ".js", ".mjs", ".json", ".webmanifest", ".svg", ".xml", ".txt")
"""Files in which names of others are looked for."""

# What refers to another file: attributes of HTML, and in CSS url() and @import.
_HTML = re.compile(rb"""(\b(?:src|href|poster|data)\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_SET = re.compile(rb"""(\b(?:image)?srcset\s*=\s*)("[^"]*"|'[^']*')""", re.IGNORECASE)
_CANDIDATE = re.compile(rb"""((?:^|,)["'\s]*)([^\s,"']+)""")
_CSS = re.compile(rb"""(\burl\(\s*|@import\s+)("[^"]*"|'[^']*'|[^\s"')]+)""", re.IGNORECASE)

_MODULE = '''"""Files for microdot.static, made by microdot.pack: `mount("/web")`, then `Static(app, "", "/web")`. Do not edit."""

import io

try:
    from vfs import mount as _mount
except ImportError:  # before MicroPython 1.24
    from os import mount as _mount

_TIME = {time}
_FILES = {{
{files}}}


class _Files:
    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def chdir(self, path):
        raise OSError(1)

    def getcwd(self):
        return "/"

    def ilistdir(self, path):
        path = path.strip("/") and "/" + path.strip("/")
        for name in _FILES:
            if name[: len(path) + 1] == path + "/" and "/" not in name[len(path) + 1 :]:
                yield name[len(path) + 1 :], 0x8000, 0, len(_FILES[name])

    def stat(self, path):
        if path in _FILES:
            return 0x8000, 0, 0, 0, 0, 0, len(_FILES[path]), _TIME, _TIME, _TIME
        path = path.rstrip("/") + "/"
        for name in _FILES:
            if name[: len(path)] == path:
                return 0x4000, 0, 0, 0, 0, 0, 0, _TIME, _TIME, _TIME
        raise OSError(2)

    def open(self, path, mode):
        if path not in _FILES or "w" in mode or "a" in mode or "+" in mode:
            raise OSError(2)
        return io.BytesIO(_FILES[path])


def mount(point):
    _mount(_Files(), point)
'''


def _compress(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def hashed_name(name: str, data: bytes) -> str:
    """Return a file name with the hash of `data`, its content, in it: `app.js` → `app.v-5d41402a.js`."""
    stem, extension = posixpath.splitext(name)
    return f"{stem}.v-{hashlib.sha256(data).hexdigest()[:8]}{extension}"


class Packer:
    """The files of a folder on their way to new names.

    Args:
        files: contents by path below the folder, with slashes.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        #: Old path → new one.
        self.manifest: dict[str, str] = {}
        #: Files that keep their names, because they are named where that cannot be changed; and by which other.
        self.kept: dict[str, str] = {}
        self.packed: dict[str, bytes] = {}
        self._open: list[str] = []

    def run(self) -> dict[str, bytes]:
        """Return the packed files by their new paths, `manifest.json` among them."""
        while True:
            self.manifest.clear()
            self.packed.clear()
            for name in sorted(self.files):
                self._pack(name)
            found = self._named_elsewhere()
            if not found:
                break
            self.kept |= found
        table = json.dumps(self.manifest, indent=0, sort_keys=True).encode() + b"\n"
        result = {"manifest.json": table}
        for name, data in self.packed.items():
            smaller = b"" if name.lower().endswith(COMPRESSED_ALREADY) else _compress(data)
            if smaller and len(smaller) <= len(data) * 0.9:
                result[name + ".gz"] = smaller
            else:
                result[name] = data
        return dict(sorted(result.items()))

    def _named_elsewhere(self) -> dict[str, str]:
        """Return which renamed files a packed one still names as they were."""
        renamed: dict[bytes, list[str]] = {}
        for name, new in self.manifest.items():
            if name != new:
                base = posixpath.basename(name)
                for text in {base, quote(base)}:
                    renamed.setdefault(text.encode(), []).append(name)
        if not renamed:
            return {}
        names = b"|".join(re.escape(text) for text in sorted(renamed, key=len, reverse=True))
        search = re.compile(rb"(?<![\w.-])(?:" + names + rb")(?!\.?[\w-])")
        found = {}
        for name, data in self.packed.items():
            if name.lower().endswith(TEXTS):
                for text in search.findall(data):
                    found.update(dict.fromkeys(renamed[text], name))
        return found

    def _pack(self, name: str) -> str:
        """Pack one file and return its new name; what it refers to comes first, because its hash is part of the content."""
        if name in self.manifest:
            return self.manifest[name]
        data = self.files[name]
        self._open.append(name)
        if name.lower().endswith(PAGES):
            data = _HTML.sub(lambda found: self._refer(name, found), data)
            data = _SET.sub(
                lambda found: found[1] + _CANDIDATE.sub(lambda one: self._refer(name, one), found[2]),
                data,
            )
        if name.lower().endswith((*PAGES, ".css")):
            data = _CSS.sub(lambda found: self._refer(name, found), data)
        self._open.pop()
        directory, base = posixpath.split(name)
        if not name.lower().endswith(KEPT) and name not in self.kept:
            base = hashed_name(base, data)
        new = posixpath.join(directory, base)
        self.manifest[name] = new
        self.packed[new] = data
        return new

    def _refer(self, name: str, found: re.Match[bytes]) -> bytes:
        before, text = found.group(1), found.group(2)
        mark = text[:1] if text[:1] in (b'"', b"'") else b""
        try:
            url = text.strip(b"\"'").decode()
        except UnicodeDecodeError:
            return found.group(0)
        path, sign, rest = re.fullmatch(r"([^?#]*)([?#]?)(.*)", url, re.DOTALL).groups()  # type: ignore[union-attr]
        directory = "/" + posixpath.dirname(name)
        target = posixpath.normpath(posixpath.join(directory, unquote(path)))[1:] if path else ""
        # Not ours: other hosts, what is not in the folder (pages keep their names), and circles of style sheets.
        if "//" in url or target not in self.files or target in self._open:
            return found.group(0)
        new = "/" + self._pack(target)
        if new == "/" + target:
            return found.group(0)
        if not path.startswith("/"):
            new = posixpath.relpath(new, directory)
        return before + mark + (quote(new) + sign + rest).encode() + mark


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by their paths; hidden ones, which `Static` does not serve, are left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def module(files: dict[str, bytes]) -> str:
    """Return the text of a module that holds files, to freeze into a firmware."""
    lines = "".join(f'    "/{name}": {data!r},\n' for name, data in files.items())
    # Files of a frozen module have no time of their own. One that depends on the content makes another ETag of a changed
    # file of the same length; as a date it lies in 2001 to 2009.
    digest = hashlib.sha256(lines.encode()).digest()
    return _MODULE.format(time=31_622_400 + int.from_bytes(digest[:4], "big") % 252_460_800, files=lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m microdot.pack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the web folder")
    parser.add_argument("out", type=Path, help="where the packed files go; a folder of an earlier run is replaced")
    parser.add_argument("--module", type=Path, metavar="FILE", help="also write a module to freeze, such as web.py")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        print(f"pack: {options.folder} is no folder", file=sys.stderr)
        return 1
    if options.out.exists():
        # Only what this command has made is deleted.
        if not (options.out / "manifest.json").is_file() and any(options.out.iterdir()):
            print(f"pack: {options.out} holds something else; name a folder that is new or empty", file=sys.stderr)
            return 1
        shutil.rmtree(options.out)
    files = read_folder(options.folder)
    packer = Packer(files)
    packed = packer.run()
    for name, other in packer.kept.items():
        print(f"pack: {name} keeps its name, because {other} names it", file=sys.stderr)
    for name, data in packed.items():
        target = options.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    if options.module:
        options.module.write_text(module(packed), encoding="utf-8")
    before, after = (sum(map(len, group.values())) for group in (files, packed))
    print(f"{len(files)} files, {before} bytes → {len(packed)} files, {after} bytes in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
