"""Published files in an image for ROMFS, made by the real mpremote: they run where they lie, and so hold less heap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from upy import board_tree

PROGRAM = """\
import gc, sys
path = sys.argv[1]
if path.endswith(".romfs"):
    import vfs
    with open(path, "rb") as file:
        vfs.mount(vfs.VfsRom(file.read()), "/rom")
    path = "/rom"
sys.path.insert(0, path)
gc.collect()
before = gc.mem_alloc()
from asyncio import run
from microdot import Microdot
from microdot.session import Session, with_session
from microdot.test_client import TestClient
from microdot.websocket import with_websocket

app = Microdot()
Session(app, secret_key="k" * 32)

@app.get("/")
@with_session
async def index(request, session):
    session["visits"] = session.get("visits", 0) + 1
    session.save()
    return str(session["visits"])

@app.get("/echo")
@with_websocket
async def echo(request, ws):
    await ws.send(await ws.receive())

gc.collect()
held = gc.mem_alloc() - before

def talk():
    assert (yield "hello") == "hello"

async def visit():
    client = TestClient(app)
    await client.get("/")
    assert (await client.get("/")).text == "2"
    assert (await client.get("/nothing")).status_code == 404
    await client.websocket("/echo", talk)

run(visit())
print(sys.modules["microdot"].__file__.startswith(path), held)
"""


def test_files_in_romfs_work_and_hold_less_heap(micropython32: Path, tmp_path: Path) -> None:
    tree, image = board_tree(), tmp_path / "board.romfs"

    def run(*command: object) -> str:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert not done.returncode, done.stdout + done.stderr
        return done.stdout

    if run(micropython32, "-c", "import vfs; print(hasattr(vfs, 'VfsRom'))").strip() != "True":
        pytest.skip(f"{micropython32} has no ROMFS")
    run(sys.executable, "-m", "mpremote", "romfs", "--output", image, "build", tree)
    (tmp_path / "program.py").write_text(PROGRAM)
    held = {}
    for place in (tree, image):
        there, held[place] = run(micropython32, "-X", "heapsize=512k", "program.py", place).split()
        assert there == "True", place
    # docs/boards.md says about half of it
    assert 0.35 < int(held[image]) / int(held[tree]) < 0.65, held
