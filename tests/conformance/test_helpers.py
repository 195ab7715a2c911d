"""Names that programs import, and the small functions of the core: contract sections 1, 2.1 to 2.7, 20a.

Portable: CPython and MicroPython.
"""

import asyncio
import time

import microdot
import microdot.microdot as core
from microdot.helpers import wraps
from microdot.test_client import TestClient
from support.checks import CPYTHON, raised, raised_async

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def test_names_of_the_package() -> None:
    """Contract 1.1: the names that programs import from the package."""
    for name in (
        "Microdot",
        "Request",
        "Response",
        "abort",
        "redirect",
        "send_file",
        "URLPattern",
        "AsyncBytesIO",
        "iscoroutine",
    ):
        assert getattr(microdot, name) is not None, name
        assert getattr(core, name) is not None, name
    for name in ("Microdot", "Request", "Response", "URLPattern", "AsyncBytesIO"):
        assert getattr(microdot, name) is getattr(core, name), name
    assert isinstance(microdot.__version__, str)


def test_names_of_the_core_module() -> None:
    """Contract 1.2: the names that are reached through microdot.microdot only."""
    for name in (
        "NoCaseDict",
        "MultiDict",
        "HTTPException",
        "urlencode",
        "urldecode",
        "invoke_handler",
        "mro",
        "print_exception",
        "MUTED_SOCKET_ERRORS",
    ):
        assert getattr(core, name) is not None, name


def test_modules_as_names_of_the_package() -> None:
    """`from microdot import websocket` imports the module, as it does from any package; so does `from microdot import microdot`."""
    from microdot import microdot as same, test_client

    assert same is core
    assert test_client.TestClient is not None


def test_a_name_that_is_not_there() -> None:
    """The lazy package must fail as any module does: programs probe with hasattr()."""
    for module in (microdot, core):
        assert not hasattr(module, "no_such_name")


async def test_a_print_exception_of_the_program() -> None:
    """It printed what handlers raise, in Microdot, and is asked by nobody here; an error handler sees every exception."""
    app = microdot.Microdot()
    seen: "list[Exception]" = []

    @app.get("/")
    async def index(request: microdot.Request) -> None:
        raise ValueError("broken")

    @app.errorhandler(Exception)
    async def on_error(request: microdot.Request, exc: Exception) -> "tuple[str, int]":
        seen.append(exc)
        return "sorry", 500

    own = core.print_exception
    core.print_exception = raised  # type: ignore[assignment]
    try:
        response = await TestClient(app).get("/")
    finally:
        core.print_exception = own
    assert (response.status_code, response.text) == (500, "sorry")
    assert [str(exc) for exc in seen] == ["broken"]


# (contract section, text or bytes, decoded)
URLDECODE = (
    ("2.5 MUST", "%3Ffoo%3Dbar%26x", "?foo=bar&x"),
    ("2.5 MUST", b"%3Ffoo%3Dbar%26x", "?foo=bar&x"),
    ("2.5 MUST", "dot%e2%80%a2dot", "dot•dot"),
    ("2.5 MUST", b"dot%e2%80%a2dot", "dot•dot"),
    ("2.5 MUST", "%2f%%", "/%%"),
    ("2.5 MUST", "a+b+", "a b "),
    ("2.5 MUST", "", ""),
    ("2.5 MUST", b"", ""),
    ("2.5 MUST", "caf\u00e9", "caf\u00e9"),
    ("2.5 observed", "abc%", "abc%"),
    ("2.5 observed", "a%%41", "a%A"),
    ("2.5 observed", "%2B", "+"),
)


def test_urldecode() -> None:
    for section, given, expected in URLDECODE:
        result = core.urldecode(given)
        assert result == expected, (section, given, result)
        assert isinstance(result, str), (section, given)


def test_urldecode_refuses_what_is_no_text() -> None:
    """Contract 2.5: both are ValueErrors, from which the server makes a 400 (7.9)."""
    for bad in ("%zz", "a%g1", "%ff", b"%ff", "%e2%80"):
        raised(ValueError, core.urldecode, bad)


# (contract section, text, encoded)
URLENCODE = (
    ("2.6 MUST", "?foo=bar&x", "%3Ffoo%3Dbar%26x"),
    ("2.6 MUST", "/a/b", "/a/b"),
    ("2.6 MUST", "/?foo=bar", "/%3Ffoo%3Dbar"),
    ("2.6 MUST", "a b", "a+b"),
    ("2.6 MUST", "100%", "100%25"),
    ("2.6 MUST", "#", "%23"),
    ("21 C2", "+", "%2B"),
)


