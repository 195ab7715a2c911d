"""microdot-static: conditional and range requests row by row, paths that lead nowhere, codings, caching, folders.

Portable: CPython and MicroPython.
"""

import os
import time

from microdot import Microdot
from microdot.http import date as http_date
from microdot.static import Static, when
from microdot.test_client import TestClient
from support.checks import CPYTHON
from support.loopback import Running, free_port, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from microdot import Request
    from microdot.test_client import TestResponse

DATA = bytes([i % 251 for i in range(1000)])
FILES = {
    "index.html": b"<h1>index</h1>",
    "app.js": b"let plain",
    "app.js.gz": b"gz of app.js",
    "app.js.br": b"br of app.js",
    "only.css.gz": b"gz of only.css",
    "data.bin": DATA,
    "empty.txt": b"",
    "noext": b"?",
    "UPPER.HTML": b"upper",
    "a b+c.txt": b"blanks",
    "\u044f.txt": b"cyrillic",
    "app.v-5d41402a.js": b"hashed",
    "sub/index.html": b"sub index",
    "sub/page.html": b"sub page",
    "bare/file.txt": b"in a folder without an index",
    ".secret": b"secret",
    "sub/.secret": b"secret",
    "SECRET~1": b"secret",
}


class Folder:
    """A folder with the files above, and a file beside it that nobody may see, for the block."""

    def __init__(self) -> None:
        self.base = "static-%d" % free_port()
        self.path = self.base + "/web"

    def __enter__(self) -> "Folder":
        os.mkdir(self.base)
        os.mkdir(self.path)
        os.mkdir(self.path + "/sub")
        os.mkdir(self.path + "/bare")
        with open(self.base + "/outside.txt", "wb") as file:
            file.write(b"secret")
        for name in FILES:
            with open(self.path + "/" + name, "wb") as file:
                file.write(FILES[name])
        return self

    def __exit__(self, *exc: object) -> None:
        remove(self.base)


def remove(path: str) -> None:
    """Remove a file or a folder with all that is in it."""
    if os.stat(path)[0] & 0x4000:
        for name in os.listdir(path):
            remove(path + "/" + name)
        os.rmdir(path)
    else:
        os.remove(path)


async def get(app: Microdot, path: str, headers: "dict[str, str] | None" = None, method: str = "GET") -> "TestResponse":
    return await TestClient(app).request(method, path, headers)


def app_of(folder: Folder, prefix: str = "/assets", **settings: "Any") -> Microdot:
    app = Microdot()
    Static(app, prefix, folder.path, **settings)
    return app


# (path below the prefix, file, media type)
SERVED = (
    ("/index.html", "index.html", "text/html"),
    ("/", "index.html", "text/html"),
    ("/app.js", "app.js", "application/javascript"),
    ("/data.bin", "data.bin", "application/octet-stream"),
    ("/empty.txt", "empty.txt", "text/plain"),
    ("/UPPER.HTML", "UPPER.HTML", "text/html"),
    ("/a%20b+c.txt", "a b+c.txt", "text/plain"),
    ("/%d1%8f.txt", "\u044f.txt", "text/plain"),
    ("/%64ata.bin", "data.bin", "application/octet-stream"),
    ("/sub/", "sub/index.html", "text/html"),
    ("/sub/page.html", "sub/page.html", "text/html"),
    ("/sub%2fpage.html", "sub/page.html", "text/html"),
    ("/index.html?a=b", "index.html", "text/html"),
)


async def test_files() -> None:
    with Folder() as folder:
        app = app_of(folder)
        for path, name, kind in SERVED:
            response = await get(app, "/assets" + path)
            assert response.status_code == 200, (path, response.status_code)
            assert response.body == FILES[name], path
            assert response.headers["Content-Type"] == kind + ("; charset=UTF-8" if kind[:5] == "text/" else ""), path
            assert response.headers["Accept-Ranges"] == "bytes", path
            assert response.headers["Content-Length"] == str(len(FILES[name])), path
            assert "ETag" in response.headers and "Last-Modified" in response.headers
            head = await get(app, "/assets" + path, method="HEAD")
            assert head.status_code == 200 and head.body is None
            for header in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Vary"):
                assert head.headers[header] == response.headers[header], (path, header)


