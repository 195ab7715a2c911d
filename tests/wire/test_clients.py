"""Real clients get, post, stream and reuse connections: curl, requests, httpx, aiohttp, Node's fetch, and nginx in front."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import httpx
import pytest
import requests
from provide import Missing, provide
from support.wire_client import Connection, chunked, request
from support.wire_server import Server, free_port, wait_until

PAYLOAD = bytes(range(256)) * 40


def program(name: str) -> str:
    """Return the path of a program; without it the test is skipped, and with CI=true it fails."""
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not on PATH: install it with this machine's package manager"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return found


def url(server: Server, path: str) -> str:
    """Return the address of a path."""
    return f"http://127.0.0.1:{server.port}{path}"


def run(*command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a client and check that it is content."""
    # A proxy of the machine's is none of the server's business.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=30, env=environment)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-2000:]!r}\n{done.stderr[-2000:].decode()}"
    return done


# curl


def test_curl_reuses_the_connection(server: Server) -> None:
    done = run(program("curl"), "-sv", url(server, "/text"), url(server, "/json"), url(server, "/generator"), url(server, "/nowhere"),
               url(server, "/none"), url(server, "/text"))  # fmt: skip
    assert done.stdout == b'hello{"answer": 42}' + b"".join(bytes([97 + n]) * 10 for n in range(5)) + b"Not foundhello"
    assert done.stderr.lower().count(b"re-using existing") == 5, done.stderr.decode()


