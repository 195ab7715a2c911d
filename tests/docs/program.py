"""What tries the programs of a page: their names, their folder, the requests that reach them (CPython only)."""

from __future__ import annotations

import ast
import asyncio
import base64
import contextlib
import doctest
import http.client
import io
import json
import re
import shlex
import socket
import sys
import textwrap
import threading
import time
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from docs.helpers import NAMES
from docs.pages import Block

from microdot import Microdot, Request, Response
from microdot.test_client import TestClient
from support.loopback import free_port

BOARDS = Path(__file__).resolve().parent / "boards"
"""Stand-ins for modules that only boards have."""

REQUEST = re.compile(r"^([A-Z]{3,7}) (\S+)((?: \[[^\]]+\])*)(?: (.+?))? -> (\d\d\d)(?: (.*))?$")
PATIENCE = 10.0
"""Seconds for anything that a page has to wait for."""


class Program:
    """The blocks of a page share it: names, a folder, and the applications that they make."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Play in `folder`; what is changed meanwhile is changed back by `patch`."""
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.apps: dict[int, tuple[Microdot, str]] = {}
        """Applications by identity, and where each was made."""
        self.asked: set[int] = set()
        """Those that a request has reached."""
        self.pending: Block | None = None
        self.client: TestClient | None = None
        self.jar: dict[str, dict[str, str]] = {}
        self.made: list[str] = []
        """Folders that commands of the page write."""
        self.clear()
        patch.chdir(folder)
        patch.syspath_prepend(str(BOARDS))
        patch.syspath_prepend(str(folder))  # first: a page may have a file of the same name
        program = self
        dispatch = Microdot.dispatch
        start_server = Microdot.start_server

        async def counted(app: Microdot, *arguments: Any, **more: Any) -> Any:
            program.asked.add(id(app))
            return await dispatch(app, *arguments, **more)

        async def serve(app: Microdot, *arguments: Any, **more: Any) -> Any:
            """Serve for as long as it takes to send the requests of the block, and not on the port that it names."""
            more["port"] = port = free_port()
            more["host"] = "127.0.0.1"
            task = asyncio.ensure_future(start_server(app, **{k: v for k, v in more.items() if k in ("host", "port", "ssl")}))
            await until_listening(port, task)
            block, program.pending = program.pending, None
            for line in after_lines(block):
                match = REQUEST.match(line)
                assert match, f"{block and block.where}: a server is asked by requests only, not by {line}"
                answer = await asyncio.to_thread(program.over_http, port, *unpack(match)[:4])
                compare(f"{block and block.where}: {line}", answer[0], answer[2].decode(), match)
            app.shutdown()
            return await asyncio.wait_for(task, PATIENCE)

        patch.setattr(Microdot, "dispatch", counted)
        patch.setattr(Microdot, "start_server", serve)
        patch.setattr(Microdot, "run", lambda app, *arguments, **more: None)
        for module in ("microdot.asgi", "microdot.wsgi"):
            if module in sys.modules:
                patch.setattr(sys.modules[module].Microdot, "run", lambda app, *arguments, **more: None)

    def clear(self) -> None:
        """Forget all names."""
        self.names: dict[str, Any] = {"__name__": "program", "folder": self.folder, "ask": self.ask, **NAMES}

    def close(self) -> None:
        """End what the page has left running."""

        async def cancel() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.loop.run_until_complete(cancel())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def run(self, block: Block) -> None:
        """Run a Python block, and the comments around it."""
        if "fresh" in block.words:
            self.clear()
        self.names["__file__"] = str(self.folder / "main.py")
        for text in block.words.get("before", []):
            exec(self.compile(text, block), self.names)
        self.pending = block
        self.jar = {}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile("\n" * block.line + block.text, block.page, "exec", dont_inherit=True), self.names)
        self.take(block)
        if self.pending:  # not a program that has served in the meantime
            self.after(block)

    def take(self, block: Block) -> None:
        """Look for an application that the block has made."""
        app = self.names.get("app")
        if isinstance(app, Microdot) and id(app) not in self.apps:
            self.apps[id(app)] = app, block.where
            self.client = None

    def after(self, block: Block) -> None:
        """Do what the comments say is to be done after a block."""
        for text in block.words.get("after", []):
            code = self.compile(text, block)
            found = eval(code, self.names)
            if asyncio.iscoroutine(found):
                self.loop.run_until_complete(asyncio.wait_for(found, PATIENCE * 2))

    def compile(self, text: str, block: Block) -> CodeType:
        """Compile the text of a comment, with its requests."""
        lines = []
        for line in textwrap.dedent(text).splitlines():
            match = REQUEST.match(line)
            lines.append(f"await ask({line!r})" if match else line)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code: CodeType = compile("\n".join(lines), f"{block.where} (comment)", "exec", flags=flags, dont_inherit=True)
        return code

    async def ask(self, line: str) -> Any:
        """Send a request as the comments write it to the application that was made last, and look at its answer."""
        match = REQUEST.match(line)
        assert match, line
        method, path, headers, body, _, _ = unpack(match)
        app = self.names["app"]
        if self.client is None or self.client.app is not app:
            self.client = TestClient(app)
        response = await self.client.request(method, path, headers, body)
        compare(line, response.status_code or 0, (response.body or b"").decode(errors="replace"), match)
        return response

    def over_http(
        self, port: int, method: str, path: str, headers: dict[str, str], body: bytes, limit: float = PATIENCE
    ) -> tuple[int, list[tuple[str, str]], bytes, str]:
        """Send a request to a port of this machine; return status, headers, body and reason.

        A stream without an end is read for `limit` seconds.
        """
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit)
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            data = b""
            with contextlib.suppress(TimeoutError, http.client.IncompleteRead):
                if limit < PATIENCE:
                    end = time.monotonic() + limit
                    while time.monotonic() < end and (part := response.read1(4096)):
                        data += part
                else:
                    data = response.read()
            return response.status, response.getheaders(), data, response.reason
        finally:
            connection.close()

    @contextlib.contextmanager
    def serving(self, app: Microdot) -> Iterator[int]:
        """Serve an application in a thread; give its port."""
        port = free_port()
        loop = asyncio.new_event_loop()
        task = loop.create_task(_original_start_server(app, host="127.0.0.1", port=port))
        thread = threading.Thread(target=loop.run_until_complete, args=(_quiet(task),))
        thread.start()
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                assert time.monotonic() < deadline and thread.is_alive(), "the server does not listen"
                time.sleep(0.01)
            yield port
        finally:
            app.shutdown()
            thread.join(PATIENCE)
            assert not thread.is_alive()
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def curl(self, words: list[str]) -> str:
        """Do what curl does with these arguments, with the application that was made last; return what it prints."""
        method, body, shown, target, limit = "", b"", False, "", PATIENCE
        headers: dict[str, str] = {"User-Agent": "curl/8.5.0", "Accept": "*/*"}
        files: list[str] = []
        jar = ""
        rest = iter(words)
        for word in rest:
            if word in ("-s", "-f", "-L"):
                continue
            if word == "-i":
                shown = True
            elif word == "-N":
                limit = 1.0
            elif word == "-X":
                method = next(rest)
            elif word in ("-d", "--data"):
                body = next(rest).encode()
                headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            elif word == "--json":
                body = next(rest).encode()
                headers.update({"Content-Type": "application/json", "Accept": "application/json"})
            elif word == "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            elif word == "-F":
                files.append(next(rest))
            elif word == "-T":
                method, body = "PUT", (self.folder / next(rest)).read_bytes()
            elif word == "-u":
                headers["Authorization"] = "Basic " + base64.b64encode(next(rest).encode()).decode()
            elif word in ("-b", "-c"):
                jar = next(rest)
                known = self.jar.setdefault(jar, {})
                if word == "-b" and known:
                    headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in known.items())
            else:
                assert not word.startswith("-"), f"curl {word} is not known here"
                target = word
        if files:
            body, headers["Content-Type"] = multipart(files, self.folder)
        url = urllib.parse.urlsplit(target if "//" in target else "http://" + target)
        assert url.hostname, target
        headers.setdefault("Host", url.netloc)
        path = (url.path or "/") + ("?" + url.query if url.query else "")
        with self.serving(self.names["app"]) as port:
            status, fields, data, reason = self.over_http(port, method or ("POST" if body else "GET"), path, headers, body, limit)
        for name, value in fields:
            if jar and name.lower() == "set-cookie":
                cookie, _, content = value.partition(";")[0].partition("=")
                self.jar[jar][cookie] = content
        text = data.decode()
        if shown:
            text = "\n".join([f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in fields), "", text])
        return text

    def session(self, block: Block, command: Callable[[str], str]) -> None:
        """Run the commands of a session one after the other, and compare what they print; `...` stands for anything."""
        for part in re.split(r"(?m)^\$ ", block.text)[1:]:
            line, _, expected = part.partition("\n")
            while line.endswith("\\"):
                more, _, expected = expected.partition("\n")
                line = line[:-1] + more.lstrip()
            printed = command(line)
            wanted = re.escape(expected.strip()).replace(re.escape("..."), ".*?")
            assert re.fullmatch(wanted, printed.strip(), re.DOTALL), (
                f"{block.where}: {line}\nsays\n{printed.strip()}\nand the page says\n{expected.strip()}"
            )

    def repl(self, block: Block) -> None:
        """Run a session with Python's prompt."""
        for text in block.words.get("before", []):
            exec(self.compile(text, block), self.names)
        test = doctest.DocTestParser().get_doctest(block.text, self.names, block.where, str(block.page), block.line)
        output = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        runner.run(test, out=output.write, clear_globs=False)
        self.names = test.globs
        assert not runner.failures, output.getvalue()
        assert test.examples, f"{block.where}: no prompt in it"


