"""The packer of web folders, links, and what else of microdot-static is for CPython only."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest

from microdot import Microdot
from microdot.pack import Packer, main
from microdot.static import Static
from microdot.test_client import TestClient
from provide import Missing, micropython

PAGE = b"""<!doctype html><html><head><link rel="stylesheet" href="css/style.css"><link rel=icon href=icon.svg></head>
<body><img src='img/a.png?x=1#y'><script src="app.js"></script><a href="other.html">other</a>
<a href="https://example.com/lib.js">away</a><a href="/app.js">absolute</a><a href="missing.js">missing</a></body></html>
"""
FILES = {
    "index.html": PAGE,
    "other.html": b"<p>other</p>",
    "app.js": b"console.log('hello');\n" * 50,
    "icon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "css/style.css": b"@import 'more.css';\nbody { background: url(../img/a.png) }\n",
    "css/more.css": b"@import url('style.css');\n",
    "img/a.png": b"\x89PNG" + bytes(range(256)),
    "robots.txt": b"User-agent: *\n",
    ".hidden": b"secret",
}


@pytest.fixture
def web(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "web"


def unpacked(out: Path, name: str) -> bytes:
    path = out / name
    return path.read_bytes() if path.exists() else gzip.decompress((out / (name + ".gz")).read_bytes())


def test_pack(web: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "packed"
    assert main([str(web), str(out)]) == 0
    assert "8 files" in capsys.readouterr().out
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest) == set(FILES) - {".hidden"}
    # The two style sheets import each other: one of the names has to stay.
    for name in ("index.html", "other.html", "robots.txt", "css/style.css"):
        assert manifest[name] == name
    for name in ("app.js", "icon.svg", "css/more.css", "img/a.png"):
        stem, extension = name.rsplit(".", 1)
        assert re.fullmatch(re.escape(stem) + r"\.v-[0-9a-f]{8}\." + extension, manifest[name]), manifest[name]
    page = unpacked(out, "index.html").decode()
    for name in ("app.js", "css/style.css", "icon.svg"):
        assert manifest[name] in page, page
    assert manifest["img/a.png"] + "?x=1#y'" in page
    assert f'"/{manifest["app.js"]}"' in page  # absolute: from the top of the folder
    for text in ('"other.html"', '"https://example.com/lib.js"', '"missing.js"'):
        assert text in page
    assert "../" + manifest["img/a.png"] in unpacked(out, manifest["css/style.css"]).decode()
    # Compressed only where that pays, and nothing is there twice.
    assert (out / (manifest["app.js"] + ".gz")).exists() and not (out / manifest["app.js"]).exists()
    assert (out / manifest["img/a.png"]).exists()
    assert not (out / ".hidden").exists()


def test_nothing_is_renamed_that_others_still_name() -> None:
    files = {
        "index.html": b"""<img srcset="a.png 1x, img/b%20c.png 2x" src=a.png><link rel=manifest href=site.webmanifest>
            <meta property="og:image" content="https://example.com/og.png"><script src="/js/main.js"></script>""",
        "a.png": b"a",
        "img/b c.png": b"b c",
        "og.png": b"og",
        "icon.png": b"icon",
        "site.webmanifest": b'{"icons": [{"src": "/icon.png"}]}',
        "js/main.js": b"import './util.js'; fetch('data.bin'); // not my-a.png, a.png.map",
        "js/util.js": b"export {}",
        "js/data.bin": b"data",
        "sub/page.html": b"<script src=../js/main.js></script><img src=/a.png><a href='../index.html#top'>",
    }
    packer = Packer(files)
    packed = packer.run()
    manifest = packer.manifest
    assert packer.kept == {
        "og.png": "index.html",
        "icon.png": "site.webmanifest",
        "js/util.js": manifest["js/main.js"],
        "js/data.bin": manifest["js/main.js"],
    }
    for name in packer.kept:
        assert manifest[name] == name and name in packed
    for name in ("a.png", "img/b c.png", "js/main.js"):
        assert ".v-" in manifest[name]

    def text(name: str) -> str:
        return (packed[name] if name in packed else gzip.decompress(packed[name + ".gz"])).decode()

    page = text("index.html")
    spaced = manifest["img/b c.png"].replace(" ", "%20")
    assert f'srcset="{manifest["a.png"]} 1x, {spaced} 2x" src={manifest["a.png"]}>' in page
    assert f'src="/{manifest["js/main.js"]}"' in page and "href=site.webmanifest" in page
    assert text("sub/page.html") == (
        f"<script src=../{manifest['js/main.js']}></script><img src=/{manifest['a.png']}><a href='../index.html#top'>"
    )


def test_pack_is_reproducible_and_careful(web: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "packed"
    results = []
    for _ in range(2):
        assert main([str(web), str(out), "--module", str(tmp_path / "web.py")]) == 0
        results.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
        results[-1][Path("web.py")] = (tmp_path / "web.py").read_bytes()
    assert results[0] == results[1]
    # Another content, another name.
    before = json.loads((out / "manifest.json").read_text())
    (web / "img/a.png").write_bytes(b"other")
    assert main([str(web), str(out)]) == 0
    after = json.loads((out / "manifest.json").read_text())
    assert [name for name in before if before[name] != after[name]] == ["img/a.png"]
    assert after["img/a.png"] in unpacked(out, "css/style.css").decode()
    # What somebody else has put there is not deleted.
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("mine")
    assert main([str(web), str(tmp_path / "mine")]) == 1
    assert (tmp_path / "mine/file").read_text() == "mine"
    assert main([str(tmp_path / "nothing"), str(out)]) == 1
    capsys.readouterr()


async def test_a_packed_folder_is_served(web: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    main([str(web), str(out)])
    manifest = json.loads((out / "manifest.json").read_text())
    app = Microdot()
    Static(app, "", str(out))
    client = TestClient(app)
    response = await client.get("/", {"Accept-Encoding": "gzip"})
    assert gzip.decompress(response.body or b"") == unpacked(out, "index.html")
    assert response.headers["Cache-Control"] == "max-age=0"
    response = await client.get("/" + manifest["app.js"], {"Accept-Encoding": "gzip"})
    assert gzip.decompress(response.body or b"") == FILES["app.js"]
    assert response.headers["Cache-Control"] == "max-age=31536000, immutable"
    assert response.headers["Content-Type"] == "application/javascript"


ON_A_BOARD = """\
import sys
sys.path[:0] = sys.argv[1:]
import asyncio, os
import page_files as web
from microdot import Microdot
from microdot.static import Static
from microdot.test_client import TestClient

