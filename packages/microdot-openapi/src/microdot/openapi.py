"""An OpenAPI 3.1 document of an application, and a page to read it and try it.

    app.install(OpenAPI("Shop", "1.2"))     # /openapi.json and /docs

For a board a command writes both as compressed files, which `send_file()` serves:

    python -m microdot.openapi main:app --title Shop --version 1.2 static
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import decimal
import enum
import functools
import gzip
import importlib
import inspect
import json
import posixpath
import re
import sys
import types
import typing
import uuid
import weakref
from collections.abc import AsyncIterable, Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from microdot import Microdot, Request, Response, URLPattern
from microdot._openapi_page import content_security_policy, page

if typing.TYPE_CHECKING:
    from microdot.app import Route

F = TypeVar("F", bound=Callable[..., Any])

# OpenAPI 3.1.1, 4.8.9: what a path item has fields for. QUERY is not among them.
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_DESCRIBED = "__openapi__"


def describe(
    *,
    summary: str | None = None,
    description: str | None = None,
    body: Any = None,
    query: Mapping[str, Any] | None = None,
    responses: Mapping[int | str, Any] | None = None,
    parameters: Iterable[dict[str, Any]] = (),
    security: Iterable[str | dict[str, list[str]]] | None = None,
    tags: Iterable[str] = (),
    operation_id: str | None = None,
    deprecated: bool = False,
    hidden: bool = False,
) -> Callable[[F], F]:
    """Decorate a handler with what its signature cannot say; it goes anywhere below the route.

    Where a type is wanted this is a class or annotation (`int`, `list[str]`, `str | None`, `Literal[…]`, a dataclass,
    TypedDict or Enum …), or a dict, which is taken as a JSON Schema as it is.

    Args:
        summary: one line; by default the first of the docstring.
        description: more, in CommonMark; by default the rest of the docstring.
        body: the type of the JSON body; or a dict of media types (with a slash) to types.
        query: arguments of the query string by name; a type that includes None makes one optional.
        responses: by status: a type, a text, or (text, type). By default 200 with the type that the handler returns.
        parameters: Parameter Objects, taken as they are.
        security: names of the schemes of which one is needed, or Security Requirement Objects; empty for none. By default
            those of the decorators of microdot-auth, microdot-session and microdot-login.
        tags: the groups that it stands in.
        operation_id: its name, by default that of the function.
        deprecated: whether it is better not used any more.
        hidden: whether it is left out.
    """
    values = {name: value for name, value in locals().items() if value not in (None, (), False)}
    if security is not None:
        values["security"] = list(security)

    def decorated(f: F) -> F:
        setattr(f, _DESCRIBED, {**getattr(f, _DESCRIBED, {}), **values})
        return f

    return decorated


class OpenAPI:
    """The description of an application: `app.install(OpenAPI("Shop", "1.2"))`.

    Args:
        title: the name of the application.
        version: its version.
        description: more about it, in CommonMark.
        path: where the document is served, None for nowhere.
        page: where the page is served, None for nowhere.
        servers: URLs that the paths are below, for other places than the server's own.
        security_schemes: further Security Scheme Objects by name.
    """

    def __init__(
        self,
        title: str = "API",
        version: str = "1.0",
        description: str | None = None,
        path: str | None = "/openapi.json",
        page: str | None = "/docs",
        servers: Iterable[str] = (),
        security_schemes: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self.info = {"title": title, "version": version}
        if description:
            self.info["description"] = description
        self.path = path
        self.page = page
        self.servers = list(servers)
        self.security_schemes = dict(security_schemes or {})
        # By application, which several may share this object, and by what its documents are limited to.
        self._documents: weakref.WeakKeyDictionary[Microdot, dict[str, bytes]] = weakref.WeakKeyDictionary()

    def setup(self, app: Microdot) -> None:
        """Describe an application; one object may be set up on several."""
        app.on("route", lambda route: self._documents.clear())
        if self.path:
            app.get(self.path)(self.serve_document)
        if self.page:
            app.get(self.page)(self.serve_page)

    @describe(hidden=True)
    async def serve_document(self, request: Request) -> Response:
        """Answer with the document: this is a handler."""
        documents = self._documents.setdefault(request.app, {})
        data = documents.get(request.url_prefix)
        if data is None:
            document = self.document(request.app, request.url_prefix)
            data = documents[request.url_prefix] = json.dumps(document).encode()
        return Response(data, headers={"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"})

    @describe(hidden=True)
    async def serve_page(self, request: Request) -> Response:
        """Answer with the page: this is a handler."""
        policy = content_security_policy(self.servers) + "; frame-ancestors 'none'"  # this one counts in a header only
        headers = {"Content-Type": "text/html; charset=UTF-8", "Content-Security-Policy": policy}
        return Response(self.html(), headers=headers)

    def html(self, document: str | None = None) -> str:
        """Return the page.

        Args:
            document: the URL of the document, by default where this object serves it.
        """
        if document is None:
            # Relative, because a proxy may have put both below some prefix, and `mount()` too.
            document = posixpath.relpath(self.path or "/openapi.json", posixpath.dirname(self.page or "/"))
        return page(document, self.servers)

    def document(self, app: Microdot, url_prefix: str = "") -> dict[str, Any]:
        """Return the document of an application as it is now.

        Args:
            app: the application.
            url_prefix: only what is below it is described: what a sub-application that has such a document was mounted at.

        Raises:
            TypeError: something in a description is no type.
        """
        return _Document(self, app, url_prefix).result


class _Document:
    """One document while it is made."""

    def __init__(self, api: OpenAPI, app: Microdot, url_prefix: str) -> None:
        self.schemas: dict[str, Any] = {}
        self.schemes: dict[str, Any] = {}
        self.known = dict(api.security_schemes)
        self._names: dict[Any, str] = {}
        self._operation_ids: set[str] = set()
        paths: dict[str, dict[str, Any]] = {}
        shapes: dict[str, str] = {}
        for route in app.routes:
            if _described(route.handler).get("hidden"):
                continue
            if url_prefix and not (route.pattern + "/").startswith(url_prefix + "/"):
                continue
            path, names = _template(route)
            # Paths that differ only in the names of their parameters are the same one (4.8.8.2).
            first = shapes.setdefault(re.sub(r"\{.*?\}", "{}", path), path)
            renamed = dict(zip(names, re.findall(r"\{(.*?)\}", first)))
            for method in route.methods:
                if method.lower() in _METHODS:
                    operations = paths.setdefault(first, {})
                    operation = self._operation(route, names, renamed, method)
                    if method.lower() in operations:
                        # The first route that matches answers, so another one may, where the types differ.
                        _merge(operations[method.lower()], operation)
                    else:
                        operations[method.lower()] = operation
        components = {"schemas": self.schemas, "securitySchemes": self.schemes}
        self.result: dict[str, Any] = {"openapi": "3.1.0", "info": api.info, "paths": paths}
        if api.servers:
            self.result["servers"] = [{"url": url} for url in api.servers]
        if any(components.values()):
            self.result["components"] = {name: value for name, value in components.items() if value}

    def _operation(self, route: Route, names: dict[str, str], renamed: dict[str, str], method: str) -> dict[str, Any]:
        handler = route.handler
        said = _described(handler)
        function = _function(handler)
        hints = _hints(function)
        head, _, rest = (inspect.getdoc(function) or "").partition("\n")
        name = str(said.get("operation_id") or getattr(function, "__name__", "operation"))
        operation: dict[str, Any] = {
            "operationId": self._operation_id(name, method),
            "summary": said.get("summary", head),
            "description": said.get("description", rest.strip()),
            "tags": list(said.get("tags", ())),
            "deprecated": said.get("deprecated", False),
        }
        operation = {name: value for name, value in operation.items() if value}
        parameters: list[dict[str, Any]] = []
        for name, kind in names.items():
            schema = self._path_schema(kind, hints.get(name))
            parameters.append({"name": renamed[name], "in": "path", "required": True, "schema": schema})
            if kind == "path":
                parameters[-1]["x-slashes"] = True  # for the page: OpenAPI 3.1 cannot say that they stay
        for name, tp in said.get("query", {}).items():
            optional = types.NoneType in typing.get_args(tp)
            schema = self.schema(_without_none(tp) if optional else tp)
            parameters.append({"name": name, "in": "query", "required": not optional, "schema": schema})
        parameters += said.get("parameters", ())
        if parameters:
            operation["parameters"] = parameters
        if "body" in said:
            operation["requestBody"] = {"required": True, "content": self._content(said["body"])}
        responses = {str(status): self._response(status, what) for status, what in said.get("responses", {}).items()}
        if not any(status[0] in "23" for status in responses):
            result = hints.get("return", Any)
            responses["204" if result is types.NoneType else "200"] = self._response(200, result)
        security = said.get("security")
        found, refusals = self._security(handler)
        if security is None and found:
            security = found
        else:
            refusals = {"401": "Nobody is logged in, or the credentials are wrong"}
        if security is not None:
            operation["security"] = [{one: []} if isinstance(one, str) else one for one in security]
            for requirement in operation["security"]:
                for name in requirement:
                    if name not in self.schemes:
                        if name not in self.known:
                            raise ValueError("openapi: there is no security scheme '%s': give it to OpenAPI()" % name)
                        self.schemes[name] = self.known[name]
            if {} not in operation["security"] and operation["security"]:
                for status, text in refusals.items():
                    responses.setdefault(status, self._response(status, text))
        responses.setdefault("default", self._response(500, "An error"))
        operation["responses"] = responses
        return operation

    def _operation_id(self, name: str, method: str) -> str:
        candidate, n = name, 1
        while candidate in self._operation_ids:
            n += 1
            candidate = "%s_%s" % (name, method.lower()) if n == 2 else "%s_%d" % (name, n)
        self._operation_ids.add(candidate)
        return candidate

    def _path_schema(self, kind: str, hint: Any) -> dict[str, Any]:
        if kind == "int":
            return {"type": "integer"}
        if kind == "string":
            if typing.get_origin(hint) is typing.Literal or isinstance(hint, type) and issubclass(hint, enum.Enum):
                return self.schema(hint)
            return {"type": "string", "minLength": 1}
        if kind == "path":
            return {"type": "string", "minLength": 1}
        expression = kind[3:] if kind.startswith("re:") else URLPattern.segment_patterns.get(kind, ".+")
        schema: dict[str, Any] = {"type": "string"}
        # JSON Schema has the expressions of ECMA-262; what Python alone understands is left out.
        if not re.search(r"\(\?[^:=!]|\\[AZzQE]|[*+?}]\+", expression):
            schema["pattern"] = "^(?:%s)$" % expression
        return schema

    def _response(self, status: int | str, what: Any) -> dict[str, Any]:
        text = "What the handler returns" if str(status)[0] == "2" else "Status %s" % status
        if isinstance(what, str):
            # What abort() answers; an error handler that does better is described by (text, type).
            return {"description": what, "content": self._content(str)} if str(status)[0] in "45" else {"description": what}
        if isinstance(what, tuple):
            text, what = what
        if isinstance(what, dict) and "description" in what:
            return what  # a Response Object
        content = self._content(what)
        return {"description": text, "content": content} if content else {"description": text}

    def _content(self, what: Any) -> dict[str, Any]:
        """Return media types and schemas of a body."""
        if isinstance(what, dict):
            if what and all(isinstance(name, str) and "/" in name for name in what):
                return {name: {"schema": self.schema(tp)} for name, tp in what.items()}
            return {"application/json": {"schema": what}}
        content: dict[str, Any] = {}
        unions: dict[str, list[Any]] = {}
        what = _plain(what)
        for tp in map(_plain, typing.get_args(what)) if _is_union(what) else (what,):
            if typing.get_origin(tp) is tuple and tp is not tuple:
                tp = _plain(typing.get_args(tp)[0])  # body, status, headers
            origin = typing.get_origin(tp) or tp
            if tp in (Any, object, None, types.NoneType, inspect.Signature.empty) or origin is tuple or tp is int:
                continue
            if isinstance(origin, type) and issubclass(origin, Response):
                continue
            if tp is str or isinstance(origin, type) and issubclass(origin, (Iterator, AsyncIterable)):
                content[Response.default_content_type] = {"schema": {"type": "string"}}
            elif origin is typing.Literal and all(isinstance(value, str) for value in typing.get_args(tp)):
                content[Response.default_content_type] = {"schema": self.schema(tp)}
            elif tp is bytes:
                content[Response.default_content_type] = {"schema": {}}
            else:
                unions.setdefault("application/json", []).append(self.schema(tp))
        for name, schemas in unions.items():
            content[name] = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
        return content

    def _security(self, handler: Any) -> tuple[list[dict[str, list[str]]], dict[str, str]]:
        """Return what the decorators of a handler ask for, and how they refuse; remember the schemes."""
        auth: Any = sys.modules.get("microdot.auth")
        needed: dict[str, list[str]] = {}
        refusals: dict[str, str] = {}
        optional = True
        function = handler
        while function is not None:
            cells = _closure(function)
            module = getattr(function, "__globals__", {}).get("__name__")
            for value in cells.values():
                if auth and isinstance(value, auth.BaseAuth):
                    name, scheme = _auth_scheme(auth, value)
                    self.schemes[name] = scheme
                    needed[name] = []
                    optional = optional and bool(cells.get("optional"))
                    refusals[str(value.error_status)] = "Nobody is logged in, or the credentials are wrong"
            if module in ("microdot.session", "microdot.login"):
                self.schemes["session"] = {"type": "apiKey", "in": "cookie", "name": "session"}
                needed["session"] = []
                # Who has no session gets a new one; who is not logged in does not get in.
                optional = optional and module == "microdot.session"
                if module == "microdot.login":
                    refusals["302"] = "Nobody is logged in: to the login page"
            function = getattr(function, "__wrapped__", None)
        if not needed:
            return [], {}
        return ([{}, needed] if optional else [needed]), refusals

    def schema(self, tp: Any) -> dict[str, Any]:
        """Return the JSON Schema of a type.

        Raises:
            TypeError: it is none.
        """
        if isinstance(tp, dict):
            return tp
        tp = _plain(tp)
        if tp in (Any, object, inspect.Signature.empty):
            return {}
        if tp is None or tp is types.NoneType:
            return {"type": "null"}
        simple = _SIMPLE.get(tp) if isinstance(tp, type) else None
        if simple is not None:
            return dict(simple)
        origin, args = typing.get_origin(tp), typing.get_args(tp)
        if _is_union(tp):
            return {"anyOf": [self.schema(arg) for arg in args]}
        if origin is typing.Literal:
            return {"enum": list(args)}
        if origin is typing.Annotated:
            schema = self.schema(args[0])
            for extra in args[1:]:
                if isinstance(extra, dict):
                    schema = {**schema, **extra}
            return schema
        if getattr(origin, "_name", None) in ("Required", "NotRequired", "ReadOnly"):
            return self.schema(args[0])
        kind = origin or tp
        if not isinstance(kind, type):
            raise TypeError("openapi: %r is no type" % (tp,))
        if dataclasses.is_dataclass(kind) or issubclass(kind, enum.Enum) or _is_record(kind):
            return {"$ref": "#/components/schemas/" + self._component(kind)}
        if issubclass(kind, Mapping):
            return {"type": "object", "additionalProperties": self.schema(args[1])} if args else {"type": "object"}
        if kind is tuple and args and args[-1] is not Ellipsis:
            n = len(args)
            return {"type": "array", "prefixItems": [self.schema(arg) for arg in args], "minItems": n, "maxItems": n}
        if issubclass(kind, Collection) or kind in (Iterable, Iterator):
            schema = {"type": "array", "items": self.schema(args[0])} if args else {"type": "array"}
            return {**schema, "uniqueItems": True} if issubclass(kind, (set, frozenset)) else schema
        raise TypeError("openapi: %r has no JSON Schema: give a dict instead" % (tp,))

    def _component(self, kind: Any) -> str:
        if kind in self._names:
            return self._names[kind]
        name, n = re.sub(r"[^A-Za-z0-9._-]", "_", kind.__name__), 1
        while name in self._names.values():
            n += 1
            name = "%s%d" % (kind.__name__, n)
        self._names[kind] = name  # before its fields: one of them may be of this type
        text = inspect.cleandoc(vars(kind).get("__doc__") or "")  # its own, not that of a base class
        if issubclass(kind, enum.Enum):
            self.schemas[name] = {"enum": [member.value for member in kind]}
            return name
        try:
            hints = typing.get_type_hints(kind, include_extras=True)
        except NameError:  # one is imported for the type checker alone
            hints = _hints(kind)
        if dataclasses.is_dataclass(kind):
            if text.startswith(self._names[kind] + "("):
                text = ""  # what dataclass() writes
            fields = dataclasses.fields(kind)
            required = [
                field.name
                for field in fields
                if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            ]
            hints = {field.name: hints.get(field.name, Any) for field in fields}
        else:
            required = sorted(kind.__required_keys__)
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {field: self.schema(hint) for field, hint in hints.items()},
        }
        if required:
            schema["required"] = required
        if text:
            schema["description"] = text
        self.schemas[name] = schema
        return name


_SIMPLE: dict[type, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    decimal.Decimal: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "format": "binary"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    uuid.UUID: {"type": "string", "format": "uuid"},
}


def _merge(operation: dict[str, Any], other: dict[str, Any]) -> None:
    """Add to an operation what another one on the same path may take and answer."""
    schemas = {p["name"]: p["schema"] for p in other.get("parameters", ()) if p.get("in") == "path"}
    for parameter in operation.get("parameters", ()):
        schema = schemas.get(parameter["name"])
        if schema is not None and parameter["in"] == "path" and schema != parameter["schema"]:
            parameter["schema"] = {"anyOf": [*parameter["schema"].get("anyOf", [parameter["schema"]]), schema]}
    for status, response in other["responses"].items():
        here = operation["responses"].get(status)
        if here is None:
            operation["responses"][status] = response
        elif "$ref" not in here:
            content = {**response.get("content", {}), **here.get("content", {})}
            operation["responses"][status] = {**here, "content": content} if content else here
    if operation.get("security") != other.get("security"):
        security = operation.get("security", [{}])
        operation["security"] = security + [one for one in other.get("security", [{}]) if one not in security]


def _plain(tp: Any) -> Any:
    """Return what a `type` statement or NewType gives another name."""
    while hasattr(tp, "__supertype__") or type(tp).__name__ == "TypeAliasType":
        tp = tp.__supertype__ if hasattr(tp, "__supertype__") else tp.__value__
    return tp


def _is_union(tp: Any) -> bool:
    return typing.get_origin(tp) in (typing.Union, types.UnionType)


def _is_record(kind: type) -> bool:
    return issubclass(kind, dict) and hasattr(kind, "__required_keys__")  # a TypedDict


def _without_none(tp: Any) -> Any:
    rest = [arg for arg in typing.get_args(tp) if arg is not types.NoneType]
    return typing.Union[tuple(rest)]


def _described(handler: Any) -> dict[str, Any]:
    """Return what `describe()` was told about a handler, or about one that it wraps."""
    while handler is not None:
        said: dict[str, Any] | None = getattr(handler, _DESCRIBED, None)
        if said is not None:
            return said
        handler = getattr(handler, "__wrapped__", None)
    return {}


def _function(handler: Any) -> Any:
    """Return the function behind decorators, `functools.partial` and objects that can be called."""
    handler = inspect.unwrap(handler)
    while isinstance(handler, functools.partial):
        handler = inspect.unwrap(handler.func)
    if not inspect.isroutine(handler) and not isinstance(handler, type):
        handler = inspect.unwrap(type(handler).__call__)
    return handler


def _hints(thing: Any) -> dict[str, Any]:
    """Return the annotations of a function or class, Any where one names what only the type checker imports."""
    thing = getattr(thing, "__func__", thing)
    try:
        annotations = getattr(thing, "__annotations__", {})
    except NameError:  # Python 3.14 evaluates them here (PEP 649)
        library: Any = importlib.import_module("annotationlib")
        annotations = library.get_annotations(thing, format=library.Format.STRING)
    names = getattr(thing, "__globals__", None) or vars(sys.modules.get(getattr(thing, "__module__", ""), typing))
    hints = {}
    for name, hint in annotations.items():
        if isinstance(hint, str):
            try:
                hint = eval(hint, dict(names))
            except Exception:  # whatever is wrong with it, it says nothing
                hint = Any
        hints[name] = types.NoneType if hint is None else hint
    return hints


def _closure(function: Any) -> dict[str, Any]:
    function = getattr(function, "__func__", function)
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or ()):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            pass
    return cells


def _auth_scheme(auth: Any, value: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(value, auth.BasicAuth):
        return "basic", {"type": "http", "scheme": "basic"}
    if value.header.lower() == "authorization":
        return value.scheme, {"type": "http", "scheme": value.scheme}
    return value.header, {"type": "apiKey", "in": "header", "name": value.header}


def _template(route: Route) -> tuple[str, dict[str, str]]:
    """Return the path template of a route, and the types of its parameters by name."""
    names = {}
    parts = []
    for segment in ("/" + route.pattern.lstrip("/")).split("/"):
        if segment[:1] == "<":
            kind, _, name = segment[1:-1].rpartition(":")
            names[name] = kind or "string"
            parts.append("{%s}" % name)
        else:
            parts.append(_literal(segment))
    return "/".join(parts), names


def _literal(text: str) -> str:
    return text.replace("{", "%7B").replace("}", "%7D")  # braces of its own would be a parameter (4.8.8.2)


def write(app: Microdot, api: OpenAPI, folder: str | Path) -> list[Path]:
    """Write `openapi.json.gz` and `docs.html.gz`, for a board to serve; return their paths.

    The same program gives the same bytes.

    Args:
        app: the application.
        api: its description.
        folder: where to; it is made when it is missing.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(api.document(app), separators=(",", ":")).encode()
    written = []
    for name, data in (("openapi.json.gz", document), ("docs.html.gz", api.html("openapi.json").encode())):
        path = folder / name
        path.write_bytes(gzip.compress(data, 9, mtime=0))
        written.append(path)
    return written


