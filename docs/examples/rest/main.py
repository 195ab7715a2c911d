"""A REST API: plants that want water. JSON in and out, also for errors; 201 with Location, 204, 404, 405, 409, 415.

    python main.py [PORT [HOST]]

described.py adds the OpenAPI document and a page to try the API; it stays on the computer.
"""

import json
import sys

from microdot import Microdot, Request, Response, abort, send_file

HERE = __file__.rpartition("/")[0] or "."
MOST = 50  # plants: what clients send must not fill the heap

app = Microdot()
plants: "dict[int, dict[str, object]]" = {}
last = 0  # the number given last: none is given twice


def checked(request: Request) -> "dict[str, object]":
    """Return the plant in the body of a request: {"name": str, "days": int}, the days between waterings."""
    if not (request.content_type or "").startswith("application/json"):
        abort(415, "send application/json")
    plant = request.json
    if not isinstance(plant, dict):
        abort(400, "send an object")
    name, days = plant.get("name"), plant.get("days", 7)
    if not isinstance(name, str) or not 1 <= len(name) <= 40:
        abort(400, "name: give 1 to 40 characters")
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 365:
        abort(400, "days: give an integer from 1 to 365")
    return {"name": name, "days": days}


def find(number: int) -> "dict[str, object]":
    """Return a plant, or answer 404."""
    if number not in plants:
        abort(404, "no plant %d" % number)
    return plants[number]


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


@app.get("/plants")
async def list_plants(request: Request) -> "list[dict[str, object]]":
    """List the plants in the order of their numbers."""
    return [plants[number] for number in sorted(plants)]


@app.post("/plants")
async def add_plant(request: Request) -> "tuple[dict[str, object], int, dict[str, str]]":
    """Add a plant; its address is in Location."""
    global last
    plant = checked(request)
    if len(plants) >= MOST:
        abort(409, "there are %d plants: delete one first" % MOST)
    last += 1
    plant["number"] = last
    plants[last] = plant
    return plant, 201, {"Location": "/plants/%d" % last}


@app.get("/plants/<int:number>")
async def get_plant(request: Request, number: int) -> "dict[str, object]":
    """Return one plant."""
    return find(number)


@app.put("/plants/<int:number>")
async def put_plant(request: Request, number: int) -> "dict[str, object]":
    """Change a plant."""
    plant = find(number)
    plant.update(checked(request))
    return plant


@app.delete("/plants/<int:number>")
async def delete_plant(request: Request, number: int) -> "tuple[str, int]":
    """Delete a plant."""
    find(number)
    del plants[number]
    return "", 204


@app.after_error_request
async def error_as_json(request: "Request | None", response: Response) -> None:
    """Say every error in JSON: those of abort(), and those of the framework, such as 405."""
    text = response.body
    response.body = json.dumps({"error": text.decode() if isinstance(text, bytes) else str(text)}).encode()
    response.headers["Content-Type"] = "application/json"


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    app.run(host=sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0", port=port)
