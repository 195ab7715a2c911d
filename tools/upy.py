"""Run the portable tests on MicroPython, or on any interpreter.

Portable tests are plain `def test_*` and `async def test_*` with `assert`; they import no pytest, so the same file runs
under pytest and on a board. They are: every test_*.py in tests/conformance, and in packages/*/tests every file whose
docstring has a line that starts with "Portable".

    python tools/upy.py                            all of them, 64-bit MicroPython, against build/board
    python tools/upy.py --bits 32 --heap 80k
    python tools/upy.py --with python3.13 --tree build/tree tests/conformance/test_routing.py -k order

Each file has an interpreter of its own, so that none lives on another's heap. The library comes from a merged tree
(default: build/board, compiled as boards get it, made by this command when a source has changed); tests are .py and
keep their asserts. The last line counts; the exit code is 1 when anything failed, 69 when the
interpreter is missing.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from names import rename
from project import BUILD, ROOT, Package, packages, shown
from provide import Missing, locked, micropython
from tree import make_tree

RUNNER = ROOT / "tools" / "upy_runner.py"
EXIT_MISSING = 69
"""Exit code when there is no such interpreter here (EX_UNAVAILABLE of sysexits.h): nothing was tested."""


def is_portable(path: Path) -> bool:
    """Tell whether a file of package tests says that it is portable."""
    docstring = re.match(r'(?s)(?:#[^\n]*\n|\s)*"""(.*?)"""', path.read_text(encoding="utf-8"))
    return docstring is not None and re.search(r"(?m)^Portable\b", docstring.group(1)) is not None


def portable_tests(paths: Sequence[Path] = ()) -> list[Path]:
    """Return the portable test files: all, or those in the given files and directories.

    Raises:
        ValueError: a path does not exist.
    """
    if not paths:
        found = sorted((ROOT / "tests" / "conformance").glob("test_*.py"))
        found += [path for path in sorted((ROOT / "packages").glob("*/tests/test_*.py")) if is_portable(path)]
        return found
    found = []
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path} does not exist")
        inside = sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
        conformance = ROOT / "tests" / "conformance"
        found += [
            file
            for file in inside
            if file == path or conformance in file.resolve().parents or is_portable(file)
        ]
    return found


def board_tree() -> Path:
    """Return build/board, made anew when a source has changed."""
    tree = BUILD / "board"
    stamp = BUILD / "board.stamp"
    with locked(BUILD / "board.lock"):
        sources = [package.source / name for package in packages() for name in package.board_files()]
        sources += [package.directory / "pyproject.toml" for package in packages()]
        sources += [ROOT / "tools" / name for name in ("strip.py", "link.py", "names.py", "project.py")]
        wanted = "".join(f"{path} {path.stat().st_mtime_ns}\n" for path in sources)
        if not (tree / "microdot").is_dir() or not stamp.exists() or stamp.read_text() != wanted:
            make_tree(tree, packages(), mpy=True)
            stamp.write_text(wanted)
    return tree


def is_micropython(interpreter: str) -> bool:
    """Tell whether an interpreter understands MicroPython's options."""
    run = subprocess.run(
        [interpreter, "-c", "import sys; print(sys.implementation.name)"], capture_output=True, text=True, timeout=30
    )
    return run.stdout.strip() == "micropython"


def _of_failures(output: str) -> str:
    """Return the output without that of the tests that passed: some print the tracebacks they provoke."""
    parts = re.split(r"(?m)^(?=TEST )", output)
    last = len(parts) - 1
    # The last part has the end of the interpreter, which may itself be what went wrong.
    return "".join(part for at, part in enumerate(parts) if at == last or re.search(r"(?m)^FAILED ", part))


