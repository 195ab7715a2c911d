"""microdot-multipart: RFC 7578 in bytes, cut in every way; forms through the test client and the native server.

Portable: CPython and MicroPython.
"""

import asyncio
import os

import microdot.multipart as multipart
from microdot import AsyncBytesIO, Microdot, Request
from microdot.microdot import HTTPException
from microdot.multipart import FileUpload, FormDataIter, parse_form, parse_options, safe_name, with_form_data
from microdot.test_client import TestClient
from support.checks import CPYTHON, raised_async
from support.loopback import Running, free_port, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from microdot.test_client import TestResponse

Part = "tuple[str, str | None, str | None, bytes]"


def events(data: bytes, size: int, boundary: bytes = b"b") -> "list[Any]":
    """Parse bytes fed in pieces of `size`; the events, neighbouring pieces of content joined, up to where it wants more."""
    parser = parse_form(boundary)
    found: "list[Any]" = []
    fed = 0
    more = None
    while True:
        event = parser.send(more)  # type: ignore[arg-type]
        more = None
        if event is None:
            if fed >= len(data):
                return found
            more = data[fed : fed + size]
            fed += size
        elif event == ():
            found.append(())
            return found
        elif isinstance(event, bytes) and event and found and isinstance(found[-1], bytes) and found[-1]:
            found[-1] += event
        else:
            found.append(event)


def parts(data: bytes, size: int, boundary: bytes = b"b") -> "list[Any]":
    """Parse a whole form: the list of (name, filename, content type, content)."""
    found = events(data, size, boundary)
    assert found[-1] == (), "no end: %r" % (found,)
    result: "list[Any]" = []
    for event in found[:-1]:
        if isinstance(event, tuple):
            result.append(event + (b"",))
        elif result:
            result[-1] = result[-1][:3] + (result[-1][3] + event,)
    return result


def field(name: str, value: bytes, boundary: str = "b") -> bytes:
    return ('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n' % (boundary, name)).encode() + value + b"\r\n"


def file(name: str, filename: str, value: bytes, boundary: str = "b", kind: str = "text/plain") -> bytes:
    head = '--%s\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: %s\r\n\r\n'
    return (head % (boundary, name, filename, kind)).encode() + value + b"\r\n"


A = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'