async def test_prefixes_and_other_routes() -> None:
    with Folder() as folder:
        app = Microdot()

        @app.get("/api")
        async def api(request: "Request") -> str:
            return "api"

        Static(app, "/deep/er", folder.path + "/sub")
        app.install(Static(None, "", folder.path))  # the root last: it takes every path
        assert (await get(app, "/api")).text == "api"
        assert (await get(app, "/")).body == FILES["index.html"]
        assert (await get(app, "/sub/page.html")).body == FILES["sub/page.html"]
        assert (await get(app, "/deep/er/page.html")).body == FILES["sub/page.html"]
        assert (await get(app, "/app.js", method="POST")).status_code == 405
        assert (await get(app, "/deep/er/app.js")).status_code == 404
        assert (await get(app, "/deep/er/index.html")).body == FILES["sub/index.html"]


async def test_mounted() -> None:
    with Folder() as folder:
        sub = Microdot()
        Static(sub, "/files", folder.path)
        app = Microdot()
        app.mount(sub, url_prefix="/sub")
        assert (await get(app, "/sub/files/data.bin")).body == DATA
        response = await get(app, "/sub/files/sub")
        assert response.status_code == 301 and response.headers["Location"] == "./sub/"
        assert (await get(app, "/files/data.bin")).status_code == 404


async def test_folders_are_redirected_to_their_index() -> None:
    with Folder() as folder:
        app = app_of(folder)
        response = await get(app, "/assets/sub")
        # From where the client sees it, whatever a proxy has taken off the path, and never to another host.
        assert response.status_code == 301 and response.headers["Location"] == "./sub/"
        assert (await get(app, "/assets/sub?a=/b")).headers["Location"] in ("./sub/", "./sub/?a=/b")  # boards drop the query
        assert (await get(app, "/assets/bare/")).status_code == 404
        assert (await get(app, "/assets/bare/file.txt")).status_code == 200


HOSTILE = (
    # plain and encoded, once and twice, in either case
    "../outside.txt", "../../etc/passwd", "sub/../../outside.txt", "sub/../index.html", "./index.html", "sub/./page.html",
    "..", "sub/..", "sub/.", ".", "...", "%2e%2e/outside.txt", "%2E%2E/outside.txt", "%2e./outside.txt", ".%2e/outside.txt",
    "%2e%2e%2foutside.txt", "%2E%2E%2Foutside.txt", "..%2foutside.txt", "..%2Foutside.txt", "sub%2f..%2f..%2foutside.txt",
    "%252e%252e/outside.txt", "%252e%252e%252foutside.txt", "..%252foutside.txt", "%25252e%25252e/outside.txt",
    "....//outside.txt", "..;/outside.txt", "..%00/outside.txt", "..%0d%0a/outside.txt",
    # backslashes
    "..\\outside.txt", "..%5coutside.txt", "..%5Coutside.txt", "%2e%2e%5coutside.txt", "sub\\page.html", "sub%5cpage.html",
    "sub/..\\..\\outside.txt", "\\..\\outside.txt", "%5c..%5coutside.txt", "..\\/outside.txt", "..%255coutside.txt",
    # NUL and other controls
    "index.html%00", "index.html%00.png", "%00", "%00/index.html", "index%00.html", "outside.txt%00.js", "index.html%0a", "index.html%0d",
    # absolute, doubled slashes, drives, streams
    "/etc/passwd", "//etc/passwd", "%2fetc/passwd", "%2Fetc%2Fpasswd", "/index.html", "sub//page.html", "%2f%2fhost/share",
    "\\\\host\\share\\x", "C:/Windows/win.ini", "C:%5CWindows%5Cwin.ini", "c%3a/windows/win.ini", "index.html::$DATA", "index.html:x",
    "file:///etc/passwd", "http://example.com/index.html",
    # overlong and broken encodings
    "%c0%ae%c0%ae/outside.txt", "%c0%af../outside.txt", "..%c0%afoutside.txt", "%e0%80%ae%e0%80%ae/outside.txt", "..%c1%9coutside.txt",
    "%uff0e%uff0e/outside.txt", "%zz/index.html", "%e", "%ff", "%ed%a0%80",
    # full-width characters that some systems turn into ASCII
    "%ef%bc%8e%ef%bc%8e/outside.txt", "..%ef%bc%8foutside.txt",
    # dotted names, what systems drop from the end of a name, other spellings
    ".secret", "sub/.secret", "%2esecret", ".secret%20", "sub/%2Esecret", "index.html.", "index.html..", "index.html%20", "index.html%20.",
    "sub./page.html", "sub%20/page.html", "index.html/", "index.html/..", "index.html/x", "data.bin/", "INDEX~1.HTM", "~/x", "~root", "SECRET~1", "SECRET%7e1",
    # long ones
    "a" * 900, "../" * 200 + "etc/passwd", "a/" * 400,
)