web.mount('/web')
assert 'robots.txt' in os.listdir('/web'), os.listdir('/web')
app = Microdot()
Static(app, '/site', '/web')

async def main():
    client = TestClient(app)
    response = await client.get('/site/')
    assert response.status_code == 200, response.status_code
    assert response.headers['Content-Encoding'] == 'gzip' and response.body[:2] == b'\\x1f\\x8b'
    tag = response.headers['ETag']
    assert (await client.get('/site/', {'If-None-Match': tag})).status_code == 304
    response = await client.get('/site/robots.txt')
    assert response.body == b'User-agent: *\\n', response.body
    assert (await client.get('/site/robots.txt', {'Range': 'bytes=5-9'})).body == b'agent'
    assert (await client.get('/site/css')).status_code == 301
    for path in ('/site/nothing', '/site/css/', '/site/../web.py'):
        assert (await client.get(path)).status_code == 404, path
    print('served')

asyncio.run(main())
"""


@pytest.mark.parametrize("bits", [64, 32])
def test_a_frozen_module_is_served_by_micropython(web: Path, tmp_path: Path, bits: int) -> None:
    try:
        interpreter = micropython(bits)
    except Missing as error:
        pytest.skip(str(error))
    main([str(web), str(tmp_path / "packed"), "--module", str(tmp_path / "page_files.py")])
    (tmp_path / "board.py").write_text(ON_A_BOARD)
    sources = [str(path) for path in sorted(Path(__file__).parents[2].glob("microdot-*/src"))]
    tree = tmp_path / "tree" / "microdot"
    tree.mkdir(parents=True)
    for source in sources:
        for path in Path(source, "microdot").glob("*.py"):
            (tree / path.name).symlink_to(path)
    for host in ("_static.py", "_cpython.py"):
        (tree / host).unlink()
    run = subprocess.run(
        [str(interpreter), str(tmp_path / "board.py"), str(tree.parent), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "MICROPYPATH": ".frozen"},
    )
    assert run.stdout == "served\n", run.stdout + run.stderr


def test_the_command_line(web: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "microdot.pack", str(web), str(tmp_path / "packed")], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0 and "8 files" in run.stdout, run.stdout + run.stderr


async def status(app: Microdot, path: str) -> int:
    return (await TestClient(app).get(path)).status_code or 0


async def test_links_do_not_lead_out_of_the_folder(web: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file.txt").write_text("secret")
    (web / "link.txt").symlink_to(tmp_path / "outside.txt")
    (web / "folder").symlink_to(tmp_path / "outside")
    (web / "inside.txt").symlink_to(web / "robots.txt")
    (web / "circle").symlink_to(web / "circle")
    (web / "broken").symlink_to(tmp_path / "nothing")
    os.mkfifo(web / "pipe")
    # A folder whose own path has a link in it, and one beside it with a name that begins as its own.
    (tmp_path / "alias").symlink_to(web)
    (tmp_path / "web2").mkdir()
    (tmp_path / "web2/file.txt").write_text("secret")
    (web / "beside.txt").symlink_to(tmp_path / "web2/file.txt")
    for folder in (str(web), str(tmp_path / "alias"), str(web) + "/"):
        app = Microdot()
        Static(app, "/a", folder)
        Static(app, "/b", folder, symlinks=True)
        for path, closed, opened in (
            ("link.txt", 404, 200),
            ("folder/file.txt", 404, 200),
            ("folder/", 404, 404),
            ("beside.txt", 404, 200),
            ("inside.txt", 200, 200),
            ("circle", 404, 404),
            ("broken", 404, 404),
            ("pipe", 404, 404),
            ("robots.txt", 200, 200),
        ):
            assert await asyncio.wait_for(status(app, "/a/" + path), 5) == closed, (folder, path)
            assert await asyncio.wait_for(status(app, "/b/" + path), 5) == opened, (folder, path)


async def test_what_may_not_be_read_is_not_there(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str, mode: str) -> FileIO:
        if path.endswith("robots.txt"):
            raise PermissionError(13, "Permission denied", path)
        return FileIO(path)

    app = Microdot()
    Static(app, "", str(web))
    monkeypatch.setattr("microdot.static.open", refused)
    assert await status(app, "/robots.txt") == 404
    assert await status(app, "/icon.svg") == 200


async def test_a_file_that_is_replaced_while_it_is_asked_for(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tag goes with its own bytes, and there is no moment in which it is not there."""
    path = web / "robots.txt"
    times = iter(range(1_000_000_000, 2_000_000_000, 10))

    def replace(content: bytes) -> None:
        new = web / "new"
        new.write_bytes(content)
        os.utime(new, (time := next(times), time))
        os.replace(new, path)

    contents = iter([b"two", b"three", b"four", b"five"])

    def late(name: str, mode: str) -> FileIO:
        content = next(contents, None)
        if content:
            replace(content)
        return FileIO(name)

    app = Microdot()
    Static(app, "", str(web))
    client = TestClient(app)
    replace(b"one")
    assert (await client.get("/robots.txt")).text == "one"
    # What is known of a file does not outlive it.
    replace(b"zero")
    response = await client.get("/robots.txt")
    assert response.text == "zero" and '"1000000010.0-4"' == response.headers["ETag"]
    path.unlink()
    assert await status(app, "/robots.txt") == 404
    replace(b"last")
    with monkeypatch.context() as patched:
        patched.setattr("microdot.static.open", late)
        # It is looked at again, but not for ever.
        assert await status(app, "/robots.txt") == 404
        response = await client.get("/robots.txt")
        assert response.text == "five" and response.headers["ETag"].endswith('0-4"'), response.headers
    # Nor does a link lead out of the folder because a file was there.
    secret = web.parent / "secret.txt"
    secret.write_bytes(b"evil")
    os.utime(secret, (path.stat().st_mtime, path.stat().st_mtime))
    (web / "link").symlink_to(secret)
    os.replace(web / "link", path)
    assert await status(app, "/robots.txt") == 404
    os.mkfifo(web / "pipe")
    os.replace(web / "pipe", path)
    assert await asyncio.wait_for(status(app, "/robots.txt"), 5) == 404


