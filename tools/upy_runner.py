"""Run the tests of one file inside the interpreter that executes this: started by tools/upy.py, once per file.

    micropython upy_runner.py TEST_FILE MODULE_PATH... [-k WORD]

MODULE_PATH are the directories to import from, in order. Every function `test_*` runs in the order of the file,
coroutines under asyncio.run. The dialect is MicroPython's. Exit code 1 when a test failed or the
file could not be imported, 3 when it holds no test.
"""

import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _tests(path: str) -> "list[str]":
    # MicroPython's dictionaries are unordered: the order of the file is in its text.
    names = []
    with open(path) as source:
        for line in source:
            for start in ("def test_", "async def test_"):
                if line.startswith(start):
                    name = line[len(start) - 5 :].split("(")[0].strip()
                    names.append(name)
    return names


def _run(function: "Any") -> None:
    result = function()
    if hasattr(result, "send"):  # a coroutine; MicroPython's are generators
        import asyncio

        try:
            asyncio.run(result)
        finally:
            if sys.implementation.name == "micropython":
                asyncio.new_event_loop()  # no task of one test runs in the next


def _print_exception(error: BaseException) -> None:
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__)


def main(path: str, module_path: "list[str]", word: str) -> int:
    """Run the file; return the exit code."""
    directory, _, filename = path.rpartition("/")
    # The runner's own directory is first on the path, and holds modules that are not for tests.
    sys.path[0] = directory or "."
    for entry in reversed(module_path):
        sys.path.insert(0, entry)
    try:
        module = __import__(filename[: -len(".py")])
    except Exception as error:
        print("FAILED", filename, "(import)")
        _print_exception(error)
        print("0 passed, 1 failed")
        return 1
    passed = failed = 0
    for name in _tests(path):
        if word not in name:
            continue
        gc.collect()
        print("TEST", name)  # so that tools/upy.py can tell whose output follows
        try:
            _run(getattr(module, name))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and CancelledError must not pass for success
            failed += 1
            print("FAILED", filename, name)
            _print_exception(error)
        else:
            passed += 1
    print("{} passed, {} failed".format(passed, failed))
    return 1 if failed else 0 if passed or word else 3


if __name__ == "__main__":
    arguments = sys.argv[1:]
    wanted = ""
    if "-k" in arguments:
        at = arguments.index("-k")
        wanted = arguments[at + 1]
        arguments = arguments[:at] + arguments[at + 2 :]
    sys.exit(main(arguments[0], arguments[1:], wanted))
