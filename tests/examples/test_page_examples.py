"""The examples with forms and files: file manager, guest book both ways, HTTPS, logins, and the dashboard of the demo."""

from __future__ import annotations

import html
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from examples.conftest import Phone, Phones
from examples.running import EXAMPLES, RUNTIMES, running
from support.wire_client import request
from support.wire_server import free_port, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")
each_runtime = pytest.mark.parametrize("runtime", RUNTIMES)


@each_runtime
async def test_files(runtime: str, tmp_path: Path, phone: Phone) -> None:
    with running("files", runtime, tmp_path, heap="96k") as example, example.client() as client:
        folder = tmp_path / "files"
        content = os.urandom(300_000)  # three times the heap of the board
        answer = client.post("/api/files", files=[("file", ("my holiday.jpg", content)), ("file", ("für dich.txt", b"text"))])
        assert (answer.status_code, answer.json()) == (201, {"saved": ["my holiday.jpg", "für dich.txt"]})
        assert (folder / "my holiday.jpg").read_bytes() == content
        assert client.get("/api/files").json() == [{"name": "für dich.txt", "size": 4}, {"name": "my holiday.jpg", "size": 300_000}]
        # Downloads: whole, a part, the end, what is not there, and nothing that runs as a page of this site.
        whole = client.get("/files/my%20holiday.jpg")
        assert whole.content == content and whole.headers["Content-Disposition"] == "attachment"
        assert whole.headers["X-Content-Type-Options"] == "nosniff"
        part = client.get("/files/my%20holiday.jpg", headers={"Range": "bytes=100000-100099"})
        assert (part.status_code, part.headers["Content-Range"]) == (206, "bytes 100000-100099/300000")
        assert part.content == content[100_000:100_100]
        assert client.get("/files/my%20holiday.jpg", headers={"Range": "bytes=-5"}).content == content[-5:]
        assert client.get("/files/my%20holiday.jpg", headers={"Range": "bytes=300000-"}).status_code == 416
        assert client.get("/files/my%20holiday.jpg", headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
        # What must not happen.
        (tmp_path / "secret").write_text("secret")
        for path in ("..%2Fsecret", "%2e%2e/secret", "../secret", ".hidden", "my"):
            assert client.get("/files/" + path).status_code == 404, path
            assert client.delete("/api/files/" + path).status_code == 404, path
        assert client.post("/api/files", files=[("file", ("../../evil.txt", b"x"))]).json() == {"saved": ["evil.txt"]}
        assert client.delete("/api/files/evil.txt").status_code == 204
        assert client.post("/api/files", files=[("file", (".htaccess", b"x"))]).status_code == 400
        elsewhere = {"Origin": "http://evil.example"}
        assert client.post("/api/files", files=[("file", ("evil.txt", b"x"))], headers=elsewhere).status_code == 403
        with example.connect() as wire:
            length, kind = "Content-Length: 5000000", "Content-Type: multipart/form-data; boundary=x"
            wire.send(request("POST", "/api/files", length, kind, "Expect: 100-continue"))
            assert wire.answer().status == 413
        # One that breaks off in the middle: neither the file nor a part of it stays.
        start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="broken.bin"\r\n\r\n' + b"b" * 20_000
        with example.connect() as wire:
            wire.send(request("POST", "/api/files", "Content-Length: 30000", kind, body=start))
            assert wait_until(lambda: any(name.startswith(".part") for name in os.listdir(folder)), 5)
        assert wait_until(lambda: sorted(os.listdir(folder)) == ["für dich.txt", "my holiday.jpg"], 5), os.listdir(folder)
        page = phone.page
        await page.goto(example.url)
        await page.get_by_text("300.0 kB").wait_for()
        upload = tmp_path / "notes & <b>.txt"
        upload.write_bytes(b"y" * 50_000)
        await page.set_input_files("#choose", [str(upload)])
        link = page.get_by_text("notes & <b>.txt")
        await link.wait_for()
        async with page.expect_download() as download:
            await link.click()
        assert Path(await (await download.value).path()).read_bytes() == b"y" * 50_000
        await page.get_by_label("Delete für dich.txt", exact=True).click()
        await page.get_by_text("für dich.txt", exact=True).wait_for(state="detached")
        await phone.look("files", example.url, shot=runtime == "cpython")
        assert sorted(os.listdir(folder)) == ["my holiday.jpg", "notes & <b>.txt"]


@pytest.mark.parametrize(
    ("runtime", "program"), [("cpython", "main.py"), ("micropython", "main.py"), ("cpython", "main_jinja.py")]
)
async def test_templates(runtime: str, program: str, tmp_path: Path, phone: Phone) -> None:
    with running("templates", runtime, tmp_path, program=program, heap="128k") as example, example.client() as client:
        text = client.get("/").text
        assert "Tomatoes & basil are up." in html.unescape(text) and "Tomatoes & " not in text
        table = client.get("/table")
        assert table.headers.get("Transfer-Encoding") == "chunked" and table.text.count("<tr>") == 501
        assert re.search(r"<tr><td>499</td><td>19</td></tr>\s*</table>", table.text)
        answer = client.post("/", data={"name": "Eve", "text": "x"}, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403
        for nothing in (None, b"no form"):
            assert client.post("/", content=nothing).status_code == 303, nothing
        for number in range(25):
            answer = client.post("/", data={"name": "Bob" * 20, "text": f"entry {number} " + "long " * 50})
            assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        text = client.get("/").text
        assert text.count("<li>") == 20 and "entry 24" in text and "entry 5 " in text and "entry 4 " not in text
        assert len(re.findall(r"entry 24 [long ]+", text)[0]) <= 200
        for number in range(20):
            client.post("/", data={"text": "What a garden!"} if number % 3 else {"name": "Bob", "text": "The gate stands open."})
        page = phone.page
        await page.goto(example.url)
        await page.fill("[name=name]", "<script>alert(1)</script>")
        await page.fill("[name=text]", "\"quoted\" & '<b>bold</b>'")
        await page.click("text=Sign")
        first = page.locator("li").first
        await first.get_by_text("<script>alert(1)</script>").wait_for()
        assert await first.inner_text() == "<script>alert(1)</script>\n\"quoted\" & '<b>bold</b>'"
        await phone.look("templates" if program == "main.py" else "templates-jinja", example.url, shot=runtime == "cpython")
        await page.click("text=A long table")
        await page.locator("tr").nth(500).wait_for()


@each_runtime
async def test_tls(runtime: str, tmp_path: Path, phones: Phones) -> None:
    made = subprocess.run(
        [sys.executable, str(EXAMPLES / "tls" / "make_certificate.py"), "localhost", "127.0.0.1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert made.returncode == 0, made.stderr
    assert all((tmp_path / name).stat().st_mode & 0o077 == 0 for name in ("key.pem", "key.der"))
    plain = free_port()
    with running("tls", runtime, tmp_path, heap="96k", more=(str(plain),), scheme="https") as example:
        trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with httpx.Client(verify=trust, timeout=10, trust_env=False) as client:
            for name in ("127.0.0.1", "localhost"):
                host = f"{name}:{example.port}"
                assert client.get(f"https://{host}/connection").json() == {"scheme": "https", "host": host}
            for path in ("/", "/connection"):
                answer = client.get(f"http://127.0.0.1:{plain}{path}")
                assert (answer.status_code, answer.headers["Location"]) == (308, example.url + path)
        with pytest.raises(httpx.ConnectError), httpx.Client(timeout=10, trust_env=False) as stranger:
            stranger.get(example.url)  # who does not trust the certificate gets nothing
        async with phones.one(ignore_https_errors=True) as phone:
            await phone.page.goto(f"http://127.0.0.1:{plain}/")
            await phone.page.get_by_text("Nobody reads along").wait_for()
            assert phone.page.url == example.url + "/"
            phone.asked = [url for url in phone.asked if not url.startswith(f"http://127.0.0.1:{plain}/")]
            await phone.look("tls", example.url, shot=runtime == "cpython")


@each_runtime
async def test_login(runtime: str, tmp_path: Path, phone: Phone) -> None:
    """Only what a page and a small heap add: tests/browser and microdot-login have the rest."""
    with running("login", runtime, tmp_path, heap="128k") as example:
        with example.client() as client:
            assert client.post("/login", content=b"no form").status_code == 401
        page = phone.page
        await page.goto(example.url)
        assert page.url == example.url + "/login?next=/"
        await page.fill("[name=name]", "ann")
        await page.fill("[name=password]", "wrong")
        await page.click("button")
        await page.get_by_text("That is not right.").wait_for()
        await phone.look("login", example.url, shot=runtime == "cpython", allowed=("status of 401",))
        await page.fill("[name=name]", "ann")
        await page.fill("[name=password]", "correct horse")
        await page.check("[name=remember]")
        await page.click("button")
        await page.get_by_text("Hello, ann").wait_for()
        await page.click("text=Settings")
        await page.click("text=Log out everywhere")
        await page.wait_for_url("**/login")


@each_runtime
async def test_dashboard(runtime: str, tmp_path: Path, phone: Phone) -> None:
    with running("dashboard", runtime, tmp_path) as example, example.client() as client:
        page = phone.page
        await page.goto(example.url)
        await page.get_by_text("online").wait_for()
        await page.click("#heater")
        await page.locator("#heater[aria-checked=true]").wait_for()
        assert client.get("/api/state").json()["heater"] is True
        await page.wait_for_function("document.querySelector('polyline').getAttribute('points').split(' ').length > 1")
        await phone.look("dashboard", example.url, shot=runtime == "micropython")