async def test_what_is_known_of_files_is_bounded(web: Path) -> None:
    app = Microdot()
    known = vars(Static(app, "", str(web)))["_known"]
    client = TestClient(app)
    for number in range(2500):
        assert (await client.get("/robots.txt", {"Accept-Encoding": f"x{number}"})).status_code == 200
        assert len(known) <= 1000
    # Only what was there is kept.
    known.clear()
    for path in "/nothing", "/../robots.txt", "/css", "/css/", "/.hidden":
        await client.get(path)
    assert not known


def test_settings_are_checked() -> None:
    with pytest.raises(TypeError, match="max_agee"):
        Static(None, "", "web", max_agee=1)
    with pytest.raises(ValueError, match="current"):
        Static(None, "", "")


async def test_types_that_the_table_lacks(tmp_path: Path) -> None:
    for name, kind in (
        ("a.jpeg", "image/jpeg"),
        ("a.webm", "video/webm"),
        ("a.mp3", "audio/mpeg"),
        ("a.woff2", "font/woff2"),
        ("a.pdf", "application/pdf"),
        ("a.wasm", "application/wasm"),
        ("a.html", "text/html; charset=UTF-8"),
        ("a.css", "text/css; charset=UTF-8"),
        ("a.unknown", "application/octet-stream"),
    ):
        (tmp_path / name).write_bytes(b"x")
        app = Microdot()
        Static(app, "", str(tmp_path))
        response = await TestClient(app).get("/" + name)
        assert response.headers["Content-Type"] == kind, name
        assert response.headers["Accept-Ranges"] == "bytes"