def main(arguments: list[str] | None = None) -> None:
    """Write the files of an application: `python -m microdot.openapi --help`."""
    parser = argparse.ArgumentParser(prog="python -m microdot.openapi", description="Write openapi.json.gz and docs.html.gz.")
    parser.add_argument("app", help="module and name of the application, such as main:app")
    parser.add_argument("folder", help="where to")
    parser.add_argument("--title")
    parser.add_argument("--version")
    options = parser.parse_args(arguments)
    module, _, name = options.app.partition(":")
    sys.path.insert(0, "")
    try:
        app: Any = importlib.import_module(module)
    except ModuleNotFoundError as exc:
        if not (module + ".").startswith((exc.name or "") + "."):  # the program is there, and what it imports is not
            raise
        parser.error("there is no module %s in %s" % (module, Path.cwd()))
    for part in (name or "app").split("."):
        app = getattr(app, part, None)
    if not isinstance(app, Microdot):
        parser.error("%s is no application" % options.app)
    api = OpenAPI(**{key: value for key in ("title", "version") if (value := getattr(options, key))})
    for path in write(app, api, options.folder):
        print(path, path.stat().st_size)


if __name__ == "__main__":
    # The decorators of the program come from the module by its own name.
    importlib.import_module("microdot.openapi").main()
