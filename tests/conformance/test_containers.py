"""NoCaseDict, MultiDict, AsyncBytesIO, HTTPException: contract sections 2.8 to 2.11.

Portable: CPython and MicroPython.
"""

from microdot import AsyncBytesIO
from microdot.microdot import HTTPException, MultiDict, NoCaseDict
from support.checks import CPYTHON, raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def test_nocasedict_keeps_the_first_spelling() -> None:
    """Contract 2.8 MUST: the facts that programs' tests check."""
    d = NoCaseDict()
    assert isinstance(d, dict)
    d["One"] = 1
    d["one"] = 2
    d["ONE"] = 3
    d["One"] = 4
    d["Two"] = 5
    assert sorted(d.items()) == [("One", 4), ("Two", 5)]
    assert sorted(d.keys()) == ["One", "Two"]
    assert sorted(d) == ["One", "Two"]
    assert sorted(d.values()) == [4, 5]
    assert len(d) == 2
    for spelling in ("One", "one", "ONE", "oNE"):
        assert spelling in d, spelling
        assert d[spelling] == 4, spelling
        assert d.get(spelling) == 4, spelling
    del d["oNE"]
    assert list(d.items()) == [("Two", 5)]
    assert "One" not in d
    d.update({"oNe": 6})
    assert d["ONE"] == 6
    assert len(d) == 2
    assert sorted(name.lower() for name in d) == ["one", "two"]


def test_nocasedict_what_is_missing() -> None:
    d = NoCaseDict()
    assert "one" not in d
    assert d.get("one") is None
    assert d.get("one", 1) == 1
    raised(KeyError, lambda: d["one"])
    raised(KeyError, d.__delitem__, "one")


def test_nocasedict_from_and_against_plain_dicts() -> None:
    """Contract 2.8: copies the mapping; compares with plain dictionaries."""
    source = {"One": 1, "two": 2}
    d = NoCaseDict(source)
    assert d == {"One": 1, "two": 2}
    assert d["ONE"] == 1 and d["TWO"] == 2
    d["ONE"] = 3
    assert source == {"One": 1, "two": 2}
    assert NoCaseDict() == {}
    assert NoCaseDict(None) == {}
    assert NoCaseDict(d) == {"One": 3, "two": 2}


def test_nocasedict_update_replaces() -> None:
    d = NoCaseDict({"Content-Type": "a", "X": "b"})
    d.update({"content-type": "c", "Y": "d"})
    assert d == {"Content-Type": "c", "X": "b", "Y": "d"}


def test_nocasedict_first_spelling_in_lower_case() -> None:
    """Contract 2.8 BUG, 21 C1: there must never be a second entry."""
    d = NoCaseDict()
    d["foo"] = 1
    d["Foo"] = 2
    assert d == {"foo": 2}
    assert d["FOO"] == 2
    d = NoCaseDict({"content-type": "a"})
    d["Content-Type"] = "b"
    assert d == {"content-type": "b"}
    del d["CONTENT-TYPE"]
    assert d == {} and "content-type" not in d


def test_nocasedict_order() -> None:
    """Contract 2.8: in order of insertion on CPython; a board's dictionaries have no order."""
    d = NoCaseDict()
    for name in ("Zulu", "alpha", "Mike", "zulu"):
        d[name] = 1
    assert sorted(d) == ["Mike", "Zulu", "alpha"]
    if CPYTHON:
        assert list(d) == ["Zulu", "alpha", "Mike"]


def test_multidict() -> None:
    """Contract 2.9 MUST."""
    d = MultiDict()
    assert isinstance(d, dict)
    assert dict(d) == {}
    assert d == {}
    d["one"] = 1
    assert d["one"] == 1
    assert d == {"one": [1]}
    d["two"] = 1
    d["two"] = 2
    assert d["two"] == 1
    assert d.getlist("two") == [1, 2]
    assert d == {"one": [1], "two": [1, 2]}
    assert len(d) == 2
    assert "two" in d and "three" not in d


def test_multidict_get() -> None:
    d = MultiDict({"one": "1", "word": "x"})
    d["one"] = "2"
    assert d.get("one") == "1"
    assert d.get("one", type=int) == 1
    assert d.get("one", 5, int) == 1
    assert d.get("none") is None
    assert d.get("none", "default") == "default"
    # The default is returned untouched: the conversion is for values that are there.
    assert d.get("none", "default", type=int) == "default"
    assert d.getlist("one") == ["1", "2"]
    assert d.getlist("one", type=int) == [1, 2]
    assert d.getlist("one", int) == [1, 2]
    assert d.getlist("none") == []
    assert d.getlist("none", type=int) == []
    raised(KeyError, lambda: d["none"])
    raised(ValueError, lambda: d.get("word", type=int))
    raised(ValueError, lambda: d.getlist("word", type=int))


def test_multidict_from_a_mapping() -> None:
    source = {"foo": "bar", "list": ["a"]}
    d = MultiDict(source)
    # Each pair is a first value, whatever its type.
    assert d == {"foo": ["bar"], "list": [["a"]]}
    d["foo"] = "baz"
    assert source == {"foo": "bar", "list": ["a"]}
    assert MultiDict(None) == {}


async def test_asyncbytesio_reading() -> None:
    """Contract 2.10."""
    stream = AsyncBytesIO(b"one\ntwo\nthree")
    assert await stream.readline() == b"one\n"
    assert await stream.read(2) == b"tw"
    assert await stream.readexactly(2) == b"o\n"
    assert await stream.read() == b"three"
    assert await stream.read() == b""
    assert await stream.read(5) == b""
    # At the end it returns what there is; it never raises.
    assert await AsyncBytesIO(b"ab").readexactly(5) == b"ab"
    assert await AsyncBytesIO(b"ab").read(-1) == b"ab"
    assert await AsyncBytesIO(b"ab").readline() == b"ab"
    assert await AsyncBytesIO(b"").readline() == b""


async def test_asyncbytesio_readuntil() -> None:
    """Contract 2.10 BUG, 21 C25: it used to fail always."""
    stream = AsyncBytesIO(b"one\ntwo--three")
    assert await stream.readuntil() == b"one\n"
    assert await stream.readuntil(b"--") == b"two--"
    assert await stream.readuntil(b"--") == b"three"
    assert await stream.readuntil() == b""
    assert await AsyncBytesIO(b"aab").readuntil(b"ab") == b"aab"


async def test_asyncbytesio_writing() -> None:
    stream = AsyncBytesIO(b"")
    await stream.awrite(b"foo")
    await stream.awrite(b"bar")
    await stream.aclose()
    assert stream.stream.getvalue() == b"foobar"


def test_http_exception() -> None:
    """Contract 2.11."""
    exc = HTTPException(404)
    assert isinstance(exc, Exception)
    assert exc.status_code == 404
    assert exc.reason == "404 error"
    assert repr(exc) == "HTTPException: 404"
    assert HTTPException(406, "Not acceptable").reason == "Not acceptable"


def test_nocasedict_clear() -> None:
    d = NoCaseDict({"One": 1})
    d.clear()
    assert "One" not in d and d.get("one") is None and len(d) == 0
    d["ONE"] = 2
    assert dict(d.items()) == {"ONE": 2}


def test_nocasedict_from_pairs() -> None:
    """Programs give headers as a list of pairs, too."""
    pairs: "Any" = [("One", 1), ("two", 2)]
    d = NoCaseDict(pairs)
    assert d["one"] == 1 and d["TWO"] == 2
    d.update([("ONE", 3)])  # type: ignore[arg-type]
    assert dict(d.items()) == {"One": 3, "two": 2}
