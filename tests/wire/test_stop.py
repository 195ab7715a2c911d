"""Beginning and end of a server: row L15, contract section 8."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
from support.wire_client import request
from support.wire_server import Server, wait_until

Launch = Callable[..., Server]


def exits(server: Server, seconds: float) -> int:
    """Wait for the end of the process and return its exit code."""
    try:
        return server.process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"still running after {seconds} s:\n{server.output()[-2000:]}") from None


def refuses(server: Server) -> bool:
    """Whether nobody listens any more."""
    return not server.accepts()


@pytest.mark.parametrize("path", ["/shutdown", "/shutdown-sync"], ids=["async", "sync"])
def test_l15_graceful_stop_and_start_again(runtime: str, launch: Launch, path: str) -> None:
    """A plain handler runs in a worker thread on CPython. Running requests finish, idle connections close, run() returns."""
    server = launch(runtime, "stopping.py", "rounds=2")
    for turn in range(2):
        assert wait_until(server.accepts, 5), f"round {turn} does not start:\n{server.output()}"
        with server.connect() as running, server.connect() as idle, server.connect() as silent, server.connect() as half:
            assert idle.get("/text").text == "hello"
            half.send(b"GET /text HTTP/1.1\r\nHost")
            running.send(request("GET", "/slow?s=0.7"))
            time.sleep(0.2)
            with server.connect() as client:
                answer = client.get(path)
                assert (answer.status, answer.text) == (200, "stopping")
            assert wait_until(lambda: refuses(server), 2), "connections are still accepted"
            begun = time.monotonic()
            idle.expect_end(by_itself=True)
            silent.drain(by_itself=True)
            assert time.monotonic() - begun < 2, "idle connections stay open"
            answer = running.answer()
            assert (answer.status, answer.text) == (200, "slow"), "a running request was cut off"
            assert answer.closes
            running.expect_end(by_itself=True)
            half.drain(by_itself=True)
        assert wait_until(lambda turn=turn: f"run returned {turn}" in server.output(), 5), server.output()  # type: ignore[misc]
    assert exits(server, 5) == 0, server.output()
    said = server.output()
    assert (said.count("started"), said.count("stopped")) == (2, 2), said
    assert "Traceback" not in said, said
    assert "Warning" not in said, said


def test_l15_stop_does_not_wait_for_ever(runtime: str, launch: Launch) -> None:
    """What takes longer than stop_timeout is cut off: a handler, and a stream without an end, which is closed."""
    server = launch(runtime, "stopping.py", "app.stop_timeout=1")
    with server.connect() as long, server.connect() as stream:
        long.send(request("GET", "/slow?s=60"))
        stream.send(request("GET", "/ticks"))
        assert stream.head().status == 200
        begun = time.monotonic()
        assert server.get("/shutdown").status == 200
        assert exits(server, 8) == 0
        assert time.monotonic() - begun < 6
        assert len(long.answers()) <= 1
        stream.drain(by_itself=True)
    said = server.output()
    assert "run returned 0" in said
    assert said.count("stream closed") == 1, said
    assert "Traceback" not in said, said


def test_l15_a_client_cannot_hold_the_stop(runtime: str, launch: Launch) -> None:
    """Neither one that does not read its answer nor one that does not send its request."""
    server = launch(runtime, "stopping.py", "app.stop_timeout=1")
    with server.connect(receive_buffer=4096) as deaf, server.connect() as mute:
        deaf.send(request("GET", "/text") * 5000)
        mute.send(b"GET /te")
        assert server.get("/shutdown").status == 200
        assert exits(server, 8) == 0
    assert "Traceback" not in server.output()


def test_l15_requests_during_the_stop(runtime: str, launch: Launch) -> None:
    """A request that is pipelined behind the last one is not answered, or answered whole."""
    server = launch(runtime, "stopping.py")
    with server.connect() as client:
        client.send(request("GET", "/slow?s=0.5") + request("GET", "/text") * 2)
        time.sleep(0.2)
        assert server.get("/shutdown").status == 200
        found = client.answers()
        assert [answer.text for answer in found] in (["slow"], ["slow", "hello"], ["slow", "hello", "hello"])
        assert found[-1].closes
    assert exits(server, 8) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_l15_signals(launch: Launch, number: signal.Signals) -> None:
    """On CPython a signal stops as gracefully as shutdown() does."""
    server = launch("cpython", "stopping.py")
    with server.connect() as running, server.connect() as idle:
        assert idle.get("/text").text == "hello"
        running.send(request("GET", "/slow?s=0.7"))
        time.sleep(0.2)
        server.process.send_signal(number)
        answer = running.answer()
        assert (answer.status, answer.text) == (200, "slow"), "a running request was cut off"
        idle.expect_end(by_itself=True)
        code = exits(server, 5)
    said = server.output()
    if number == signal.SIGTERM:
        assert code in (0, -signal.SIGTERM, 128 + signal.SIGTERM), (code, said)
    else:
        assert code in (0, 1, -signal.SIGINT, 128 + signal.SIGINT), (code, said)
    assert "run returned 0" in said or "KeyboardInterrupt" in said or code == -number, said
    assert "stopped" in said, "the stop hooks did not run"


def test_l15_second_signal_is_enough(launch: Launch) -> None:
    """A person who presses Ctrl-C twice does not want to wait."""
    server = launch("cpython", "stopping.py")
    with server.connect() as client:
        client.send(request("GET", "/slow?s=60"))
        time.sleep(0.2)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        server.process.send_signal(signal.SIGINT)
        exits(server, 12)


def test_l15_many_shutdowns(runtime: str, launch: Launch) -> None:
    """From several requests at once: the same as one."""
    server = launch(runtime, "stopping.py")
    answers: list[int] = []

    def ask(path: str) -> None:
        try:
            answers.append(server.get(path).status)
        except (AssertionError, OSError):
            pass  # too late

    threads = [threading.Thread(target=ask, args=(path,)) for path in ("/shutdown", "/shutdown-sync") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers and set(answers) <= {200, 503}
    assert exits(server, 8) == 0
    assert "Traceback" not in server.output()


def test_the_port_is_taken(runtime: str, launch: Launch) -> None:
    """A second server on the same port fails with an OSError that says so, and does not disturb the first."""
    first = launch(runtime, "hello.py")
    second = Server(first.bench, runtime, "hello.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("support.wire_server.free_port", lambda: first.port)
        try:
            second.start()
        except AssertionError:
            pass
        else:
            assert wait_until(lambda: not second.alive, 5), "two servers on one port"
        finally:
            second.stop(0)
    assert "OSError" in second.output(), second.output()
    assert first.get("/text").text == "hello"


def test_start_serving_false(launch: Launch) -> None:
    """Contract 8.1: on CPython the caller may serve, and shutdown() cancels serve_forever()."""
    server = launch("cpython", "unstarted.py")
    assert "not serving yet" in server.output()
    with server.connect() as client:
        assert client.get("/text").text == "hello"
        assert client.get("/text").text == "hello"
    assert server.get("/shutdown").text == "stopping"
    assert exits(server, 8) == 0
    assert "serve_forever cancelled" in server.output()
    assert "Traceback" not in server.output()


def test_run_again_after_ctrl_c(runtime: str, launch: Launch) -> None:
    """At the prompt: Ctrl-C frees the port, lets a request finish and runs the hooks; then run() serves again."""
    server = launch(runtime, "again.py")
    ran = "start"
    for number, what in ((signal.SIGINT, "stop interrupted start"), (0, "stop start"), (signal.SIGINT, "stop interrupted start")):
        assert wait_until(server.accepts, 5), server.output()
        assert server.get("/").text == ran
        with server.connect() as client:
            client.send(request("GET", "/slow"))
            time.sleep(0.2)
            if number:
                server.process.send_signal(number)
            else:
                assert server.get("/shutdown").text == "bye"
            assert client.answer().text == "slow"
        assert wait_until(lambda: answers(server), 5), server.output()
        ran += " " + what
        assert server.get("/").text == ran
    server.healthy()


def answers(server: Server) -> bool:
    """Whether somebody answers."""
    try:
        return server.get("/text").status == 200
    except (OSError, AssertionError):
        return False
