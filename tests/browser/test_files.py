"""Static folders and uploads as Chromium sees them: a page with all that belongs to it, a video that is sought in, a reload.

CPython only; the server under test runs on CPython and on MicroPython.
"""

from __future__ import annotations

import base64
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from provide import Missing, micropython
from support.browser import browser_page
from support.loopback import Running
from support.wire_server import free_port, python_path
from upy import board_tree

from microdot import Microdot, Request
from microdot.multipart import FormDataIter

PROGRAM = """\
import sys
from microdot import Microdot
from microdot.static import Static
app = Microdot()

def done(request, response, exception):
    print(response.status_code, request.path, request.headers.get('Range', '-'))

app.on('done', done)
Static(app, '', sys.argv[2])
app.run(host='127.0.0.1', port=int(sys.argv[1]))
"""

PAGE = """<!doctype html><title>page</title><link rel=icon href=icon.svg><link rel=stylesheet href=css/style.css>
<h1>Hello</h1><img id=one src=img/one.svg><img id=two src=img/two.svg>
<video src=video.webm preload=metadata muted></video>
<div id=many></div><script src=js/app.js></script>
"""
SCRIPT = """
document.title = 'script';
for (let n = 0; n < 200; n += 10) {
  fetch('many/f' + n + '.txt').then(r => r.text()).then(t => { document.getElementById('many').textContent += t + ' '; });
}
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{0}"><rect width="100%" height="100%" fill="red"/></svg>'

# A picture as a VP8 key frame: what a WebP file holds. Noise, so that it does not become small.
FRAME = """async () => {
  const canvas = document.createElement('canvas');
  canvas.width = 320; canvas.height = 240;
  const context = canvas.getContext('2d');
  const image = context.createImageData(320, 240);
  for (let i = 0; i < image.data.length; i++) image.data[i] = i % 4 == 3 ? 255 : Math.random() * 256;
  context.putImageData(image, 0, 0);
  return canvas.toDataURL('image/webp', 0.95).split(',')[1];
}"""


def element(name: str, content: bytes) -> bytes:
    """Return an EBML element (RFC 8794): identifier, length in eight bytes, content."""
    return bytes.fromhex(name) + b"\x01" + len(content).to_bytes(7, "big") + content


def number(name: str, value: int, size: int = 8) -> bytes:
    return element(name, value.to_bytes(size, "big"))


def webm(frame: bytes, frames: int, rate: int) -> bytes:
    """Return a video in which every frame is the same key frame, and the cues lead to each of them."""
    header = element(
        "1A45DFA3",
        number("4286", 1) + number("42F7", 1) + number("42F2", 4) + number("42F3", 8)
        + element("4282", b"webm") + number("4287", 2) + number("4285", 2),
    )  # fmt: skip
    info = element(
        "1549A966",
        number("2AD7B1", 1_000_000)
        + element("4489", struct.pack(">d", frames * 1000 / rate))
        + element("4D80", b"test") + element("5741", b"test"),
    )  # fmt: skip
    track = number("D7", 1) + number("73C5", 1) + number("83", 1) + element("86", b"V_VP8")
    track += element("E0", number("B0", 320) + number("BA", 240))
    tracks = element("1654AE6B", element("AE", track))

    def cluster(n: int) -> bytes:
        return element("1F43B675", number("E7", n * 1000 // rate) + element("A3", b"\x81\0\0\x80" + frame))

    def cues(start: int) -> bytes:
        points = b""
        for n in range(frames):
            place = number("F7", 1) + number("F1", start + n * len(cluster(0)))
            points += element("BB", number("B3", n * 1000 // rate) + element("B7", place))
        return element("1C53BB6B", points)

    before = len(info) + len(tracks) + len(cues(0))
    segment = info + tracks + cues(before) + b"".join(cluster(n) for n in range(frames))
    return header + element("18538067", segment)


def site(folder: Path) -> None:
    for name, text in {
        "index.html": PAGE,
        "css/style.css": "h1 { color: rgb(1, 2, 3) }",
        "js/app.js": SCRIPT,
        "icon.svg": SVG.format(5),
        "img/one.svg": SVG.format(10),
        "img/two.svg": SVG.format(20),
        **{f"many/f{n}.txt": f"file{n}" for n in range(200)},
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@contextmanager
def serving(runtime: str, folder: Path, work: Path) -> Iterator[tuple[int, Path]]:
    """Run the program; give its port and the file with its output."""
    environment = dict(os.environ)
    if runtime == "cpython":
        command = [sys.executable, "-u"]
        environment["PYTHONPATH"] = python_path()
    else:
        try:
            command = [str(micropython(64))]
        except Missing as error:
            pytest.skip(str(error))
        environment["MICROPYPATH"] = os.pathsep.join((str(board_tree()), ".frozen"))
    (work / "program.py").write_text(PROGRAM)
    port = free_port()
    output = work / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*command, str(work / "program.py"), str(port), str(folder)], stdout=file, stderr=subprocess.STDOUT, env=environment
        )
    try:
        time.sleep(0.5)
        assert process.poll() is None, output.read_text()
        yield port, output
    finally:
        process.kill()
        process.wait(10)


def requests(output: Path, start: int = 0) -> list[tuple[str, str, str]]:
    """Return (status, path, range) of the requests that a server has printed."""
    return [(m[1], m[2], m[3]) for m in re.finditer(r"(?m)^(\d{3}) (\S+) (.+)$", output.read_text()[start:])]


async def settled(page: Any) -> None:
    await page.wait_for_function("document.getElementById('many').textContent.split(' ').length == 21")
    await page.wait_for_function("document.querySelector('video').readyState >= 1")
    await page.wait_for_load_state("load")


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
async def test_page_video_and_reload(runtime: str, tmp_path: Path) -> None:
    folder = tmp_path / "web"
    site(folder)
    async with browser_page() as page:
        picture = base64.b64decode(await page.evaluate(FRAME))
        at = picture.index(b"VP8 ")
        length = int.from_bytes(picture[at + 4 : at + 8], "little")
        (folder / "video.webm").write_bytes(webm(picture[at + 8 : at + 8 + length], 200, 10))
        size = (folder / "video.webm").stat().st_size
        assert size > 8_000_000  # more than a browser reads ahead
        with serving(runtime, folder, tmp_path) as (port, output):
            await page.goto(f"http://127.0.0.1:{port}/")
            await settled(page)
            # Style, script and images are there.
            assert await page.title() == "script"
            assert await page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)"
            assert await page.evaluate("[...document.images].map(i => i.naturalWidth)") == [10, 20]
            # The video has its length, and another place of it is asked for by a range.
            assert abs(await page.evaluate("document.querySelector('video').duration") - 20) < 0.2
            await page.evaluate(
                """() => new Promise((resolve, reject) => {
                    const video = document.querySelector('video');
                    video.onseeked = resolve; video.onerror = () => reject(video.error.message);
                    video.currentTime = 18;
                })"""
            )
            assert await page.evaluate("document.querySelector('video').currentTime") == 18
            assert await page.evaluate("document.querySelector('video').videoWidth") == 320
            await page.evaluate("document.querySelector('video').remove()")
            await page.goto("about:blank")
            for _ in range(50):
                ranges = [one for one in requests(output) if one[1] == "/video.webm"]
                starts = [int(match[1]) for one in ranges if (match := re.match(r"bytes=(\d+)-", one[2])) and one[0] == "206"]
                if max(starts, default=0) > size * 0.8:
                    break
                time.sleep(0.1)
            assert max(starts, default=0) > size * 0.8, (ranges, output.read_text())
            seen = requests(output)
            # A 304 is one for what the page asks for twice, such as the beginning of the video.
            assert {one[0] for one in seen} <= {"200", "206", "304"}, seen
            assert len({one[1] for one in seen}) >= 26

            # Again: nothing has changed, so nothing is sent.
            (folder / "index.html").write_text(PAGE.replace("<video", "<video preload=none data-"))
            await page.goto(f"http://127.0.0.1:{port}/")
            await page.wait_for_function("document.getElementById('many').textContent.split(' ').length == 21")
            start = len(output.read_text())
            await page.reload()
            await page.wait_for_function("document.getElementById('many').textContent.split(' ').length == 21")
            time.sleep(0.3)
            again = [one for one in requests(output, start) if one[1] != "/video.webm"]
            assert {"/", "/css/style.css", "/js/app.js", "/img/one.svg", "/many/f190.txt"} <= {one[1] for one in again}, again
            assert {one[0] for one in again} == {"304"}, again


async def test_a_form_uploads_a_file_with_progress(tmp_path: Path) -> None:
    app = Microdot()
    got: dict[str, Any] = {}
    most = Request.max_content_length
    Request.max_content_length = 20_000_000

    @app.get("/")
    async def form(request: Request) -> Any:
        page = """<!doctype html><form><input name=title><input type=file name=file multiple></form><script>
        function send() {
          return new Promise((resolve, reject) => {
            const request = new XMLHttpRequest();
            window.progress = [];
            request.upload.onprogress = event => progress.push(event.loaded);
            request.onload = () => resolve(request.status + ' ' + request.responseText);
            request.onerror = () => reject('failed');
            request.open('POST', '/upload');
            request.send(new FormData(document.forms[0]));
          });
        }</script>"""
        return page, 200, {"Content-Type": "text/html"}

    @app.post("/upload")
    async def upload(request: Request) -> str:
        async for name, value in FormDataIter(request):
            if isinstance(value, str):
                got[name] = value
            else:
                await value.save(str(tmp_path / ("saved " + value.filename)))
                got.setdefault("files", []).append((value.filename, value.content_type))
        return "saved"

    # Names that a browser has to write in its own way.
    names = ['quote " and ; semicolon.txt', "\u044f \u20ac.bin"]
    contents = [b"text\r\n--", os.urandom(5_000_000)]
    for name, content in zip(names, contents):
        (tmp_path / name).write_bytes(content)
    try:
        async with Running(app) as server, browser_page() as page:
            await page.goto(f"http://127.0.0.1:{server.port}/")
            await page.fill("input[name=title]", 'A "title"; \u20ac')
            await page.set_input_files("input[type=file]", [str(tmp_path / name) for name in names])
            assert await page.evaluate("send()") == "200 saved"
            progress = await page.evaluate("progress")
            assert progress and progress == sorted(progress) and progress[-1] > 5_000_000
    finally:
        Request.max_content_length = most
    assert got["title"] == 'A "title"; \u20ac'
    assert got["files"] == [(names[0], "text/plain"), (names[1], "application/octet-stream")]
    for name, content in zip(names, contents):
        assert (tmp_path / ("saved " + name)).read_bytes() == content
