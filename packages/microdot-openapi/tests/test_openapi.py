"""The document of an application: what is in it, and that it is one."""

from __future__ import annotations

import functools
import gzip
import importlib.util
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NewType, Optional

import pytest
from microdot import Microdot, Request, Response, URLPattern
from microdot.auth import TokenAuth
from microdot.login import Login
from microdot.openapi import OpenAPI, describe, main, write
from microdot.test_client import TestClient
from openapi_spec_validator import OpenAPIV31SpecValidator

HERE = Path(__file__).parent
Name = NewType("Name", str)


def check(document: dict[str, Any]) -> dict[str, Any]:
    OpenAPIV31SpecValidator(document).validate()
    return document


def load() -> Any:
    """Return a fresh copy of shop.py."""
    spec = importlib.util.spec_from_file_location("openapi_shop", HERE / "shop.py")
    assert spec and spec.loader
    module = sys.modules["openapi_shop"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shop() -> Any:
    return load()


@pytest.fixture(scope="module")
def document(shop: Any) -> dict[str, Any]:
    return check(shop.api.document(shop.app))


def test_operations(document: dict[str, Any]) -> None:
    found = {
        (path, method): operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert found == {
        ("/metrics", "get"): "metrics",
        ("/health", "get"): "health",
        ("/items", "get"): "list_items",
        ("/items", "post"): "add_item",
        ("/items/{number}", "get"): "get_item",
        ("/items/{number}", "delete"): "remove_item",
        ("/greeting/{language}", "get"): "greet",
        ("/files/{name}", "get"): '"><img src=x onerror="hacked = 1">',
        ("/codes/{code}/{rest}", "get"): "code",
        ("/visits", "get"): "visits",
        ("/me", "get"): "me",
        ("/raw", "get"): "rawData",
        ("/count", "get"): "count",
        # /items/{name} is in /items/{number}, which is the same path; not QUERY, which 3.1 does not know.
        ("/items/both", "get"): "both",
        ("/items/both", "put"): "both_put",
    }
    listing = document["paths"]["/items"]["get"]
    assert listing["summary"] == "List what there is."
    assert listing["description"] == "Ten at a time, from `start` on."
    assert listing["tags"] == ["items"]
    assert document["paths"]["/raw"]["get"]["deprecated"] is True


def test_parameters(document: dict[str, Any]) -> None:
    def schemas(path: str, method: str) -> dict[str, Any]:
        operation = document["paths"][path][method]
        return {p["name"]: (p["in"], p["required"], p["schema"]) for p in operation["parameters"]}

    assert schemas("/items", "get") == {
        "start": ("query", False, {"type": "integer"}),
        "color": ("query", False, {"enum": ["red", "blue"]}),
    }
    assert schemas("/items/{number}", "delete") == {"number": ("path", True, {"type": "integer"})}
    assert schemas("/greeting/{language}", "get") == {"language": ("path", True, {"enum": ["en", "de"]})}
    assert schemas("/codes/{code}/{rest}", "get") == {
        "code": ("path", True, {"type": "string", "pattern": "^(?:[a-z]{3})$"}),
        "rest": ("path", True, {"type": "string", "minLength": 1}),
    }


def test_bodies_and_responses(document: dict[str, Any]) -> None:
    def types(path: str, method: str = "get") -> dict[str, Any]:
        responses = document["paths"][path][method]["responses"]
        return {
            status: {name: content["schema"] for name, content in response.get("content", {}).items()}
            for status, response in responses.items()
            if status != "default"
        }

    item = {"$ref": "#/components/schemas/Item"}
    assert document["paths"]["/items"]["post"]["requestBody"]["content"] == {"application/json": {"schema": item}}
    text = {"text/plain": {"type": "string"}}
    assert types("/items", "post") == {"201": {"application/json": item}, "400": text, "401": text}
    assert types("/items/{number}", "delete") == {"204": {}, "401": text}
    assert types("/greeting/{language}") == {"200": {"text/plain": {"type": "string"}}}
    assert types("/raw") == {"200": {"text/plain": {}}}  # what bytes are sent as, unless a Response says better
    values = types("/me")["200"]["application/json"]["additionalProperties"]
    assert values == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    schemas = document["components"]["schemas"]
    assert schemas["Color"] == {"enum": ["red", "blue"]}
    assert schemas["Item"]["required"] == ["name", "price"] and schemas["Item"]["description"] == "Something to buy."
    assert schemas["Item"]["properties"]["name"] == {"type": "string", "minLength": 1, "maxLength": 40}
    assert schemas["Item"]["properties"]["parts"] == {"type": "array", "items": item}
    assert schemas["Page"]["required"] == ["items", "next"] and "description" not in schemas["Page"]


def test_security(document: dict[str, Any]) -> None:
    found = {
        operation["operationId"]: operation["security"]
        for item in document["paths"].values()
        for operation in item.values()
        if "security" in operation
    }
    assert found == {
        "add_item": [{"bearer": []}],
        "remove_item": [{"basic": []}],
        "code": [{"X-API-Key": []}],
        "visits": [{}, {"session": []}],
        "me": [{}, {"basic": []}],
        "rawData": [],
    }
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
        "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "session": {"type": "apiKey", "in": "cookie", "name": "session"},
    }


def test_login_and_schemes_of_ones_own() -> None:
    app = Microdot()
    login = Login()

    @app.get("/private")
    @login
    async def private(request: Request) -> str:
        return "x"

    @app.get("/other")
    @describe(security=["oidc"])
    async def other(request: Request) -> str:
        return "x"

    scheme = {"type": "openIdConnect", "openIdConnectUrl": "https://id.example/.well-known/openid-configuration"}
    document = check(OpenAPI(security_schemes={"oidc": scheme}, servers=["https://x.example/api"]).document(app))
    assert document["paths"]["/private"]["get"]["security"] == [{"session": []}]
    assert document["paths"]["/other"]["get"]["security"] == [{"oidc": []}]
    assert document["components"]["securitySchemes"]["oidc"] == scheme
    assert document["servers"] == [{"url": "https://x.example/api"}]
    with pytest.raises(ValueError, match="no security scheme 'oidc'"):
        OpenAPI().document(app)


def test_paths_that_differ_in_names_only() -> None:
    app = Microdot()
    URLPattern.register_type("hex", "[0-9a-f]+", lambda text: int(text, 16))

    @app.get("/a/<int:id>/<hex:color>")
    async def first(request: Request, id: int, color: int) -> str:
        return "x"

    @app.put("/a/<name>/<path:rest>")
    async def second(request: Request, name: str, rest: str) -> str:
        return "x"

    @app.get("/a/<id>/<x>")
    async def else_(request: Request, id: str, x: str) -> dict[str, str]:
        return {}

    document = check(OpenAPI().document(app))
    (item,) = document["paths"].values()
    assert list(document["paths"]) == ["/a/{id}/{color}"] and sorted(item) == ["get", "put"]
    assert [p["name"] for p in item["put"]["parameters"]] == ["id", "color"]
    # Both GET routes answer, each where its types fit.
    text = {"type": "string", "minLength": 1}
    assert [p["schema"] for p in item["get"]["parameters"]] == [
        {"anyOf": [{"type": "integer"}, text]},
        {"anyOf": [{"type": "string", "pattern": "^(?:[0-9a-f]+)$"}, text]},
    ]
    assert item["get"]["operationId"] == "first"
    assert sorted(item["get"]["responses"]["200"]["content"]) == ["application/json", "text/plain"]


def test_types() -> None:
    @dataclass
    class Thing:
        size: int

    app = Microdot()
    schema: dict[str, Any] = {"type": "object", "required": ["a"]}
    pair = {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2}
    cases: list[tuple[Any, Any]] = [
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (schema, schema),
        (Optional[float], {"anyOf": [{"type": "number"}, {"type": "null"}]}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (list[tuple[int, str]], {"type": "array", "items": pair}),
        (list, {"type": "array"}),
        (Thing, {"$ref": "#/components/schemas/Thing"}),
    ]
    for n, (tp, _) in enumerate(cases):

        @app.post("/%d" % n)
        @describe(body=tp if isinstance(tp, dict) else {"application/json": tp})
        async def handler(request: Request) -> Response:
            return Response()

    document = check(OpenAPI().document(app))
    for n, (_, expected) in enumerate(cases):
        assert document["paths"]["/%d" % n]["post"]["requestBody"]["content"]["application/json"]["schema"] == expected

    @app.post("/bad")
    @describe(body={"application/json": lambda: 1})
    async def bad(request: Request) -> str:
        return ""

    with pytest.raises(TypeError, match="is no type"):
        OpenAPI().document(app)


def test_names_that_are_there_for_the_type_checker_alone() -> None:
    @dataclass
    class Holder:
        what: Missing  # type: ignore[name-defined]  # noqa: F821
        size: int

    app = Microdot()

    @app.post("/")
    @describe(body=Holder)
    async def index(request: Request) -> Missing:  # type: ignore[name-defined]  # noqa: F821
        return ""

    document = check(OpenAPI().document(app))
    properties = document["components"]["schemas"]["Holder"]["properties"]
    assert properties == {"what": {}, "size": {"type": "integer"}}
    assert document["paths"]["/"]["post"]["responses"]["200"] == {"description": "What the handler returns"}


ROOT = HERE.parents[2]
# Every program there that has an application, whether it makes or imports it.
EXAMPLES = sorted(
    path for path in ROOT.glob("docs/examples/*/*.py") if re.search(r"(?m)^app\b|^from main import .*\bapp\b", path.read_text("utf-8"))
)


@pytest.mark.filterwarnings("ignore:Static. there is no folder")  # the program makes it when it starts
@pytest.mark.parametrize("path", EXAMPLES, ids=[f"{path.parent.name}/{path.name}" for path in EXAMPLES])
def test_documents_of_the_examples(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.chdir(path.parent)
    spec = importlib.util.spec_from_file_location("openapi_example", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "openapi_example", module)
    monkeypatch.setattr(Response, "default_content_type", Response.default_content_type)  # some set it
    before = set(sys.modules)
    try:
        spec.loader.exec_module(module)
        document = check(OpenAPI().document(module.app))
    finally:
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(str(path.parent)):
                del sys.modules[name]  # another example has one of that name
    assert sum(map(len, document["paths"].values())) >= 1


def test_the_examples_are_found() -> None:
    found = {path.parent.name for path in EXAMPLES}
    programs = {path.parent.name for path in ROOT.glob("docs/examples/*/main.py")}
    assert programs and found >= programs


async def test_it_is_served_and_follows_the_routes() -> None:
    app = Microdot()
    app.install(OpenAPI("Shop & <b>", "2"))
    client = TestClient(app)
    response = await client.get("/openapi.json")
    assert response.headers["Content-Type"].startswith("application/json")
    assert check(response.json)["paths"] == {}

    @app.get("/later")
    async def later(request: Request) -> str:
        return "x"

    assert list((await client.get("/openapi.json")).json["paths"]) == ["/later"]
    page = await client.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    text = page.text or ""
    assert 'data-document="openapi.json"' in text and "Shop" not in text
    # No resource of another host: there is no URL in it at all, and none could be loaded.
    assert "//" not in text.replace("<!doctype html>", "").replace("'//'", "")
    policy = page.headers["Content-Security-Policy"]
    assert "connect-src 'self';" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    elsewhere = OpenAPI(servers=["https://b.example:8443/v1", "/v2"])
    assert "connect-src &#x27;self&#x27; https://b.example:8443;" in elsewhere.html()
    quoted = OpenAPI().html('/a"><script>')
    assert 'data-document="/a&quot;&gt;&lt;script&gt;"' in quoted
    # Wherever both lie, and whatever a proxy puts in front of that.
    for path, where, link in (
        ("/openapi.json", "/docs", "openapi.json"),
        ("/api/v1.json", "/docs", "api/v1.json"),
        ("/openapi.json", "/api/docs", "../openapi.json"),
        ("/api/openapi.json", "/api/docs/", "../openapi.json"),
        ("/openapi.json", None, "openapi.json"),
    ):
        assert f'data-document="{link}"' in OpenAPI(path=path, page=where).html(), (path, where)


async def test_a_sub_application_describes_itself() -> None:
    """One that brings its own document along: only what is below its prefix, whatever else there is."""
    api = Microdot()
    api.install(OpenAPI("Part"))
    inner = Microdot()

    @inner.get("/<int:n>")
    async def get(request: Request, n: int) -> str:
        return "x"

    @api.get("/things")
    async def things(request: Request) -> str:
        return "x"

    api.mount(inner, "/inner")
    app = Microdot()
    app.install(OpenAPI("All"))

    @app.get("/apiary")
    async def apiary(request: Request) -> str:
        return "x"

    app.mount(api, "/api")
    client = TestClient(app)
    part = check((await client.get("/api/openapi.json")).json)
    assert part["info"]["title"] == "Part" and sorted(part["paths"]) == ["/api/inner/{n}", "/api/things"]
    whole = check((await client.get("/openapi.json")).json)
    assert whole["info"]["title"] == "All" and sorted(whole["paths"]) == ["/api/inner/{n}", "/api/things", "/apiary"]
    assert 'data-document="openapi.json"' in ((await client.get("/api/docs")).text or "")

    @app.get("/api/later")
    async def later(request: Request) -> str:
        return "x"

    assert "/api/later" in (await client.get("/api/openapi.json")).json["paths"]
    # By itself it has no prefix.
    assert sorted((await TestClient(api).get("/openapi.json")).json["paths"]) == ["/inner/{n}", "/things"]


def test_odd_patterns_and_handlers() -> None:
    app = Microdot()

    class Handler:
        """Not this."""

        async def __call__(self, request: Request, n: str) -> dict[str, int]:
            """Do it."""
            return {}

        async def method(self, request: Request) -> Name:
            """Do that."""
            return Name("x")

    async def either(which: int, request: Request) -> Literal["a", "b"]:
        """Tell which."""
        return "a"

    app.get("/{braces}/<path:rest>/{end")(Handler())
    app.get("/method")(Handler().method)
    app.get("/partial")(functools.partial(either, 1))
    app.get("/")(lambda request: "x")
    document = check(OpenAPI().document(app))
    assert sorted(document["paths"]) == ["/", "/%7Bbraces%7D/{rest}/%7Bend", "/method", "/partial"]
    operations = {path: item["get"] for path, item in document["paths"].items()}
    odd = operations["/%7Bbraces%7D/{rest}/%7Bend"]
    assert odd["summary"] == "Do it." and [p["name"] for p in odd["parameters"]] == ["rest"]
    assert "application/json" in odd["responses"]["200"]["content"]
    assert operations["/method"]["summary"] == "Do that."
    assert operations["/method"]["responses"]["200"]["content"] == {"text/plain": {"schema": {"type": "string"}}}
    assert operations["/partial"]["summary"] == "Tell which."
    assert operations["/partial"]["responses"]["200"]["content"] == {"text/plain": {"schema": {"enum": ["a", "b"]}}}


def test_refusals_have_the_status_that_they_have() -> None:
    app = Microdot()
    login = Login()
    token = TokenAuth(error_status=403)

    @app.get("/private")
    @login
    async def private(request: Request) -> str:
        return "x"

    @app.get("/token")
    @token
    async def with_token(request: Request) -> str:
        return "x"

    document = check(OpenAPI().document(app))
    assert sorted(document["paths"]["/private"]["get"]["responses"]) == ["200", "302", "default"]
    assert sorted(document["paths"]["/token"]["get"]["responses"]) == ["200", "403", "default"]


async def test_files_for_a_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(HERE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    main(["shop:app", str(tmp_path), "--title", "Board", "--version", "3"])
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    said = capsys.readouterr().out
    document = check(json.loads(gzip.decompress((tmp_path / "openapi.json.gz").read_bytes())))
    assert document["info"] == {"title": "Board", "version": "3"} and "/items" in document["paths"]
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert all(f"{name} {size}" in said for name, size in sizes.items())
    assert sizes["docs.html.gz"] < 4000
    # As a program on a board serves them.
    app = Microdot()

    @app.get("/openapi.json")
    async def openapi(request: Request) -> Response:
        return Response.send_file(str(tmp_path / "openapi.json"), compressed=True, file_extension=".gz")

    @app.get("/docs")
    async def docs(request: Request) -> Response:
        return Response.send_file(str(tmp_path / "docs.html"), compressed=True, file_extension=".gz")

    for path, kind in (("/openapi.json", "application/json"), ("/docs", "text/html")):
        response = await TestClient(app).get(path)
        assert response.headers["Content-Encoding"] == "gzip" and response.headers["Content-Type"].startswith(kind)
        assert gzip.decompress(response.body or b"")
    assert b'data-document="openapi.json"' in gzip.decompress((tmp_path / "docs.html.gz").read_bytes())
    # The same program, the same bytes.
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write(load().app, OpenAPI("Board", "3"), tmp_path)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shop:api", "x"], "shop:api is no application"),
        (["shop:nothing", "x"], "shop:nothing is no application"),
        (["no_such_shop:app", "x"], "there is no module no_such_shop in " + str(HERE)),
        (["shop"], "required: folder"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(HERE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "shop", raising=False)
