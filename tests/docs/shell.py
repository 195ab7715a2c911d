"""What tries the commands of a page: it runs those that are cheap, and has the programs themselves look at the rest (CPython only)."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from docs.pages import Block
from docs.program import PATIENCE, Program, commands
from provide import provide

from project import CORE, ROOT, packages
from support.loopback import free_port

PLAIN = ("cd", "git", "sudo", "systemctl", "journalctl", "cp", "make", "esptool", "nginx", "caddy", "redis-server", "source", ".", "export")
"""Commands of which only the syntax is looked at: others' programs, that ask for what a test has not."""


def check(block: Block, program: Program) -> None:
    """Try every command of a shell block."""
    run = subprocess.run(["sh", "-n"], input=block.text, text=True, capture_output=True, timeout=PATIENCE)
    assert not run.returncode, f"{block.where}: {run.stderr}"
    for words in commands(block.text):
        one(words, block, program)


def line(text: str, block: Block, program: Program) -> str:
    """Run a line of a session; return what it prints."""
    return "".join(one(words, block, program) for words in commands(text))


def one(words: list[str], block: Block, program: Program) -> str:
    """Run a command, or check that it would; return what it prints."""
    name, *rest = words
    where = f"{block.where}: {' '.join(words)}"
    if name == "curl":
        return program.curl(rest)
    if name in ("mkdir", "ls", "cat"):
        return run_in(program.folder, words)
    if name in ("python", "python3") and rest[0] == "-m":
        return module(rest[1], rest[2:], where, program.folder)
    if name in ("python", "python3") and rest[0].startswith("tools/"):
        tool(rest[0], rest[1:], where, program)
    elif name in ("python", "python3") and rest[0] == "-c":
        return run_in(program.folder, [sys.executable, *rest])
    elif name in ("python", "python3", "micropython"):
        return serve([name, *rest], where, program.folder)
    elif name == "pip":
        pip(rest, where)
    elif name == "mpremote":
        mpremote_takes(rest, where, program)
    elif name in ("uvicorn", "gunicorn", "hypercorn"):
        server(name, rest, where, program.folder)
    else:
        assert name in PLAIN, f"{where}: nobody knows how to try this"
    return ""


def run_in(folder: Path, command: list[str]) -> str:
    """Run a command in the folder of the page."""
    run = subprocess.run(
        command, cwd=folder, text=True, capture_output=True, timeout=60, env={**os.environ, "PYTHONWARNINGS": "error", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    )
    assert not run.returncode, f"{shlex.join(command)} → {run.returncode}\n{run.stdout}{run.stderr}"
    return run.stdout


def module(name: str, rest: list[str], where: str, folder: Path) -> str:
    """Run a module of the project; of others, such as pytest, only those that finish quickly."""
    if name == "http.server":
        assert "-d" in rest, where
        return ""
    if name in ("venv", "build"):
        return ""
    assert name.startswith("microdot.") or name == "pytest", f"{where}: nobody knows how to try this"
    more = ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder)] if name == "pytest" else []
    return run_in(folder, [sys.executable, "-m", name, *rest, *more])


@functools.cache
def help_of(path: str) -> str:
    """Return what a tool says about its options."""
    run = subprocess.run([sys.executable, path, "--help"], cwd=ROOT, text=True, capture_output=True, timeout=60)
    assert not run.returncode, run.stderr
    return run.stdout


def tool(path: str, rest: list[str], where: str, program: Program) -> None:
    """Look whether a tool of the repository exists and knows these options; run it, when it is quick and writes a folder."""
    assert (ROOT / path).is_file(), f"{where}: there is no {path}"
    for word in rest:
        if word.startswith("-"):
            assert re.search(rf"(?<![\w-]){re.escape(word.split('=')[0])}(?![\w-])", help_of(path)), f"{where}: no {word}"
    if "--out" in rest:
        place = rest.index("--out") + 1
        program.made.append(rest[place])
        if path == "tools/tree.py":
            words = [*rest[:place], str(program.folder / rest[place]), *rest[place + 1 :]]
            run_in(ROOT, [sys.executable, path, *words])
    elif path == "tools/tree.py":
        program.made.append("build/tree")
    if path == "tools/check.py":
        for word in rest:
            assert word.startswith("-") or word in help_of(path), f"{where}: no step {word}"


