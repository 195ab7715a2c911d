"""Assertions that the portable tests share; they need no test framework and run on CPython and MicroPython."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

# True on CPython, where plain `def` handlers run in threads and dictionaries are ordered.
CPYTHON = sys.implementation.name == "cpython"

# JSON that every runtime refuses, and JSON that boards' json module takes although it is malformed.
BAD_JSON = (b"", b"{'a': 1}", b'"a', b"[1] 2", b"tru", b"nul", b"}", b"\xff", b'"\xff"')
LAX_JSON = (b"{", b'{"a": 1', b"[1, 2", b"[1,]", b"01")


def raised(expected: "type[BaseException] | tuple[type[BaseException], ...]", function: "Callable[..., Any]", *args: "Any") -> "Any":
    """Call the function and return the exception of the expected class that it raises; anything else is a failure."""
    try:
        result = function(*args)
    except expected as exc:
        return exc
    raise AssertionError("%r expected, got the result %r" % (expected, result))


async def raised_async(expected: "type[BaseException]", awaitable: "Awaitable[Any]") -> "Any":
    """Await and return the exception of the expected class that is raised; anything else is a failure."""
    try:
        result = await awaitable
    except expected as exc:
        return exc
    raise AssertionError("%s expected, got the result %r" % (expected.__name__, result))


def split_message(data: bytes) -> "tuple[str, list[str], bytes]":
    """Cut an HTTP message into start line, sorted header lines and body.

    Sorted, because dictionaries are unordered on MicroPython and so is the order of headers on the wire.
    """
    head, separator, body = data.partition(b"\r\n\r\n")
    assert separator, "no end of head in %r" % data
    lines = head.decode().split("\r\n")
    return lines[0], sorted(lines[1:]), body


def names(lines: "list[str]") -> "list[str]":
    """Return the lower-case field names of header lines."""
    return [line.split(":")[0].lower() for line in lines]