def test_curl_posts(server: Server, tmp_path: Path) -> None:
    """curl sends Expect: 100-continue with large bodies, and chunks when it reads from a pipe."""
    file = tmp_path / "payload"
    file.write_bytes(PAYLOAD)
    curl = program("curl")
    for path in ("/echo", "/stream?n=1000"):
        assert run(curl, "-s", "--data-binary", f"@{file}", url(server, path)).stdout == PAYLOAD
        done = run(curl, "-sv", "-H", "Expect: 100-continue", "--data-binary", f"@{file}", url(server, path))
        assert done.stdout == PAYLOAD
        assert b"100 Continue" in done.stderr, done.stderr.decode()
        done = run(curl, "-s", "-X", "POST", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-", url(server, path), stdin=PAYLOAD)
        assert done.stdout == PAYLOAD
    done = run(curl, "-s", "-T", str(file), url(server, "/echo"))
    assert done.stdout == PAYLOAD
    assert run(curl, "-s", "-d", "a=1&b=2", url(server, "/form")).stdout.count(b'"1"') == 1
    assert run(curl, "-sI", url(server, "/file")).stdout.startswith(b"HTTP/1.1 200 OK\r\n")
    assert run(curl, "-s0", url(server, "/generator")).stdout == b"".join(bytes([97 + n]) * 10 for n in range(5))


def test_curl_refused_upload(server: Server, tmp_path: Path) -> None:
    """413 reaches a client that has a large body to send."""
    file = tmp_path / "large"
    file.write_bytes(b"x" * 300_000)
    done = run(program("curl"), "-s", "-o", os.devnull, "-w", "%{http_code}", "-H", "Expect: 100-continue", "-T", str(file), url(server, "/echo"))
    assert done.stdout == b"413"


def test_curl_streams(server: Server) -> None:
    """The pieces come when they are made, not at the end."""
    with subprocess.Popen(
        [program("curl"), "-sN", "--noproxy", "*", url(server, "/ticks?id=curl")], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(24) == b"n" * 24
        process.terminate()
    assert wait_until(lambda: server.counted("closed-curl") == 1, 4)


def test_curl_tls(tls_server: Server) -> None:
    certificate, _ = tls_server.bench.certificate()
    address = f"https://localhost:{tls_server.port}"
    done = run(program("curl"), "-sv", "--noproxy", "*", "--cacert", str(certificate), f"{address}/args", f"{address}/text")
    assert b'"https"' in done.stdout
    assert done.stdout.endswith(b"hello")
    assert b"re-using existing" in done.stderr.lower()


# requests and httpx


def test_requests(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "urllib3.connectionpool")
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(3):
            assert session.get(url(server, "/text"), timeout=10).text == "hello"
            assert session.get(url(server, "/json"), timeout=10).json() == {"answer": 42}
            assert session.post(url(server, "/echo"), data=PAYLOAD, timeout=10).content == PAYLOAD
            assert session.post(url(server, "/json-body"), json={"a": [1]}, timeout=10).json() == {"json": {"a": [1]}}
            assert session.post(url(server, "/form"), data={"a": "\u00e9"}, timeout=10).json()["form"] == {"a": "\u00e9"}
            # A generator makes requests send chunks.
            assert session.post(url(server, "/stream"), data=iter((PAYLOAD[:100], PAYLOAD[100:])), timeout=10).content == PAYLOAD
            assert session.head(url(server, "/file"), timeout=10).headers["Content-Length"] == "3800"
            assert session.get(url(server, "/nowhere"), timeout=10).status_code == 404
            assert session.get(url(server, "/none"), timeout=10).status_code == 204
            assert session.get(url(server, "/inject/redirect?v=/text"), timeout=10).text == "hello"
            assert session.options(url(server, "/methods"), timeout=10).headers["Allow"] == "GET, DELETE, HEAD, OPTIONS"
        with session.get(url(server, "/iterator?n=20&size=100"), stream=True, timeout=10) as answer:
            assert sum(len(piece) for piece in answer.iter_content(64)) == 2000
    assert caplog.text.count("Starting new HTTP connection") == 1, caplog.text


def test_httpx(server: Server) -> None:
    with httpx.Client(trust_env=False, timeout=10) as client:
        for _ in range(3):
            assert client.get(url(server, "/text")).text == "hello"
            assert client.post(url(server, "/echo"), content=PAYLOAD).content == PAYLOAD
            assert client.post(url(server, "/stream"), content=iter((PAYLOAD, b"end"))).content == PAYLOAD + b"end"
            assert client.post(url(server, "/json-body"), json={"a": None}).json() == {"json": {"a": None}}
            assert client.head(url(server, "/text")).headers["content-length"] == "5"
            assert client.get(url(server, "/generator")).http_version == "HTTP/1.1"
            assert client.get(url(server, "/code/204")).status_code == 204
            assert client.get(url(server, "/abort/503")).status_code == 503
        with client.stream("GET", url(server, "/iterator?n=50&size=1000")) as answer:
            assert sum(len(piece) for piece in answer.iter_bytes()) == 50_000


async def test_httpx_many_at_once(server: Server) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=10, limits=httpx.Limits(max_connections=8)) as client:
        answers = await asyncio.gather(*(client.get(url(server, f"/args?x={number}")) for number in range(60)))
    assert [answer.json()["x"] for answer in answers] == [str(number) for number in range(60)]


# aiohttp


async def test_aiohttp(server: Server) -> None:
    connector = aiohttp.TCPConnector(limit=6)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(10)) as session:
        for _ in range(3):
            async with session.get(url(server, "/text")) as answer:
                assert await answer.text() == "hello"
            async with session.post(url(server, "/echo"), data=PAYLOAD) as answer:
                assert await answer.read() == PAYLOAD
            async with session.post(url(server, "/echo"), data=PAYLOAD, expect100=True) as answer:
                assert await answer.read() == PAYLOAD
            async with session.post(url(server, "/stream"), data=PAYLOAD, chunked=True) as answer:
                assert await answer.read() == PAYLOAD
            async with session.get(url(server, "/generator?n=40&size=500")) as answer:
                assert len(await answer.read()) == 20_000
            async with session.get(url(server, "/none")) as answer:
                assert answer.status == 204
            async with session.put(url(server, "/echo"), json={"a": 1}) as answer:
                assert await answer.json(content_type=None) == {"a": 1}

        async def fetch(number: int) -> str:
            async with session.get(url(server, f"/item/{number}/x")) as answer:
                return str((await answer.json())["number"])

        assert await asyncio.gather(*(fetch(number) for number in range(60))) == [str(number) for number in range(60)]
        async with session.get(url(server, "/ticks?id=aiohttp")) as answer:
            assert await answer.content.readexactly(24) == b"n" * 24
    assert wait_until(lambda: server.counted("closed-aiohttp") == 1, 4)


# Node


FETCH = """
const base = process.argv[2]
const check = (got, wanted) => { if (got !== wanted) { throw new Error(`${got} instead of ${wanted}`) } }
const text = async (path, options) => (await fetch(base + path, options)).text()
for (let turn = 0; turn < 3; turn++) {
  check(await text('/text'), 'hello')
  check((await (await fetch(base + '/json')).json()).answer, 42)
  check(await text('/echo', {method: 'POST', body: 'x'.repeat(10000)}), 'x'.repeat(10000))
  check(await text('/stream?n=7', {method: 'POST', duplex: 'half', body: new ReadableStream({start (controller) {
    controller.enqueue(new TextEncoder().encode('first ')); controller.enqueue(new TextEncoder().encode('second')); controller.close()
  }})}), 'first second')
  check((await text('/generator?n=30&size=1000')).length, 30000)
  check((await fetch(base + '/none')).status, 204)
  check((await fetch(base + '/nowhere')).status, 404)
  check((await fetch(base + '/file', {method: 'HEAD'})).headers.get('content-length'), '3800')
  check((await fetch(base + '/inject/redirect?v=/text')).url, base + '/text')
  check((await Promise.all(Array.from({length: 40}, (_, n) => text('/args?x=' + n)))).every((body, n) => JSON.parse(body).x === String(n)), true)
}
const controller = new AbortController()
const reader = (await fetch(base + '/ticks?id=node', {signal: controller.signal})).body.getReader()
check(new TextDecoder().decode((await reader.read()).value).slice(0, 8), 'nnnnnnnn')
controller.abort()
console.log('all well')
"""


