"""The tools that judge the rest: what fails must be seen to fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import check
import upy
from project import ROOT

SKIPPING = """
import pytest

def test_skips():
    pytest.skip("no such program: install it")

@pytest.mark.xfail(strict=True)
def test_fails_as_expected():
    assert False
"""

MIXED = """
import asyncio

def test_good():
    print("noise of the good one")

def test_bad():
    assert 1 == 2, "the case"

async def test_bad_later():
    await asyncio.sleep(0)
    raise asyncio.CancelledError

def test_leaves():
    raise SystemExit(0)

async def test_good_later():
    await asyncio.sleep(0)
"""


def run_pytest(directory: Path, ci: str) -> tuple[int, str]:
    shutil.copyfile(ROOT / "conftest.py", directory / "conftest.py")
    (directory / "pytest.ini").write_text("[pytest]\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"],
        cwd=directory,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return run.returncode, run.stdout


def test_a_skip_is_a_failure_in_ci_only(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(SKIPPING)
    (tmp_path / "test_two.py").write_text("import pytest\npytest.skip('the whole file', allow_module_level=True)\n")
    code, said = run_pytest(tmp_path, "")
    assert code == 0 and "2 skipped, 1 xfailed" in said
    code, said = run_pytest(tmp_path, "true")
    assert code == 1 and "1 failed, 1 xfailed, 1 error" in said
    assert "CI=true, and this test was not run: Skipped: no such program: install it" in said
    assert "CI=true, and this file was not run: Skipped: the whole file" in said


@pytest.mark.parametrize("interpreter", ["micropython64", "micropython32", "cpython"])
def test_runner_counts_and_shows_failures(interpreter: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    program = sys.executable if interpreter == "cpython" else str(request.getfixturevalue(interpreter))
    path = tmp_path / "test_mixed.py"
    path.write_text(MIXED)
    passed, failed, output = upy.run_file(path, program, tmp_path, None, "", 60)
    assert (passed, failed) == (2, 3), output
    shown = upy._of_failures(output)
    assert re.findall(r"FAILED test_mixed.py (\w+)", shown) == ["test_bad", "test_bad_later", "test_leaves"]
    assert "AssertionError: the case" in shown
    assert "noise" not in shown
    for text, reason in (
        ("import nothing_of_this_name\n", "(import)"),
        ("x = 1\n", "it holds no test"),
        ("def test_ends():\n    import os\n    os._exit(0)\n", "ended with exit code"),
        ("def test_hangs():\n    while True:\n        pass\n", "no end after 2 s"),
    ):
        if "os._exit" in text and interpreter != "cpython":
            continue  # MicroPython's os has no _exit
        path.write_text(text)
        passed, failed, output = upy.run_file(path, program, tmp_path, None, "", 2)
        assert (passed, failed) == (0, 1) and reason in output, output


def test_every_failing_step_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "LOG", tmp_path)

    def step(name: str, program: str, *after: str) -> check.Step:
        return check.Step(name, "", lambda: [[sys.executable, "-c", program]], after)

    chosen = [
        step("bad", "print('what is wrong'); raise SystemExit(3)"),
        step("good", "print('all is well')", "bad"),
        check.Step("empty", "", lambda: [[sys.executable, "-m", "pytest", "-q", str(tmp_path)]]),
        check.Step("nowhere", "", lambda: [["/no/such/program"]]),
    ]
    check.run_all(chosen, 2)
    assert [one.state for one in chosen] == ["FAILED", "ok", "FAILED", "FAILED"]
    assert chosen[0].failed[0].endswith("exit code 3")
    assert chosen[1].said == "all is well"
    assert "no test was found" in chosen[2].failed[0]
    assert "what is wrong" in capsys.readouterr().out