def pip(rest: list[str], where: str) -> None:
    """Look whether the packages and extras of the project that are named exist."""
    assert rest[0] in ("install", "uninstall"), where
    known = {package.name: package for package in packages()}
    for word in rest[1:]:
        if word.startswith("./packages/"):
            assert (ROOT / word / "pyproject.toml").exists(), f"{where}: no {word}"
            continue
        match = re.match(r"(microdot-[\w-]+)(?:\[([\w,-]+)\])?$", word)
        if match and match[1] not in ("microdot-busy",):
            assert match[1] in known, f"{where}: no package {match[1]}"
            extras = known[match[1]].table["project"].get("optional-dependencies", {})
            for extra in (match[2] or "").split(","):
                assert not extra or extra in extras, f"{where}: {match[1]} has no extra {extra}"
        else:
            assert word.startswith(("-", "dist/")) or re.match(r"^[\w.-]+(\[\w+\])?$", word), where
    assert CORE in known


def mpremote_takes(rest: list[str], where: str, program: Program) -> None:
    """Have mpremote's own parsers look at its commands, and look for the files that it is to copy."""
    main: Any = importlib.import_module("mpremote.main")
    for part in " ".join(shlex.quote(word) for word in rest).split(" + "):
        words = shlex.split(part)
        if words[0] in ("connect",):
            words = words[2:] or ["soft-reset"]
        while words and words[0] in main._BUILTIN_COMMAND_EXPANSIONS:
            expansion = main._BUILTIN_COMMAND_EXPANSIONS[words[0]]
            expansion = expansion["command"] if isinstance(expansion, dict) else expansion
            expansion = shlex.split(expansion) if isinstance(expansion, str) else list(expansion)
            if expansion[0] == words[0]:
                break
            words = [*expansion, *words[1:]]
        assert words[0] in main._COMMANDS, f"{where}: mpremote has no {words[0]}"
        assert words[0] != "mip" or "install" in words, f"{where}: mip installs, and does nothing else"
        parser = main._COMMANDS[words[0]][1]()
        if words[:2] == ["fs", "cp"] and words[-1].startswith(":"):
            for name in words[2:-1]:
                beside = [*program.folder.glob(name), *where_is(where).glob(name)]
                # or a program of the example writes it
                known = bool(beside) or any(name.startswith(made) for made in program.made)
                known = known or any(name in path.read_text() for path in where_is(where).glob("*.py"))
                assert name.startswith("-") or known, f"{where}: where does {name} come from?"
        try:
            parser.parse_args(words[1:])
        except SystemExit as error:
            raise AssertionError(f"{where}: mpremote does not take this") from error


def server(name: str, rest: list[str], where: str, folder: Path) -> None:
    """Have a server's own parser look at its options, and look for the program that it is to serve."""
    target = next(word for word in rest if re.match(r"^\w+:\w+$", word))
    assert (folder / (target.partition(":")[0] + ".py")).exists(), f"{where}: the page has no such file"
    parser: Any
    if name == "uvicorn":
        from uvicorn.main import main as command

        command.make_context(name, list(rest), resilient_parsing=False)
    elif name == "gunicorn":
        Config: Any = importlib.import_module("gunicorn.config").Config
        parser = Config().parser()
        settings = parser.parse_args(rest)
        for key, value in vars(settings).items():
            if value is not None and key != "args":
                Config().set(key.lower(), value)
    else:
        assert name == "hypercorn", where


def where_is(where: str) -> Path:
    """Return the folder of the page in a message."""
    return (ROOT / where.partition(":")[0]).parent


def serve(command: list[str], where: str, folder: Path) -> str:
    """Start a program of the page on another port than the page says, ask it for its first page, and end it."""
    from tree import make_tree

    interpreter, file, *rest = command
    if (where_is(where) / file).is_file():
        return ""  # an example: it has tests of its own
    source = (folder / file).read_text(encoding="utf-8")
    port = free_port()
    changed, count = re.subn(r"port=\d+", f"port={port}, host='127.0.0.1'", source)
    if not count:
        changed, count = re.subn(r"app\.run\(\)", f"app.run(port={port}, host='127.0.0.1')", source)
    copy = folder / f"served_{file}"
    if not count:  # a program that does its work and ends
        return run_in(folder, [sys.executable, *command[1:]])
    copy.write_text(changed, encoding="utf-8")
    environment = dict(os.environ)
    program = sys.executable
    if interpreter == "micropython":
        tree = folder.parent / "tree"
        if not tree.exists():
            make_tree(tree, packages(), copy=True)
        environment["MICROPYPATH"] = f".frozen:{folder}:{tree}"
        program = str(provide("micropython32"))
    process = subprocess.Popen(
        [program, copy.name, *rest], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        answer = b""
        deadline = time.monotonic() + PATIENCE
        while not answer and time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = connection.recv(1000)
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            output, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        copy.unlink()
    assert answer.startswith(b"HTTP/1."), f"{where}: it does not answer\n{output.decode()}"
    return ""
