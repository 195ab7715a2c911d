"""An application with one of everything that a description can have. `PORT=… python shop.py` serves it."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from microdot import Microdot, Request, Response, abort
from microdot.auth import BasicAuth, TokenAuth
from microdot.metrics import Metrics
from microdot.openapi import OpenAPI, describe
from microdot.session import Session, with_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from microdot.session import SessionDict


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Item:
    """Something to buy."""

    name: Annotated[str, {"minLength": 1, "maxLength": 40}]
    price: float
    color: Color = Color.RED
    tags: list[str] = field(default_factory=list)
    parts: list[Item] = field(default_factory=list)


class Page(TypedDict):
    items: list[dict[str, Any]]
    next: int | None


app = Microdot()
api = app.install(OpenAPI("Shop", "1.2", "Sells *things*."))
app.install(Metrics())
Session(app, secret_key="k" * 32)
basic = BasicAuth()
token = TokenAuth()
key = TokenAuth(header="X-API-Key")
items: dict[int, dict[str, Any]] = {1: {"name": "spoon", "price": 1.5, "color": "red", "tags": [], "parts": []}}


@basic.authenticate
async def who(request: Request, name: str, password: str) -> str | None:
    return name if password == "secret" else None


async def whose(request: Request, value: str) -> str | None:
    return "ann" if value == "t0ken" else None


token.authenticate(whose)
key.authenticate(whose)


@app.get("/items")
@describe(query={"start": int | None, "color": Literal["red", "blue"] | None}, tags=["items"])
async def list_items(request: Request) -> Page:
    """List what there is.

    Ten at a time, from `start` on.
    """
    try:
        start = int(request.args.get("start", "0"))
    except ValueError:
        abort(400, "start: give an integer")
    found = [item for number, item in sorted(items.items()) if number >= start]
    return {"items": found[:10], "next": None}


@app.post("/items")
@describe(body=Item, responses={201: Item, 400: "No item"}, tags=["items"])
@token
async def add_item(request: Request) -> Any:
    """Add an item."""
    item = request.json
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not 0 < len(item["name"]) <= 40:
        abort(400, "No item")
    price = item.get("price")
    if not isinstance(price, (int, float)) or isinstance(price, bool) or item.get("color", "red") not in ("red", "blue"):
        abort(400, "No item")
    items[2] = {"name": item["name"], "price": price, "color": item.get("color", "red"), "tags": [], "parts": []}
    return items[2], 201


@app.get("/items/<int:number>")
@describe(responses={200: Item, 404: "No such item"}, tags=["items"])
async def get_item(request: Request, number: int) -> Any:
    """Return one item."""
    if number not in items:
        abort(404, "No such item")
    return items[number]


@app.delete("/items/<int:n>")
@basic
async def remove_item(request: Request, n: int) -> None:
    """Remove an item."""
    items.pop(n, None)


@app.get("/greeting/<language>")
async def greet(request: Request, language: Literal["en", "de"]) -> str:
    return "hello"


HOSTILE = "</p></script><img src=x onerror=\"hacked = 1\"><script>hacked = 1</script>{{7*7}}"


@app.get("/files/<path:name>")
@describe(
    summary=HOSTILE,
    description=HOSTILE,
    tags=[HOSTILE],
    operation_id='"><img src=x onerror="hacked = 1">',
    responses={200: (HOSTILE, str)},
)
async def file(request: Request, name: str) -> str:
    return name


@app.get("/codes/<re:[a-z]{3}:code>/<path:rest>")
@key
async def code(request: Request, code: str, rest: str) -> dict[str, str]:
    return {"code": code, "rest": rest}


@app.get("/visits")
@with_session
async def visits(request: Request, session: SessionDict) -> dict[str, int]:
    """Count the visits of a browser."""
    session["visits"] = session.get("visits", 0) + 1
    session.save()
    return {"visits": session["visits"]}


@app.get("/me")
@basic.optional
async def me(request: Request) -> tuple[dict[str, str | None], int]:
    return {"user": request.g.current_user}, 200


@app.get("/raw")
@describe(security=[], deprecated=True, operation_id="rawData")
async def raw(request: Request) -> bytes | Response:
    return b"\x00\x01"


@app.get("/count")
async def count(request: Request) -> Iterator[str]:
    return iter(["1\n", "2\n"])


@app.get("/secret")
@describe(hidden=True)
async def secret(request: Request) -> str:
    return "not told"


other = Microdot()


@other.get("/<string:name>")
async def get_item_by_name(request: Request, name: str) -> str:
    """Find what the number did not."""
    return name


@other.route("/both", methods=["GET", "PUT", "QUERY"])
async def both(request: Request) -> str:
    return "both"


app.mount(other, "/items")

if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ["PORT"]))