async def test_hostile_paths_are_refused() -> None:
    assert len(HOSTILE) >= 60, len(HOSTILE)
    with Folder() as folder:
        app = app_of(folder)
        # RELIABILITY I4: never out of the folder, and no 500.
        for path in HOSTILE:
            response = await get(app, "/assets/" + path)
            assert response.status_code == 404, (path, response.status_code)
            assert b"secret" not in (response.body or b""), path
        async with Running(app) as server:
            for i in range(0, len(HOSTILE), 7):
                path = HOSTILE[i]
                data = await server.send(("GET /assets/%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path).encode())
                status, _, body = parse(data)
                assert status in (400, 404) and b"secret" not in body, (path, status)


# (what, headers, status, what RFC 9110 says); {etag} and so on are filled in
CONDITIONS: "tuple[tuple[str, dict[str, str], int, str], ...]" = (
    ("nothing", {}, 200, "13.2.1"),
    ("the same tag", {"If-None-Match": "{etag}"}, 304, "13.1.2"),
    ("another tag", {"If-None-Match": '"x"'}, 200, "13.1.2"),
    ("a list with it", {"If-None-Match": '"x", {etag}, "y"'}, 304, "13.1.2"),
    ("a list without it", {"If-None-Match": '"x","y"'}, 200, "13.1.2"),
    ("a weak one: weak comparison", {"If-None-Match": "W/{etag}"}, 304, "13.1.2, 8.8.3.2"),
    ("any", {"If-None-Match": "*"}, 304, "13.1.2"),
    ("a part of it", {"If-None-Match": '"{etag:3}"'}, 200, "13.1.2"),
    ("the same date", {"If-Modified-Since": "{date}"}, 304, "13.1.3"),
    ("an earlier date", {"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 200, "13.1.3"),
    ("no date", {"If-Modified-Since": "yesterday"}, 200, "13.1.3: ignored"),
    ("an empty date", {"If-Modified-Since": ""}, 200, "13.1.3: ignored"),
    ("another tag with the same date", {"If-None-Match": '"x"', "If-Modified-Since": "{date}"}, 200, "13.1.3: the date is ignored"),
    ("the same tag with an earlier date", {"If-None-Match": "{etag}", "If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 304, "13.1.3"),
    ("the same tag with a range", {"If-None-Match": "{etag}", "Range": "bytes=0-1"}, 304, "13.2.2: before the range"),
    ("a later date", {"If-Modified-Since": "{later}"}, 304, "13.1.3"),
    ("If-Match with it", {"If-Match": '"x", {etag}'}, 200, "13.1.1"),
    ("If-Match: any", {"If-Match": "*"}, 200, "13.1.1"),
    ("If-Match without it", {"If-Match": '"x"'}, 412, "13.1.1"),
    ("If-Match with a weak one: strong comparison", {"If-Match": "W/{etag}"}, 412, "13.1.1, 8.8.3.2"),
    ("If-Match before If-None-Match", {"If-Match": '"x"', "If-None-Match": "{etag}"}, 412, "13.2.2"),
    ("If-Match with it, then If-None-Match with it", {"If-Match": "{etag}", "If-None-Match": "{etag}"}, 304, "13.2.2"),
    ("unmodified since then", {"If-Unmodified-Since": "{date}"}, 200, "13.1.4"),
    ("unmodified since later", {"If-Unmodified-Since": "{later}"}, 200, "13.1.4"),
    ("modified since then", {"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 412, "13.1.4"),
    ("no date", {"If-Unmodified-Since": "x"}, 200, "13.1.4: ignored"),
    ("an empty date", {"If-Unmodified-Since": ""}, 200, "13.1.4: ignored"),
    ("If-Match, so the date does not count", {"If-Match": "{etag}", "If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 200, "13.1.4"),
    ("unmodified since then, and known", {"If-Unmodified-Since": "{date}", "If-None-Match": "{etag}"}, 304, "13.2.2"),
    ("If-Match without it, with a range", {"If-Match": '"x"', "Range": "bytes=0-1"}, 412, "13.2.2"),
    ("modified since then, with a range", {"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT", "Range": "bytes=0-1"}, 412, "13.2.2"),
)
# The two old forms of dates, which boards take for none.
SERVER_CONDITIONS = (
    ("an earlier date of RFC 850", {"If-Modified-Since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 200, "5.6.7"),
    ("a later date of asctime()", {"If-Modified-Since": "Sat Nov  6 08:49:37 2094"}, 304, "5.6.7"),
    ("modified since one of RFC 850", {"If-Unmodified-Since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 412, "5.6.7"),
    ("modified since one of asctime()", {"If-Unmodified-Since": "Sun Nov  6 08:49:37 1994"}, 412, "5.6.7"),
    ("no such day", {"If-Unmodified-Since": "Sunday, 31-Nov-94 08:49:37 GMT"}, 200, "13.1.4: ignored"),
    ("a date of mail", {"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 +0000"}, 200, "13.1.4: ignored"),
)

# (Range, If-Range, status, first, end); RFC 9110 14, on 1000 bytes
RANGES = (
    ("bytes=0-0", None, 206, 0, 1),
    ("bytes=0-499", None, 206, 0, 500),
    ("bytes=500-999", None, 206, 500, 1000),
    ("bytes=500-", None, 206, 500, 1000),
    ("bytes=999-", None, 206, 999, 1000),
    ("bytes=0-", None, 206, 0, 1000),
    ("bytes=0-5000", None, 206, 0, 1000),  # 14.1.2: a last position beyond the end is the end
    ("bytes=-1", None, 206, 999, 1000),
    ("bytes=-500", None, 206, 500, 1000),
    ("bytes=-1000", None, 206, 0, 1000),
    ("bytes=-5000", None, 206, 0, 1000),  # 14.1.2: the entire representation
    ("Bytes=0-1", None, 206, 0, 2),  # 14.1: unit names do not mind case
    ("bytes=1000-", None, 416, 0, 0),
    ("bytes=1000-1000", None, 416, 0, 0),
    ("bytes=5000-6000", None, 416, 0, 0),
    ("bytes=-0", None, 416, 0, 0),
    ("bytes=99999999999999999999-", None, 416, 0, 0),
    # 14.2: invalid or unknown ones are ignored, and several may be
    ("bytes=5-2", None, 200, 0, 1000),
    ("bytes=", None, 200, 0, 1000),
    ("bytes=-", None, 200, 0, 1000),
    ("bytes=a-b", None, 200, 0, 1000),
    ("bytes=1", None, 200, 0, 1000),
    ("bytes=+1-2", None, 200, 0, 1000),
    ("bytes=1_0-20", None, 200, 0, 1000),
    ("bytes=--1", None, 200, 0, 1000),
    ("bytes=\u0661-\u0662", None, 200, 0, 1000),  # digits, but not of the grammar
    ("bytes=\xb2-", None, 200, 0, 1000),
    ("bytes=1-2-3", None, 200, 0, 1000),
    ("bytes=0-1,5-6", None, 200, 0, 1000),
    ("lines=0-1", None, 200, 0, 1000),
    ("bytes 0-1", None, 200, 0, 1000),
    ("0-1", None, 200, 0, 1000),
    ("", None, 200, 0, 1000),
    # 13.1.5
    ("bytes=0-1", "{etag}", 206, 0, 2),
    ("bytes=0-1", '"x"', 200, 0, 1000),
    ("bytes=0-1", "W/{etag}", 200, 0, 1000),
    ("bytes=0-1", "{date}", 206, 0, 2),
    ("bytes=0-1", "Sun, 06 Nov 1994 08:49:37 GMT", 200, 0, 1000),
    ("bytes=5000-", '"x"', 200, 0, 1000),
)


def filled(text: str, etag: str, date: str) -> str:
    later = http_date(time.gmtime(time.time() + 86400))
    return text.replace("{etag}", etag).replace("{date}", date).replace("{later}", later).replace("{etag:3}", etag[1:4])


async def test_conditional_requests() -> None:
    with Folder() as folder:
        app = app_of(folder)
        plain = await get(app, "/assets/data.bin")
        etag, date = plain.headers["ETag"], plain.headers["Last-Modified"]
        assert etag[0] == '"' and etag[-1] == '"'
        for what, headers, status, rule in CONDITIONS + (SERVER_CONDITIONS if CPYTHON else ()):
            sent = {}
            for name in headers:
                sent[name] = filled(headers[name], etag, date)
            for method in ("GET", "HEAD"):
                response = await get(app, "/assets/data.bin", sent, method)
                assert response.status_code == status, (what, method, rule, response.status_code)
                if method == "GET":
                    assert response.body == (DATA if status == 200 else b""), what
                    assert ("Content-Length" in response.headers) == (status != 304), what
                if status == 304:  # 15.4.5
                    for name in ("ETag", "Cache-Control", "Vary", "Last-Modified"):
                        assert response.headers[name] == plain.headers[name], (what, name)


async def test_ranges() -> None:
    with Folder() as folder:
        app = app_of(folder)
        plain = await get(app, "/assets/data.bin")
        etag, date = plain.headers["ETag"], plain.headers["Last-Modified"]
        for span, condition, status, first, end in RANGES:
            headers = {"Range": span}
            if condition:
                headers["If-Range"] = filled(condition, etag, date)
            response = await get(app, "/assets/data.bin", headers)
            what = (span, condition, response.status_code)
            assert response.status_code == status, what
            assert response.body == DATA[first:end], what
            if status == 206:  # 15.3.7
                assert response.headers["Content-Range"] == "bytes %d-%d/1000" % (first, end - 1), what
                assert response.headers["Content-Length"] == str(end - first), what
                assert response.headers["ETag"] == etag
            elif status == 416:  # 15.5.17
                assert response.headers["Content-Range"] == "bytes */1000", what
            else:
                assert "Content-Range" not in response.headers, what
            # 14.2: a range is for GET alone.
            head = await get(app, "/assets/data.bin", headers, "HEAD")
            assert head.status_code == 200 and head.headers["Content-Length"] == "1000", what
        # If-Range without Range says nothing.
        response = await get(app, "/assets/data.bin", {"If-Range": etag})
        assert response.status_code == 200
        # Nothing can be taken of nothing.
        for span in ("bytes=0-", "bytes=0-0", "bytes=-1"):
            assert (await get(app, "/assets/empty.txt", {"Range": span})).status_code == 416


# (Accept-Encoding, what is sent, its coding); 12.5.3
ENCODINGS = (
    (None, b"let plain", None),
    ("", b"let plain", None),
    ("identity", b"let plain", None),
    ("deflate", b"let plain", None),
    ("gzip", b"gz of app.js", "gzip"),
    ("gzip, deflate, br, zstd", b"br of app.js", "br"),
    ("br", b"br of app.js", "br"),
    ("deflate, gzip;q=1", b"gz of app.js", "gzip"),
    ("br;q=0, gzip", b"gz of app.js", "gzip"),
    ("gzip;q=0", b"let plain", None),
    ("gzip; q=0", b"let plain", None),
    ("gzip;q=0.000, br ; q=0", b"let plain", None),
    ("identity;q=1, *;q=0", b"let plain", None),
)


async def test_precompressed_files() -> None:
    with Folder() as folder:
        app = app_of(folder)
        tags = {}
        for accepted, body, coding in ENCODINGS:
            headers = {} if accepted is None else {"Accept-Encoding": accepted}
            response = await get(app, "/assets/app.js", headers)
            assert response.body == body, (accepted, response.body)
            assert response.headers.get("Content-Encoding") == coding, accepted
            assert response.headers["Content-Type"].split(";")[0] == "application/javascript"
            assert response.headers["Vary"] == "Accept-Encoding"
            tags[str(coding)] = response.headers["ETag"]
            # A tag belongs to one coding (8.8.3.3), and so does a range.
            headers["Range"] = "bytes=0-1"
            assert (await get(app, "/assets/app.js", headers)).body == body[:2]
        assert len(set(tags.values())) == 3, tags
        response = await get(app, "/assets/app.js", {"Accept-Encoding": "gzip", "If-None-Match": tags["br"]})
        assert response.status_code == 200
        # Where only the compressed file is kept, everybody gets that.
        for accepted in ("gzip", "br", "identity", ""):
            response = await get(app, "/assets/only.css", {"Accept-Encoding": accepted})
            assert response.body == b"gz of only.css" and response.headers["Content-Encoding"] == "gzip", accepted
            assert response.headers["Content-Type"].split(";")[0] == "text/css"
        # The compressed file itself is one too.
        response = await get(app, "/assets/app.js.gz")
        assert response.body == b"gz of app.js" and "Content-Encoding" not in response.headers


async def test_caching() -> None:
    with Folder() as folder:
        for settings, path, expected in (
            ({}, "index.html", "max-age=0"),
            ({"max_age": 60}, "index.html", "max-age=60"),
            ({"max_age": 60}, "app.v-5d41402a.js", "max-age=31536000"),
            ({"hashed": "/sub/"}, "sub/page.html", "max-age=31536000"),
            ({"hashed": "/sub/"}, "app.v-5d41402a.js", "max-age=0"),
        ):
            response = await get(app_of(folder, **settings), "/assets/" + path)
            assert response.headers["Cache-Control"].split(",")[0] == expected, (settings, path, response.headers)


async def test_fallback_for_single_page_apps() -> None:
    with Folder() as folder:
        app = app_of(folder, fallback="index.html")
        for path in ("users/5", "users/", "deep/er/down"):
            response = await get(app, "/assets/" + path)
            assert response.status_code == 200 and response.body == FILES["index.html"], path
            assert response.headers["Content-Type"].split(";")[0] == "text/html"
        for path in ("missing.js", "users/5.json", "../outside.txt"):
            assert (await get(app, "/assets/" + path)).status_code == 404, path
        assert (await get(app_of(folder), "/assets/users/5")).status_code == 404
        assert (await get(app_of(folder, index="page.html"), "/assets/sub/")).body == FILES["sub/page.html"]


async def test_a_changed_file_is_another() -> None:
    with Folder() as folder:
        app = app_of(folder)
        before = (await get(app, "/assets/index.html")).headers["ETag"]
        with open(folder.path + "/index.html", "wb") as file:
            file.write(b"<h1>longer than it was</h1>")
        response = await get(app, "/assets/index.html", {"If-None-Match": before})
        assert response.status_code == 200 and response.headers["ETag"] != before


def test_dates_are_in_order() -> None:
    # 5.6.7: the form that is sent today. What is no date comes before all.
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    dates = ["", "yesterday", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT and more"]
    dates += ["Thu, 31 Dec 1998 23:59:59 GMT"]
    dates += ["Mon, 28 %s 1999 00:00:00 GMT" % month for month in months]
    dates += ["Sat, 01 Jan 2000 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:01 GMT", "Sat, 01 Jan 2000 00:01:00 GMT"]
    dates += ["Sat, 01 Jan 2000 01:00:00 GMT", "Mon, 10 Jan 2000 00:00:00 GMT"]
    keys = [when(date) for date in dates]
    assert keys[:4] == [()] * 4
    for before, after in zip(keys[3:], keys[4:]):
        assert before < after, (before, after)


async def test_on_the_wire() -> None:
    with Folder() as folder:
        with open(folder.path + "/large.bin", "wb") as file:
            for _ in range(200):
                file.write(DATA)
        app = app_of(folder)
        async with Running(app) as server:
            status, headers, body = await server.get("/assets/large.bin")
            assert status == 200 and headers["Content-Length"] == "200000" and body == DATA * 200
            etag = headers["ETag"]
            status, headers, body = await server.get("/assets/large.bin", {"Range": "bytes=70000-170000"})
            assert status == 206 and body == (DATA * 200)[70000:170001]
            assert headers["Content-Range"] == "bytes 70000-170000/200000" and headers["Content-Length"] == "100001"
            status, headers, body = await server.get("/assets/large.bin", {"If-None-Match": etag})
            assert status == 304 and body == b"" and headers["ETag"] == etag and "Content-Length" not in headers
            status, headers, body = await server.get("/assets/large.bin", {"Range": "bytes=200000-"})
            assert status == 416 and body == b"" and headers["Content-Length"] == "0"
            status, headers, body = await server.get("/assets/large.bin", method="HEAD")
            assert status == 200 and body == b"" and headers["Content-Length"] == "200000"
            status, headers, body = await server.get("/assets/empty.txt")
            assert status == 200 and body == b"" and headers["Content-Length"] == "0"
            # All on one connection.
            connection = await server.connect()
            for head, length in (("GET", 1000), ("HEAD", 0)):
                await connection.send(("%s /assets/data.bin HTTP/1.1\r\nHost: a\r\n\r\n" % head).encode())
                answer = await connection.read_until(b"\r\n\r\n")
                assert answer[:15] == b"HTTP/1.1 200 OK" and b"Content-Length: 1000" in answer
                while length:
                    length -= len(await connection.read(length))
            await connection.send(("GET /assets/data.bin HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n").encode())
            assert (await connection.read_until(b"\r\n\r\n"))[:12] == b"HTTP/1.1 304"
            await connection.send(b"GET /assets/index.html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await connection.read_all())[-14:] == FILES["index.html"]
            await connection.close()


async def test_two_hundred_files() -> None:
    folder = Folder()
    with folder:
        for n in range(200):
            with open("%s/f%d.txt" % (folder.path, n), "wb") as file:
                file.write(b"%d " % n * n)
        app = app_of(folder)
        async with Running(app) as server:
            connection = await server.connect()
            for n in range(200):
                await connection.send(("GET /assets/f%d.txt HTTP/1.1\r\nHost: a\r\n\r\n" % n).encode())
                head = await connection.read_until(b"\r\n\r\n")
                assert head[:15] == b"HTTP/1.1 200 OK", (n, head)
                body = b""
                expected = b"%d " % n * n
                while len(body) < len(expected):
                    body += await connection.read(len(expected) - len(body))
                assert body == expected, n
            await connection.close()