def test_urlencode() -> None:
    for section, given, expected in URLENCODE:
        result = core.urlencode(given)
        assert result == expected, (section, given, result)


def test_urlencode_gives_plain_ascii_that_urldecode_reads_back() -> None:
    """Contract 21 C2: `+`, quotes, control characters and other scripts used to pass through or break."""
    for text in ("+", "a+b c", "\"'<>", "\r\n\t\x00", "caf\u00e9 \u2022", "%2B", "/\\?#&=%"):
        encoded = core.urlencode(text)
        for character in encoded:
            assert " " < character < "\x7f" and character not in '"<>', (text, encoded)
        assert core.urldecode(encoded) == text, (text, encoded)


def test_iscoroutine() -> None:
    async def function() -> int:
        return 1

    coroutine = function()
    assert microdot.iscoroutine(coroutine)
    coroutine.close()
    for other in (function, 1, None, "text", [1]):
        assert not microdot.iscoroutine(other), other


def test_mro() -> None:
    """Contract 2.7: each class before its bases, each once."""

    class First(Exception):
        pass

    class Second(First):
        pass

    class Third(Second):
        pass

    order = [cls for cls in core.mro(Third) if cls in (First, Second, Third, Exception)]
    assert order == [Third, Second, First, Exception]


def test_muted_socket_errors() -> None:
    """Contract 2.4."""
    for number in (32, 54, 104, 128):
        assert number in core.MUTED_SOCKET_ERRORS
    assert 2 not in core.MUTED_SOCKET_ERRORS


def test_print_exception_takes_the_exception() -> None:
    """Contract 2.3: it prints and returns; what it prints is for people."""
    try:
        raise ValueError("printed by a test, on purpose")
    except ValueError as exc:
        core.print_exception(exc)


async def test_invoke_handler() -> None:
    """Contract 2.1: result, arguments and exceptions of plain and async functions pass through."""

    def plain(*args: "Any", **kwargs: "Any") -> "Any":
        return args, kwargs

    async def asynchronous(*args: "Any", **kwargs: "Any") -> "Any":
        return args, kwargs

    def failing() -> None:
        raise KeyError("plain")

    async def failing_async() -> None:
        raise KeyError("async")

    for function in (plain, asynchronous):
        assert await core.invoke_handler(function) == ((), {})
        assert await core.invoke_handler(function, 1, 2, x=3) == ((1, 2), {"x": 3})
    for failing_function in (failing, failing_async):
        await raised_async(KeyError, core.invoke_handler(failing_function))


async def test_handlers_run_concurrently() -> None:
    """Contract 2.1 MUST: two async and two plain handlers each wait until all four have started.

    A board has one thread (contract 22): there a plain handler runs inline, so only the async ones meet.
    """
    started: "list[int]" = []

    def everyone_is_here() -> bool:
        return len(started) == 4

    async def asynchronous(number: int) -> int:
        started.append(number)
        while not everyone_is_here():
            await asyncio.sleep(0.001)
        return number

    def plain(number: int) -> int:
        started.append(number)
        give_up = time.time() + 10
        while CPYTHON and not everyone_is_here():
            assert time.time() < give_up, "the others never started"
            time.sleep(0.001)
        return number

    calls = [
        core.invoke_handler(plain, 1),
        core.invoke_handler(asynchronous, 2),
        core.invoke_handler(plain, 3),
        core.invoke_handler(asynchronous, 4),
    ]
    results = await asyncio.wait_for(asyncio.gather(*calls), 10)
    assert list(results) == [1, 2, 3, 4]


def test_wraps() -> None:
    """Contract 20a: a decorator factory; where functions can't carry attributes it returns the wrapper unchanged."""

    def wrapped() -> str:
        """Say something."""
        return "wrapped"

    @wraps(wrapped)
    def wrapper() -> str:
        return "wrapper"

    assert wrapper() == "wrapper"
    if CPYTHON:
        assert wrapper.__name__ == "wrapped"
        assert wrapper.__doc__ == "Say something."


def test_star_imports() -> None:
    """Contract 1.1: `import *` gives the names; boards do not ask a module for names that it has not loaded."""
    if not CPYTHON:
        return
    for module, more in (("microdot", ()), ("microdot.microdot", ("NoCaseDict", "MultiDict", "HTTPException", "urlencode"))):
        names: "dict[str, Any]" = {}
        exec("from %s import *" % module, names)
        for name in ("Microdot", "Request", "Response", "abort", "redirect", "send_file", "URLPattern") + more:
            assert names.get(name) is not None, (module, name)
