"""The API of main.py with its OpenAPI document at /openapi.json, and at /docs a page to try it. CPython only.

    python described.py [PORT [HOST]]                           serve it
    python -m microdot.openapi described:app . --title Plants   write both as files, which a board can serve
"""

import sys
from typing import Annotated, TypedDict

from main import add_plant, app, delete_plant, get_plant, index, list_plants, put_plant  # type: ignore[import-not-found]  # beside this file

from microdot.openapi import OpenAPI, describe


class NewPlant(TypedDict):
    """A plant as it is sent."""

    name: Annotated[str, {"minLength": 1, "maxLength": 40}]
    days: Annotated[int, {"minimum": 1, "maximum": 365}]


class Plant(NewPlant):
    """A plant as it is kept."""

    number: int


class Problem(TypedDict):
    """Why not."""

    error: str


describe(hidden=True)(index)
describe(responses={200: list[Plant]})(list_plants)
describe(body=NewPlant, responses={201: Plant, 400: Problem, 409: Problem, 415: Problem})(add_plant)
describe(responses={200: Plant, 404: Problem})(get_plant)
describe(body=NewPlant, responses={200: Plant, 400: Problem, 404: Problem, 415: Problem})(put_plant)
describe(responses={204: "deleted", 404: Problem})(delete_plant)
app.install(OpenAPI("Plants", "1.0", "Plants that want water."))

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    app.run(host=sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0", port=port)
