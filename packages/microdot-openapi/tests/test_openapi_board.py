"""A real MicroPython with little heap serves what the command has written, with metrics, log and limits on."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client.parser import text_string_to_metric_families
from provide import Missing, micropython
from support.browser import browser_page
from support.wire_client import Connection
from support.wire_server import free_port, wait_until

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the two files, made by the command as a user makes them."""
    out = tmp_path_factory.mktemp("static")
    command = [sys.executable, "-m", "microdot.openapi", "small_board:app", str(out), "--title", "Lamp", "--version", "2"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=HERE, timeout=60)
    assert run.returncode == 0 and run.stderr == "", run.stderr
    return out


@pytest.fixture(scope="module")
def port(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Give the port of a 32-bit MicroPython with 96 KB of heap and the .mpy files of boards."""
    try:
        executable = micropython(32)
    except Missing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    tree = tmp_path_factory.mktemp("board") / "tree"
    packages = "core,metrics,ratelimit"
    command = [sys.executable, str(ROOT / "tools/tree.py"), "--mpy", "--packages", packages, "--out", str(tree)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120)
    number = free_port()
    process = subprocess.Popen(
        [str(executable), "-X", "heapsize=96k", str(HERE / "small_board.py"), str(number), str(folder)],
        env={"MICROPYPATH": f"{tree}:.frozen", "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert wait_until(lambda: process.poll() is not None or accepts(number), 20)
        assert process.poll() is None, process.communicate()[0]
        yield number
    finally:
        process.terminate()
        said = process.communicate(timeout=20)[0].decode()
    assert "Traceback" not in said, said


def accepts(number: int) -> bool:
    try:
        Connection(number, 5).close()
    except OSError:
        return False
    return True


def test_files_are_served_as_they_are(port: int, folder: Path) -> None:
    for path, file, kind in (
        ("/openapi.json", "openapi.json.gz", "application/json"),
        ("/docs", "docs.html.gz", "text/html"),
    ):
        with Connection(port, 10) as client:
            answer = client.get(path)
        assert answer.status == 200 and answer.body == (folder / file).read_bytes()
        assert answer.value("content-encoding") == "gzip" and (answer.value("content-type") or "").startswith(kind)
    document = json.loads(gzip.decompress((folder / "openapi.json.gz").read_bytes()))
    OpenAPIV31SpecValidator(document).validate()
    assert document["info"] == {"title": "Lamp", "version": "2"}
    assert document["paths"]["/hello/{name}"]["get"]["summary"] == "Say hello."


async def test_the_page_of_a_board_tries_a_request(port: int) -> None:
    async with browser_page() as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"http://127.0.0.1:{port}/docs")
        await page.wait_for_selector("main[data-ready]", state="attached")
        assert await page.title() == "Lamp"
        item = page.locator("#hello")
        await item.locator("summary").click()
        await item.locator("input").fill("wall")
        await item.get_by_role("button", name="Send").click()
        await item.locator("form > pre").filter(has_text="hello wall").wait_for()
        assert all(url.startswith(f"http://127.0.0.1:{port}/") for url in asked)


def test_the_heap_is_where_it_was(port: int, folder: Path) -> None:
    """2,000 requests, with all of it on; every third is for a file."""
    length = {"/openapi.json": (folder / "openapi.json.gz").stat().st_size, "/docs": (folder / "docs.html.gz").stat().st_size}

    def alloc(client: Connection) -> int:
        return int(json.loads(client.get("/heap").body)["alloc"])

    def figures(client: Connection) -> dict[str, float]:
        families = text_string_to_metric_families(client.get("/metrics").body.decode())
        return {
            sample.name + "".join(sample.labels.values()): sample.value for family in families for sample in family.samples
        }

    files = list(length)
    paths = ["/hello/wall", "/nothing/here", "/often", "/hello/desk"]
    with Connection(port, 10) as client:
        for path in 4 * [*paths, *files, "/metrics", "/health", "/log"]:
            client.get(path)  # each loads what it needs, once
        first = figures(client)
        before = alloc(client)
        sent = 0
        statuses = {"2xx": 0, "4xx": 0}
        for n in range(2000):
            path = files[n % 2] if n % 3 == 0 else paths[n % 4]
            answer = client.get(path)
            statuses["%dxx" % (answer.status // 100)] += 1
            sent += len(answer.body)
            assert length.get(path, len(answer.body)) == len(answer.body)
        after = alloc(client)
        last = figures(client)
    # Lines of the log differ by some bytes.
    assert after - before < 300, (before, after)
    # The two figures pages, and what told the heap, were counted as well: two 200s and one.
    assert last["http_requests_total4xx"] - first["http_requests_total4xx"] == statuses["4xx"]
    assert last["http_requests_total2xx"] - first["http_requests_total2xx"] == statuses["2xx"] + 3
    assert 0 <= last["http_bytes_total"] - first["http_bytes_total"] - sent < 2500
    assert last["mem_block"] <= last["mem_free"]
