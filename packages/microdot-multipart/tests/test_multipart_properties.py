"""microdot-multipart: whatever is in a form, whatever its boundary, however it is cut or cut off. CPython only."""

from __future__ import annotations

import asyncio
import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from microdot import AsyncBytesIO, Microdot, Request
from microdot.microdot import HTTPException
from microdot.multipart import FormDataIter, parse_form, parse_options, safe_name

# RFC 2046 5.1.1: bchars, of which a blank may not be the last.
_BCHARS = string.ascii_letters + string.digits + "'()+_,-./:=? "
BOUNDARIES = st.text(_BCHARS, min_size=1, max_size=70).filter(lambda text: text[-1] != " ")
# What a header can hold: no line ends, no NUL; U+0085 and the like are no line ends there.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=40)
PARTS = st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.binary(max_size=300)), max_size=6)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _build(boundary: str, parts: list[tuple[str, str | None, bytes]]) -> bytes:
    out = []
    for name, filename, content in parts:
        head = f"--{boundary}\r\nContent-Disposition: form-data; name={_quoted(name)}"
        if filename is not None:
            head += f"; filename={_quoted(filename)}\r\nContent-Type: application/octet-stream"
        out.append(head.encode() + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(out) + f"--{boundary}--\r\n".encode()


def _possible(boundary: str, parts: list[tuple[str, str | None, bytes]]) -> bool:
    """Tell whether no content holds the boundary at the start of a line, which a sender has to see to, and no name a %22."""
    mark = b"\r\n--" + boundary.encode()
    return all(mark not in b"\r\n" + content and "%22" not in name + (filename or "") for name, filename, content in parts)


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    out = []
    at = 0
    for cut in cuts:
        out.append(data[at : at + cut])
        at += cut
        if at >= len(data):
            return out
    out.append(data[at:])
    return out


def _parse(boundary: str, pieces: list[bytes]) -> tuple[list[Any], bool]:
    """Return the parts, and whether the form is complete."""
    parser = parse_form(boundary.encode())
    waiting = [piece for piece in pieces if piece]
    found: list[Any] = []
    more: Any = None
    while True:
        event = parser.send(more)
        more = None
        if event == ():
            return found, True
        if event is None:
            if not waiting:
                return found, False
            more = waiting.pop(0)
        elif isinstance(event, tuple):
            found.append([event[0], event[1], b""])
        elif found:
            found[-1][2] += event


@settings(max_examples=300, deadline=None)
@given(BOUNDARIES, PARTS, st.lists(st.integers(1, 90), max_size=60), st.binary(max_size=50))
def test_any_parts_any_boundary_any_cut(
    boundary: str, parts: list[tuple[str, str | None, bytes]], cuts: list[int], preamble: bytes
) -> None:
    if not _possible(boundary, parts) or b"--" + boundary.encode() in preamble:
        return
    data = _build(boundary, parts)
    if preamble:
        data = preamble + b"\r\n" + data
    found, complete = _parse(boundary, _pieces(data, cuts))
    assert complete
    assert [tuple(part) for part in found] == parts


@settings(max_examples=200, deadline=None)
@given(BOUNDARIES, PARTS, st.data())
def test_any_truncation(boundary: str, parts: list[tuple[str, str | None, bytes]], data: st.DataObject) -> None:
    if not _possible(boundary, parts):
        return
    whole = _build(boundary, parts)
    end = data.draw(st.integers(0, len(whole) - 4))
    found, complete = _parse(boundary, [whole[:end]])
    assert not complete
    for (name, filename, content), (sent_name, sent_filename, sent_content) in zip(found, parts):
        assert (name, filename) == (sent_name, sent_filename)
        assert sent_content.startswith(content)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.lists(st.integers(1, 30), max_size=30), st.booleans())
def test_any_garbage_is_answered(data: bytes, cuts: list[int], begin: bool) -> None:
    if begin:
        data = b'--b\r\nContent-Disposition: form-data; name="a"\r\n' + data

    class Stream:
        pieces = _pieces(data, cuts)

        async def read(self, n: int = -1) -> bytes:
            while self.pieces:
                piece = self.pieces.pop(0)
                if piece:
                    return piece
            return b""

    async def read_all() -> None:
        request = Request(Microdot(), None, "POST", "/", "1.1", {"Content-Type": "multipart/form-data; boundary=b"})
        request.stream = Stream()
        try:
            async for _, value in FormDataIter(request):
                if not isinstance(value, str):
                    await value.read()
        except HTTPException as exc:
            assert exc.status_code in (400, 413)

    asyncio.run(asyncio.wait_for(read_all(), 5))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_name_stays_in_the_folder(name: str) -> None:
    kept = safe_name(name)
    assert not set(kept) & set("/\\:\0")
    assert kept not in (".", "..")
    assert bool(kept) == bool(name)
    assert safe_name(kept) == kept


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_any_header_can_be_looked_at(header: str) -> None:
    parse_options(header)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 700), max_size=8))
def test_reads_of_any_size(sizes: list[int]) -> None:
    content = bytes(range(256)) * 8
    data = _build("b", [("f", "x", content), ("a", None, b"1")])

    async def read() -> None:
        request = Request(Microdot(), None, "POST", "/", "1.1", {"Content-Type": "multipart/form-data; boundary=b"})
        request.stream = AsyncBytesIO(data)
        iterator = FormDataIter(request)
        iterator.buffer_size = 100
        _, upload = await iterator.__anext__()
        at = 0
        for size in sizes:
            assert await upload.read(size) == content[at : at + size]
            at += size
        assert await upload.read() == content[at:]
        assert await iterator.__anext__() == ("a", "1")

    asyncio.run(read())