_original_start_server = Microdot.start_server
_SETTINGS: list[type] = [Request, Response]


async def _quiet(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task])
    task.result()


async def until_listening(port: int, task: asyncio.Future[Any]) -> None:
    """Wait until a server accepts connections."""
    for _ in range(500):
        if task.done():
            task.result()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the server does not listen")


def after_lines(block: Block | None) -> list[str]:
    """Return the lines of the comments `after`."""
    texts = block.words.get("after", []) if block else []
    return [line for text in texts for line in textwrap.dedent(text).splitlines() if line.strip()]


def unpack(match: re.Match[str]) -> tuple[str, str, dict[str, str], bytes, int, str]:
    """Return method, path, headers, body, status and expected text of a request in a comment."""
    method, path, fields, body, status, text = match.groups()
    headers = dict(field.split(": ", 1) for field in re.findall(r"\[([^\]]+)\]", fields))
    if body and "Content-Type" not in headers:
        headers["Content-Type"] = "application/json" if body[0] in "{[" else "application/x-www-form-urlencoded"
    return method, path, headers, (body or "").encode(), int(status), text or ""


def compare(what: str, status: int, body: str, match: re.Match[str]) -> None:
    """Compare an answer with what a request in a comment says about it."""
    *_, wanted, text = unpack(match)
    assert status == wanted, f"{what}: {status} {body[:300]}"
    if text[:1] == "{" and body[:1] == "{":
        assert json.loads(body) == json.loads(text), f"{what}: {body[:300]}"
    else:
        assert text in body, f"{what}: {body[:300]}"


def multipart(files: list[str], folder: Path) -> tuple[bytes, str]:
    """Return a form as curl -F makes it, and its Content-Type."""
    parts = []
    for one in files:
        name, _, value = one.partition("=")
        if value.startswith("@"):
            head = f'Content-Disposition: form-data; name="{name}"; filename="{value[1:]}"\r\nContent-Type: image/jpeg'
            data = (folder / value[1:]).read_bytes()
        else:
            head, data = f'Content-Disposition: form-data; name="{name}"', value.encode()
        parts.append(b"--b\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n")
    return b"".join([*parts, b"--b--\r\n"]), "multipart/form-data; boundary=b"


def commands(text: str) -> list[list[str]]:
    """Return the commands of a shell block as words; comments, variables that are set and what is piped to are left out."""
    found = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r"^\w+=", words[0]):
            words.pop(0)
        command: list[str] = []
        for word in words:
            if word in ("|", "&&", "||", ";", "&"):
                found.append(command)
                command = []
            else:
                command.append(word)
        found.append(command)
    return [command for command in found if command]