def test_node_fetch(server: Server, tmp_path: Path) -> None:
    script = tmp_path / "fetch.mjs"
    script.write_text(FETCH)
    assert run(program("node"), str(script), url(server, "")).stdout == b"all well\n"
    assert wait_until(lambda: server.counted("closed-node") == 1, 4)


# nginx in front

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream app {{
        server 127.0.0.1:{upstream};
        keepalive 4;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_buffering off;
        }}
        location /old/ {{
            proxy_pass http://127.0.0.1:{upstream}/;
            proxy_http_version 1.0;
        }}
    }}
}}
"""


@pytest.fixture
def proxy(server: Server, tmp_path: Path) -> Iterator[int]:
    """nginx in front of the server, with kept-alive connections to it; HTTP/1.0 below /old/. The value is its port."""
    try:
        nginx = provide("nginx")
    except Missing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    port = free_port()
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path, upstream=server.port, port=port))
    output = tmp_path / "nginx.out"
    with output.open("wb") as file:
        process = subprocess.Popen([str(nginx), "-c", str(configuration), "-e", "stderr", "-p", str(tmp_path)], stdout=file, stderr=file)
    try:

        def answers() -> bool:
            try:
                Connection(port).close()
            except OSError:
                return process.poll() is not None
            return True

        assert wait_until(answers, 10)
        assert process.poll() is None, output.read_text()
        yield port
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
    said = output.read_text()
    for complaint in ("upstream sent", "prematurely closed", "upstream timed out", "[emerg]", "invalid header"):
        assert complaint not in said, said[-2000:]


def test_nginx_in_front(server: Server, proxy: int) -> None:
    """It gets, posts and streams, over kept-alive connections of its own, and finds nothing to complain of."""
    with Connection(proxy) as client:
        for _ in range(5):
            assert client.get("/text").text == "hello"
            assert client.get("/json").text == '{"answer": 42}'
            assert client.post("/echo", PAYLOAD).body == PAYLOAD
            assert len(client.get("/generator?n=30&size=1000").body) == 30_000
            assert client.get("/none").status == 204
            assert client.get("/code/304").status == 304
            assert client.get("/nowhere").status == 404
            client.send(request("HEAD", "/file"))
            assert client.answer("HEAD").value("content-length") == "3800"
            client.send(request("POST", "/stream?n=7", "Transfer-Encoding: chunked", body=chunked(b"first ", b"second")))
            assert client.answer().body == b"first second"
            assert client.post("/unread", b"z" * 5000).text == "unread"
    with Connection(proxy) as client:
        client.send(request("POST", "/echo", "Content-Length: 5", "Expect: 100-continue"))
        assert client.head().status == 100
        client.send(b"hello")
        assert client.answer().body == b"hello"


def test_nginx_with_http_1_0(server: Server, proxy: int) -> None:
    """The protocol that nginx speaks to what is behind it unless it is told otherwise."""
    with Connection(proxy) as client:
        for _ in range(3):
            assert client.get("/old/text").text == "hello"
            assert len(client.get("/old/generator?n=30&size=1000").body) == 30_000
            assert client.post("/old/echo", PAYLOAD).body == PAYLOAD
            assert client.get("/old/none").status == 204


def test_nginx_vanished_client(server: Server, proxy: int) -> None:
    """The proxy closes its connection to the server when its client has gone, and the stream ends."""
    client = Connection(proxy)
    client.send(request("GET", "/ticks?id=nginx"))
    assert client.head().status == 200
    assert client.received or client._more()
    client.close()
    assert wait_until(lambda: server.counted("closed-nginx") == 1, 5)


def test_nginx_many_at_once(server: Server, proxy: int) -> None:
    """The connections that it keeps are used again while others come and go."""
    begun = time.monotonic()
    clients = [Connection(proxy) for _ in range(20)]
    try:
        for turn in range(5):
            for number, client in enumerate(clients):
                client.send(request("GET", f"/item/{number}/{turn}"))
            for number, client in enumerate(clients):
                answer = client.answer()
                assert (answer.status, f'"number": {number}' in answer.text) == (200, True), answer
    finally:
        for client in clients:
            client.close()
    assert time.monotonic() - begun < 10