# (what, bytes, parts)
GOOD: "tuple[tuple[str, bytes, list[Any]], ...]" = (
    ("one field", field("a", b"1") + b"--b--\r\n", [("a", None, None, b"1")]),
    ("no line end at the end", field("a", b"1") + b"--b--", [("a", None, None, b"1")]),
    ("two fields", field("a", b"1") + field("b", b"") + b"--b--\r\n", [("a", None, None, b"1"), ("b", None, None, b"")]),
    ("a repeated field", field("a", b"1") + field("a", b"2") + b"--b--", [("a", None, None, b"1"), ("a", None, None, b"2")]),
    ("an empty form", b"--b--\r\n", []),
    ("preamble and epilogue (RFC 2046 5.1.1)", b"hello\r\nthere\r\n" + field("a", b"1") + b"--b--\r\nbye\r\n--b\r\n", [("a", None, None, b"1")]),
    ("an empty line before", b"\r\n" + field("a", b"1") + b"--b--", [("a", None, None, b"1")]),
    ("padding behind delimiters (RFC 2046 5.1.1)", A.replace(b"--b", b"--b \t ") + b"1\r\n--b-- \t\r\n", [("a", None, None, b"1")]),
    ("an empty line shared with the delimiter (RFC 2046 5.1.1: body-part)", A + b"--b--", [("a", None, None, b"")]),
    ("the boundary within a line (A3)", A + b"x--b\r\n-- b\r\n -b--\r\n--b--", [("a", None, None, b"x--b\r\n-- b\r\n -b--")]),
    ("half a delimiter", A + b"\r\n--a\r\n-\r\r\n--c\n--b\r\n--b--", [("a", None, None, b"\r\n--a\r\n-\r\r\n--c\n--b")]),
    ("line ends at both ends", A + b"\r\n\r\n1\r\n\r\n--b--", [("a", None, None, b"\r\n\r\n1\r\n")]),
    ("every byte", A + bytes(range(256)) + b"\r\n--b--", [("a", None, None, bytes(range(256)))]),
    ("a file", file("f", "x.txt", b"abc") + b"--b--", [("f", "x.txt", "text/plain", b"abc")]),
    ("no file chosen", file("f", "", b"", kind="application/octet-stream") + b"--b--", [("f", "", "application/octet-stream", b"")]),
    ("no content type", b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n1\r\n--b--', [("f", "x", None, b"1")]),
    ("names of any case, other headers", b'--b\r\nX-Y: z\r\ncontent-TYPE:a/b \r\nCONTENT-disposition:FORM-data;NAME="a" ; FileName=n\r\n\r\n1\r\n--b--', [("a", "n", "a/b", b"1")]),
    ("tokens", b"--b\r\nContent-Disposition: form-data; name=a; filename=x.txt\r\n\r\n1\r\n--b--", [("a", "x.txt", None, b"1")]),
)

# (what, bytes): malformed, refused as soon as it is seen
BAD: "tuple[tuple[str, bytes], ...]" = (
    ("text behind a delimiter", field("a", b"1").replace(b"--b", b"--bc") + b"--b--"),
    ("text behind the second delimiter", field("a", b"1") + b"--bx\r\n\r\n"),
    ("one dash behind a delimiter", field("a", b"1") + b"--b-\r\nx: y\r\n\r\n"),
    ("no disposition", b"--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--"),
    ("no headers", b"--b\r\n\r\n1\r\n--b--"),
    ("no name (RFC 7578 4.2)", b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--"),
    ("no name but a file name", b'--b\r\nContent-Disposition: form-data; filename="x"\r\n\r\n1\r\n--b--'),
    ("another disposition", b'--b\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--b--'),
    ("no disposition type", b'--b\r\nContent-Disposition: name="a"\r\n\r\n1\r\n--b--'),
    ("a header without a colon", b'--b\r\nContent-Disposition form-data; name="a"\r\n\r\n1\r\n--b--'),
    ("a long header", b'--b\r\nX: ' + b"x" * 2100 + b"\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--"),
    ("an endless header", b"--b\r\nX: " + b"x" * 2100),
    ("a file name that is no UTF-8", b"--b\r\nContent-Disposition: form-data; name=a; filename*=UTF-8''%ff\r\n\r\n1\r\n--b--"),
    ("a file name that is no percent-encoding", b"--b\r\nContent-Disposition: form-data; name=a; filename*=UTF-8''%zz\r\n\r\n"),
)

# (what, bytes): nothing wrong yet, and no end: the iterator answers 400 when no more comes
UNFINISHED: "tuple[tuple[str, bytes], ...]" = (
    ("nothing", b""),
    ("no boundary at all (A1)", b"abc"),
    ("another boundary", field("a", b"1", "c") + b"--c--"),
    ("line feeds only", (field("a", b"1") + b"--b--").replace(b"\r\n", b"\n")),
    ("a delimiter and nothing more", b"--b"),
    ("within the head", A[:20]),
    ("within the content", A + b"12"),
    ("within the delimiter", A + b"12\r\n-"),
    ("one dash short of the end", A + b"12\r\n--b-"),
)

# (value, parameters): RFC 9110 5.6.6 and what clients send
OPTIONS: "tuple[tuple[str, dict[str, str]], ...]" = (
    ("multipart/form-data; boundary=abc", {"boundary": "abc"}),
    ("Multipart/Form-Data;Boundary=aBc", {"boundary": "aBc"}),
    ("multipart/form-data; charset=utf-8; boundary=abc; x=y", {"boundary": "abc", "charset": "utf-8"}),
    ('multipart/form-data; boundary="a b;c"', {"boundary": "a b;c"}),
    ('multipart/form-data; boundary = "a=b" ; x', {"boundary": "a=b"}),
    ("multipart/form-data; boundary='()+_,-./:=?", {"boundary": "'()+_,-./:=?"}),
    ('form-data; name="a;b"; filename="c;d.txt"', {"name": "a;b", "filename": "c;d.txt"}),
    ('form-data; name="a\\"b"; filename="c\\\\d"', {"name": 'a"b', "filename": "c\\d"}),
    ('form-data; name="a%22b"', {"name": 'a"b'}),
    ('form-data; filename="C:\\dir\\new.txt"', {"filename": "C:\\dir\\new.txt"}),
    ('form-data; name=" a "; filename=""', {"name": " a ", "filename": ""}),
    ('form-data; filename="\u044f \u20ac.txt"', {"filename": "\u044f \u20ac.txt"}),
    ('form-data;;; name="a";', {"name": "a"}),
    ('form-data; name="a=b"', {"name": "a=b"}),
)

# (as sent, as kept): a name from a client never leads out of a folder
NAMES = (
    ("a.txt", "a.txt"),
    ("", ""),
    ("\u044f \u20ac;\"'.txt", "\u044f \u20ac;\"'.txt"),
    (".hidden", ".hidden"),
    ("a..b", "a..b"),
    ("../a.txt", "a.txt"),
    ("../../etc/passwd", "passwd"),
    ("/etc/passwd", "passwd"),
    ("..\\..\\a.txt", "a.txt"),
    ("C:\\dir\\a.txt", "a.txt"),
    ("C:a.txt", "a.txt"),
    ("\\\\host\\share\\a.txt", "a.txt"),
    ("a.txt:stream", "stream"),
    ("a.txt\0.png", ".png"),
    ("..", "_"),
    (".", "_"),
    ("...", "_"),
    (". .", "_"),
    ("../", "_"),
    ("/", "_"),
    ("a/..", "_"),
    ("..\\", "_"),
    ("con. ", "con"),
    ("\0", "_"),
)


def test_parser_takes_good_forms_in_every_cut() -> None:
    for what, data, expected in GOOD:
        for size in range(1, 9):
            assert parts(data, size) == expected, (what, size, parts(data, size))
        for size in (64, 255, 256, 257, 4096):
            assert parts(data, size) == expected, (what, size)


def test_parser_takes_good_forms_cut_in_two_anywhere() -> None:
    for what, data, expected in GOOD:
        for at in range(1, len(data)):
            parser = parse_form(b"b")
            rest = [data[at:], data[:at]]
            found: "list[Any]" = []
            more = None
            while True:
                event = parser.send(more)  # type: ignore[arg-type]
                more = None
                if event == ():
                    break
                if event is None:
                    more = rest.pop()
                elif isinstance(event, tuple):
                    found.append(event + (b"",))
                elif found:
                    found[-1] = found[-1][:3] + (found[-1][3] + event,)
            assert found == expected, (what, at, found)


def test_parser_refuses_what_is_malformed() -> None:
    for what, data in BAD:
        for size in (1, 2, 7, 100, 5000):
            try:
                found = events(data, size)
            except ValueError:
                continue
            raise AssertionError((what, size, found))


def test_parser_waits_for_the_end() -> None:
    for what, data in UNFINISHED:
        for size in (1, 2, 7, 5000):
            assert () not in events(data, size), (what, size)


def test_parser_stays_at_the_end() -> None:
    parser = parse_form(b"b")
    assert parser.send(None) is None  # type: ignore[arg-type]
    assert parser.send(b"--b--\r\n") == b""
    for _ in range(3):
        assert parser.send(None) == ()  # type: ignore[arg-type]


def test_parser_holds_a_constant_amount() -> None:
    # What it gives back for each piece is that piece, give or take a delimiter.
    parser = parse_form(b"boundary")
    head = field("a", b"", "boundary")[:-2]
    more: "Any" = None
    out = 0
    pieces = [head] + [b"\r\n--boundar" * 20] * 50
    held = 0
    for piece in pieces:
        event = parser.send(more)
        while event is not None:
            out += len(event) if isinstance(event, bytes) else 0
            event = parser.send(None)  # type: ignore[arg-type]
        more = piece
        held = max(held, len(pieces[1]) * (pieces.index(piece)) - out) if out else held
    assert out >= 48 * 220, out


def test_no_file_size_loses_data() -> None:
    # Section 21 A2, RELIABILITY I7: sizes around every multiple of a block, and a field behind.
    for size in range(0, 1100):
        data = field("x", b"1", "boundary") + file("f", "n", b"z" * size, "boundary") + field("y", b"2", "boundary") + b"--boundary--"
        got = parts(data, 256, b"boundary")
        assert [len(part[3]) for part in got] == [1, size, 1], size
        assert got[1][3] == b"z" * size, size


def test_options() -> None:
    for value, expected in OPTIONS:
        found = parse_options(value)
        for name in expected:
            assert found.get(name) == expected[name], (value, found)
        assert value.split(";")[0].strip().lower() in found, found


def test_names_stay_in_the_folder() -> None:
    for sent, kept in NAMES:
        assert safe_name(sent) == kept, (sent, safe_name(sent))
        for c in "/\\:\0":
            assert c not in safe_name(sent), sent


def app_of(**settings: "Any") -> Microdot:
    """Return an application with routes for forms; `settings` are attributes of FormDataIter for the iterating one."""
    app = Microdot()

    @app.route("/form", methods=["GET", "POST"])
    @with_form_data
    async def form(request: Request) -> "Any":
        if request.form is None:
            return {"form": None, "files": request.files}
        sizes: "dict[str, Any]" = {}
        for name in request.files:
            sizes[name] = []
            if CPYTHON:
                assert request.files.getlist(name) == request.form_data.getlist(name)
            for upload in request.form_data.getlist(name):
                sizes[name].append([upload.filename, len(await upload.read())])
        lists = {}
        for name in request.form:
            lists[name] = request.form_data.getlist(name)
            if CPYTHON:
                assert request.form.getlist(name) == lists[name]
        return {"form": dict(request.form), "files": sizes, "lists": lists}

    @app.post("/plain")
    @with_form_data
    def plain(request: Request) -> "Any":
        return request.form

    @app.post("/iterate")
    async def iterate(request: Request) -> "Any":
        found: "list[Any]" = []
        iterator = FormDataIter(request)
        for name in settings:
            setattr(iterator, name, settings[name])
        async for name, value in iterator:
            if isinstance(value, str):
                found.append([name, value])
            else:
                start = await value.read(4)
                found.append([name, value.filename, value.content_type, start.decode()])
        return found

    return app


async def post(app: Microdot, path: str, body: bytes, kind: str = "multipart/form-data; boundary=b") -> "TestResponse":
    return await TestClient(app).post(path, headers={"Content-Type": kind}, body=body)


async def test_two_fields() -> None:
    for path in ("/plain", "/form"):
        response = await post(app_of(), path, field("foo", b"bar") + field("baz", b"baz") + b"--b--")
        assert response.status_code == 200
        assert response.json is not None
        assert (response.json if path == "/plain" else response.json["form"]) == {"foo": "bar", "baz": "baz"}, path


async def test_repeated_fields_and_files() -> None:
    body = field("a", b"1") + file("f", "x", b"one") + field("a", b"2") + file("f", "y", b"two2") + b"--b--"
    response = await post(app_of(), "/form", body)
    assert response.json == {"form": {"a": "2"}, "files": {"f": [["x", 3], ["y", 4]]}, "lists": {"a": ["1", "2"]}}


async def test_what_is_no_multipart_form() -> None:
    app = app_of()
    response = await TestClient(app).get("/form")
    assert response.json == {"form": None, "files": None}
    for kind in ("application/json", "text/plain", "multipart/mixed; boundary=b", "multipart/form-data", "multipart/form-data; boundary="):
        response = await post(app, "/form", b"{}", kind)
        assert response.json == {"form": None, "files": None}, (kind, response.text)
    # The form of another kind stays as it was.
    response = await post(app, "/plain", b"a=1", "application/x-www-form-urlencoded")
    assert response.json == {"a": ["1"]}
    response = await post(app, "/form", b"--b--")
    assert response.json == {"form": None, "files": None}


async def test_content_types() -> None:
    # RELIABILITY I6: quoted, without a blank, other parameters, any case.
    for kind in (
        'multipart/form-data; boundary="b"',
        "multipart/form-data;boundary=b",
        "multipart/form-data; charset=utf-8; boundary=b",
        "multipart/form-data; boundary=b; charset=utf-8",
        "Multipart/Form-Data; BOUNDARY=b",
    ):
        response = await post(app_of(), "/plain", field("a", b"1") + b"--b--", kind)
        assert response.json == {"a": "1"}, (kind, response.text)


async def test_unread_files_are_skipped() -> None:
    body = file("f", "x", b"1234" + b"x" * 496) + field("a", b"1") + file("g", "y", b"12") + b"--b--"
    response = await post(app_of(), "/iterate", body)
    assert response.json == [["f", "x", "text/plain", "1234"], ["a", "1"], ["g", "y", "text/plain", "12"]]


async def test_malformed_and_truncated_forms_are_answered_400() -> None:
    # Section 21 A1, A3, RELIABILITY I8: in bounded time, whatever the body is.
    app = app_of()
    for what, data in BAD + UNFINISHED:
        for path in ("/plain", "/iterate"):
            if data:
                response = await asyncio.wait_for(post(app, path, data), 5)
                assert response.status_code == 400, (what, path, response.status_code, response.text)
    whole = field("a", b"1") + file("f", "x", b"123") + b"--b--"
    for at in range(1, len(whole)):
        response = await asyncio.wait_for(post(app, "/plain", whole[:at]), 5)
        assert response.status_code == 400, at
    response = await post(app, "/plain", field("a", b"\xff") + b"--b--")
    assert response.status_code == 400


async def test_limits() -> None:
    body = field("a", b"12345") + file("f", "x", b"1" * 50) + field("b", b"12345") + b"--b--"
    # (settings, status)
    for settings, status in (
        ({}, 200),
        ({"max_parts": 3}, 200),
        ({"max_parts": 2}, 413),
        ({"max_parts": 1}, 413),
        ({"max_parts": 0}, 413),
        ({"max_field": 5}, 200),
        ({"max_field": 4}, 413),
        ({"max_form": 13}, 200),  # three names of one byte each
        ({"max_form": 12}, 413),
        ({"max_form": 2}, 413),
        ({"max_form": 0}, 413),
        ({"max_field": 5, "max_form": 13, "max_parts": 3}, 200),
    ):
        response = await post(app_of(**settings), "/iterate", body)
        assert response.status_code == status, (settings, response.status_code)
    # The headers of a part, and the whole body.
    for size, status in ((1900, 200), (2048, 400)):
        response = await post(app_of(), "/iterate", file("f", "x" * size, b"1") + b"--b--")
        assert response.status_code == status, size
    response = await post(app_of(), "/iterate", file("f", "x", b"1" * Request.max_content_length) + b"--b--")
    assert response.status_code == 413


def upload_of(data: bytes, size: int) -> "tuple[FormDataIter, AsyncBytesIO]":
    """Return an iterator over a form, whose bytes come in pieces of `size`."""
    stream = AsyncBytesIO(data)
    request = Request(Microdot(), None, "POST", "/", "1.1", {"Content-Type": "multipart/form-data; boundary=b"}, stream=stream)
    request.stream = stream
    iterator = FormDataIter(request)
    iterator.buffer_size = size
    return iterator, stream


async def first_file(data: bytes, size: int = 10) -> FileUpload:
    iterator, _ = upload_of(data, size)
    return (await iterator.__anext__())[1]  # type: ignore[no-any-return]


CONTENT = bytes([i * 7 % 251 for i in range(3000)])
WHOLE = file("f", "x.bin", CONTENT) + b"--b--"


async def test_read_gives_what_is_asked_for() -> None:
    for size in (1, 10, 256, 5000):
        upload = await first_file(WHOLE, size)
        assert await upload.read(0) == b""
        assert await upload.read(1) == CONTENT[:1]
        assert await upload.read(700) == CONTENT[1:701]
        assert await upload.read() == CONTENT[701:]
        assert await upload.read() == b""
        assert await upload.read(5) == b""


async def test_an_upload_ends_with_the_next_step() -> None:
    iterator, _ = upload_of(file("f", "x", b"1" * 500) + field("a", b"2" * 50) + b"--b--", 20)
    _, upload = await iterator.__anext__()
    assert await upload.read(3) == b"111"
    assert await iterator.__anext__() == ("a", "2" * 50)
    rest = await upload.read()  # never what belongs to another part
    assert rest == b"1" * len(rest)
    for _ in range(2):
        try:
            await iterator.__anext__()
        except StopAsyncIteration:
            continue
        raise AssertionError("it goes on")


def listing(folder: str) -> "list[str]":
    return sorted(os.listdir(folder))


def make_folder() -> str:
    """Make an empty folder; remove it with `remove_folder()`."""
    name = "multipart-%d" % free_port()
    os.mkdir(name)
    return name


def remove_folder(folder: str) -> None:
    for name in os.listdir(folder):
        os.remove(folder + "/" + name)
    os.rmdir(folder)


async def test_save_by_path_and_to_an_open_file() -> None:
    folder = make_folder()
    try:
        upload = await first_file(WHOLE)
        assert await upload.save(folder + "/" + upload.filename) == folder + "/x.bin"
        with open(folder + "/x.bin", "rb") as saved:
            assert saved.read() == CONTENT
        assert listing(folder) == ["x.bin"]
        # In place of an older one.
        await (await first_file(file("f", "x", b"new") + b"--b--")).save(folder + "/x.bin")
        with open(folder + "/x.bin", "rb") as saved:
            assert saved.read() == b"new"
        # An open file stays open; what was read before is not in it.
        upload = await first_file(WHOLE)
        await upload.read(1000)
        with open(folder + "/y.bin", "wb") as target:
            await upload.save(target)
            target.write(b"!")
        with open(folder + "/y.bin", "rb") as saved:
            assert saved.read() == CONTENT[1000:] + b"!"
        # A folder alone: a name of its own.
        name = await (await first_file(WHOLE)).save(folder + "/")
        assert name and name[: len(folder) + 1] == folder + "/"
        with open(name, "rb") as saved:
            assert saved.read() == CONTENT
        assert len(listing(folder)) == 3
    finally:
        remove_folder(folder)


async def test_nothing_stays_behind_when_an_upload_breaks_off() -> None:
    folder = make_folder()
    try:
        with open(folder + "/x", "wb") as older:
            older.write(b"older")
        for end in (60, 100, 500, len(WHOLE) - 3):
            upload = await first_file(WHOLE[:end] if end > 90 else WHOLE[:95])
            try:
                await upload.save(folder + "/x")
            except HTTPException as exc:
                assert exc.status_code == 400
            else:
                raise AssertionError(end)
            assert listing(folder) == ["x"], end
            with open(folder + "/x", "rb") as kept:
                assert kept.read() == b"older"
    finally:
        remove_folder(folder)


async def test_nothing_stays_behind_when_saving_is_cancelled() -> None:
    folder = make_folder()

    class Slow:
        """A client that sends one piece and then nothing."""

        sent = False

        async def read(self, n: int = -1) -> bytes:
            if self.sent:
                await asyncio.sleep(10)
            self.sent = True
            return WHOLE[:500]

    try:
        iterator, _ = upload_of(b"", 500)
        iterator.request.stream = Slow()
        _, upload = await iterator.__anext__()
        task = asyncio.create_task(upload.save(folder + "/x"))
        await asyncio.sleep(0.05)
        assert len(listing(folder)) == 1
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        assert listing(folder) == []
    finally:
        remove_folder(folder)


async def test_a_missing_folder_is_an_error() -> None:
    upload = await first_file(WHOLE)
    try:
        await upload.save("no-such-folder/x")
    except OSError:
        return
    raise AssertionError("saved")


async def test_copy_outlives_the_next_step() -> None:
    folder = make_folder()
    before = FileUpload.folder
    FileUpload.folder = folder + "/"
    try:
        for limit, kept in ((10000, 0), (3001, 0), (3000, 1), (5, 1), (0, 1)):
            iterator, _ = upload_of(file("f", "x", CONTENT) + field("a", b"1") + b"--b--", 100)
            _, upload = await iterator.__anext__()
            assert await upload.copy(limit) is upload
            assert len(listing(folder)) == kept, limit
            assert await iterator.__anext__() == ("a", "1")
            assert await upload.read(7) == CONTENT[:7], limit
            assert await upload.read() == CONTENT[7:], limit
            await upload.close()
            await upload.close()
            assert listing(folder) == [], limit
        # The attribute is the default.
        limit = FileUpload.max_memory_size
        upload = await (await first_file(file("f", "x", b"1" * (limit - 1)) + b"--b--")).copy()
        assert listing(folder) == []
        upload = await (await first_file(file("f", "x", b"1" * limit) + b"--b--")).copy()
        assert len(listing(folder)) == 1
        # A copy can be saved, and is gone then only when closed.
        await upload.save(folder + "/saved")
        await upload.close()
        assert listing(folder) == ["saved"]
    finally:
        FileUpload.folder = before
        remove_folder(folder)


async def test_a_copy_that_cannot_be_opened_is_removed() -> None:
    folder = make_folder()
    before, memory = FileUpload.folder, FileUpload.max_memory_size
    FileUpload.folder = folder + "/"

    def open_to_write(name: str, mode: str) -> "Any":
        if mode == "rb":
            raise OSError(24)  # EMFILE: too many open files
        return open(name, mode)

    multipart.open = open_to_write  # type: ignore[attr-defined]
    try:
        upload = await first_file(WHOLE)
        await raised_async(OSError, upload.copy(0))
        assert len(listing(folder)) == 1
        await upload.close()
        assert listing(folder) == []
        FileUpload.max_memory_size = 1024
        response = await post(app_of(), "/plain", WHOLE)
        assert (response.status_code, listing(folder)) == (500, [])
    finally:
        del multipart.open  # type: ignore[attr-defined]
        FileUpload.folder, FileUpload.max_memory_size = before, memory
        remove_folder(folder)


async def test_with_form_data_leaves_no_temporary_file() -> None:
    # Section 21 B13, RELIABILITY I12: also when the form breaks off after a file, or the handler fails.
    folder = make_folder()
    before, memory = FileUpload.folder, FileUpload.max_memory_size
    FileUpload.folder = folder + "/"
    FileUpload.max_memory_size = 1024
    app = Microdot()
    seen = []

    @app.post("/")
    @with_form_data
    async def handler(request: Request) -> str:
        seen.append(len(listing(folder)))
        if "fail" in request.form:
            raise RuntimeError
        return "ok"

    try:
        two = file("f", "x", b"1" * 2000) + file("f", "y", b"2" * 2000)
        for body, status in (
            (two + b"--b--", 200),
            (two + field("fail", b"") + b"--b--", 500),
            (two + b"--bx\r\n\r\n", 400),
            (two[:-10], 400),
        ):
            response = await post(app, "/", body)
            assert response.status_code == status
            assert listing(folder) == [], status
        assert seen == [2, 2]
    finally:
        FileUpload.folder, FileUpload.max_memory_size = before, memory
        remove_folder(folder)


async def test_contract_facts() -> None:
    # Contract 14.3: a mixed form with a memory limit of 5; 398 bytes with a buffer of 100 and a memory limit of 200;
    # `save()`; a handler that returns None.
    app = Microdot()
    memory, buffer = FileUpload.max_memory_size, FormDataIter.buffer_size

    @app.post("/mixed")
    @with_form_data
    async def mixed(request: Request) -> "Any":
        texts = {}
        for name in request.files:
            texts[name] = (await request.files[name].read()).decode()
        return [dict(request.form), texts]

    @app.post("/length")
    @with_form_data
    async def length(request: Request) -> str:
        return str(len(await request.files["f"].read()))

    @app.post("/save")
    @with_form_data
    async def save(request: Request) -> None:
        await request.files["f"].save("_x.txt")

    try:
        FileUpload.max_memory_size = 5
        body = field("foo", b"bar") + file("g", "g.txt", b"baz") + file("h", "h.txt", b"longer than five") + b"--b--"
        response = await post(app, "/mixed", body)
        assert response.json == [{"foo": "bar"}, {"g": "baz", "h": "longer than five"}], response.text
        FileUpload.max_memory_size = 200
        FormDataIter.buffer_size = 100
        response = await post(app, "/length", file("f", "x", b"x" * 398) + b"--b--")
        assert response.text == "398"
        response = await post(app, "/save", file("f", "x", b"saved") + b"--b--")
        assert response.status_code == 204
        with open("_x.txt") as saved:
            assert saved.read() == "saved"
        os.remove("_x.txt")
    finally:
        FileUpload.max_memory_size, FormDataIter.buffer_size = memory, buffer


async def test_a_file_with_a_reader_of_its_own() -> None:
    pieces = [b"", b"two", b"one"]

    async def read(n: int = -1) -> bytes:
        return pieces.pop()

    upload = FileUpload("x", None, read)
    assert upload.filename == "x" and upload.content_type is None
    assert await upload.read() == b"onetwo"


async def test_generators_of_plain_handlers_are_bodies() -> None:
    app = Microdot()

    @app.post("/")
    @with_form_data
    def handler(request: Request) -> "Any":
        def body() -> "Any":
            yield "a="
            yield text

        text = request.form["a"]
        return body()

    response = await post(app, "/", field("a", b"1") + b"--b--")
    assert response.text == "a=1", response.text


async def test_a_body_in_memory_is_made_no_stream() -> None:
    # A board would load three modules for that, 4 KB of heap.
    data = field("a", b"1") + file("f", "b.txt", b"2" * 1000) + b"--b--"
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(len(data))}
    request = Request(Microdot(), None, "POST", "/", "1.1", headers, body=data)
    request.stream = None
    for _ in range(2):  # and nothing of it is used up
        found = []
        async for name, value in FormDataIter(request):
            found.append((name, value if name == "a" else await value.read()))
        assert found == [("a", "1"), ("f", b"2" * 1000)]
    request = Request(Microdot(), None, "POST", "/", "1.1", headers, body=data[:-9])
    request.stream = None
    try:
        async for name, value in FormDataIter(request):
            await value.read() if name == "f" else None
        raise AssertionError
    except HTTPException as exc:
        assert exc.status_code == 400


async def test_path_arguments_reach_the_handler() -> None:
    app = Microdot()

    @app.post("/<int:n>/<name>")
    @with_form_data
    async def handler(request: Request, n: int, name: str) -> "Any":
        return [n, name, request.form["a"]]

    response = await post(app, "/5/x", field("a", b"1") + b"--b--")
    assert response.json == [5, "x", "1"]


def request_bytes(path: str, body: bytes, head: str = "Connection: close\r\n", length: int = -1) -> bytes:
    lines = "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n%s\r\n"
    return (lines % (path, len(body) if length < 0 else length, head)).encode() + body


async def test_native_server_streams_and_goes_on() -> None:
    app = app_of()
    most, loaded = Request.max_content_length, Request.max_body_length
    Request.max_content_length, Request.max_body_length = 100000, 0
    folder = make_folder()

    @app.post("/save")
    async def save(request: Request) -> str:
        async for _, value in FormDataIter(request):
            if not isinstance(value, str):
                await value.save(folder + "/" + value.filename)
        return "saved"

    try:
        async with Running(app) as server:
            content = CONTENT * 20
            form = field("a", b"1") + file("f", "../../big", content) + b"--b--\r\n"
            status, _, body = parse(await server.send(request_bytes("/save", form)))
            assert (status, body) == (200, b"saved")
            assert listing(folder) == ["big"]
            with open(folder + "/big", "rb") as saved:
                assert saved.read() == content
            os.remove(folder + "/big")
            # Two on one connection: what follows the form is in nobody's way.
            data = await server.send(request_bytes("/plain", field("a", b"1") + b"--b--\r\n", "") + request_bytes("/plain", field("a", b"2") + b"--b--"))
            assert b'{"a": "1"}' in data and b'{"a": "2"}' in data, data
            # The client goes in the middle of a file: nothing of it stays, and others are served.
            connection = await server.connect()
            await connection.send(request_bytes("/save", form)[:20000])
            for _ in range(100):
                await asyncio.sleep(0.02)
                if listing(folder):
                    break
            assert len(listing(folder)) == 1
            await connection.close()
            for _ in range(100):
                await asyncio.sleep(0.02)
                if not listing(folder):
                    break
            assert listing(folder) == []
            # A form that never ends is answered when the body ends, and keeps nobody waiting.
            for what, bad in UNFINISHED[1:]:
                status, _, _ = parse(await server.send(request_bytes("/plain", bad)))
                assert status == 400, what
    finally:
        Request.max_content_length, Request.max_body_length = most, loaded
        remove_folder(folder)


def test_the_decorator_keeps_names() -> None:
    if CPYTHON:  # functions of boards have no attributes

        @with_form_data
        def handler(request: Request) -> str:
            """Say hello."""
            return "hello"

        assert handler.__name__ == "handler" and handler.__doc__ == "Say hello."