def run_file(
    path: Path, interpreter: str, tree: Path, heap: str | None, word: str, timeout: float
) -> tuple[int, int, str]:
    """Run one test file and return (passed, failed, output)."""
    upy = is_micropython(interpreter)
    command = [interpreter]
    if heap and upy:
        command += ["-X", f"heapsize={heap}"]
    # What tests share is imported as `support.…`
    support = ROOT / "tests"
    command += [str(RUNNER), str(path.resolve()), str(tree.resolve()), str(support), *(["-k", word] if word else [])]
    # Nothing from the user's ~/.micropython/lib.
    environment = {**os.environ, "MICROPYPATH": ".frozen", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        run = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment,
            cwd=BUILD,
        )
        output, code = run.stdout, run.returncode
    except subprocess.TimeoutExpired as error:
        before = error.stdout or b""
        text = before.decode(errors="replace") if isinstance(before, bytes) else before
        return 0, 1, f"{text}FAILED {path.name}: no end after {timeout:g} s\n"
    counts = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
    if not counts:
        return 0, 1, f"{output}FAILED {path.name}: the interpreter ended with exit code {code}\n"
    passed, failed = (int(number) for number in counts[-1])
    if code == 3:
        return 0, 1, f"{output}FAILED {path.name}: it holds no test\n"
    if code and not failed:
        return passed, 1, f"{output}FAILED {path.name}: exit code {code} after the last test\n"
    return passed, failed, output


def as_published(path: Path, known: Sequence[Package], scratch: Path) -> Path:
    """Return the test file, or a copy below `scratch` where the private names of its package are those of published bytecode."""
    names = {name: new for package in known if package.directory in path.resolve().parents for name, new in package.names.items()}
    text = path.read_text(encoding="utf-8")
    renamed = rename({path.name: text}, names)[path.name]
    if renamed == text:
        return path
    copy = scratch / path.name
    copy.write_text(renamed, encoding="utf-8")
    return copy


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, help="test files or directories (default: all portable tests)")
    parser.add_argument("--bits", type=int, choices=(64, 32), default=64, help="which MicroPython (default 64)")
    parser.add_argument("--with", dest="interpreter", help="another interpreter")
    parser.add_argument("--heap", help="heap of MicroPython, such as 80k (default: the interpreter's)")
    parser.add_argument("--tree", type=Path, help="merged tree to import from (default: build/board)")
    parser.add_argument("-k", dest="word", default="", help="only tests with this word in their name")
    parser.add_argument("-j", dest="jobs", type=int, default=1, help="files at a time (default 1)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one file (default 120)")
    parser.add_argument("--list", action="store_true", help="print the files that would run")
    options = parser.parse_args()
    try:
        files = portable_tests(options.paths)
        if options.list:
            print("\n".join(shown(path) for path in files))
            return 0
        interpreter = options.interpreter or str(micropython(options.bits))
        BUILD.mkdir(exist_ok=True)
        tree: Path = options.tree or board_tree()
        if not (tree / "microdot").is_dir():
            raise ValueError(f"{tree} has no microdot/: see tools/tree.py")
    except Missing as error:
        print(f"upy: {error}", file=sys.stderr)
        return EXIT_MISSING
    except (ValueError, RuntimeError) as error:
        print(f"upy: {error}", file=sys.stderr)
        return 1
    if not files:
        print("upy: there are no portable tests", file=sys.stderr)
        return 1
    start = time.monotonic()
    passed = failed = 0
    # A copy of our own: the tree may be made anew while tests import from it.
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        shutil.copytree(tree / "microdot", Path(scratch, "microdot"), ignore=shutil.ignore_patterns("__pycache__"))
        published = (tree / "microdot" / "__init__.mpy").exists()
        known = packages()
        tests = [as_published(path, known, Path(scratch)) if published else path for path in files]
        runs = pool.map(
            lambda path: run_file(path, interpreter, Path(scratch), options.heap, options.word, options.timeout), tests
        )
        for path, (good, bad, output) in zip(files, runs):
            passed, failed = passed + good, failed + bad
            print(f"{shown(path)}: {good} passed, {bad} failed", flush=True)
            if bad:
                print(_of_failures(output), flush=True)
    if not passed and not failed:
        print(f"upy: no test has {options.word!r} in its name", file=sys.stderr)
        return 1
    print(f"{passed} passed, {failed} failed in {len(files)} files, {time.monotonic() - start:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
