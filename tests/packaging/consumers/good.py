"""A program that mypy --strict must accept, with nothing but the installed packages."""

from microdot import Microdot, Request, Response, abort, redirect
from microdot.test_client import TestClient

app = Microdot()


@app.get("/")
async def index(request: Request) -> str:
    return "hello"


@app.get("/device/<int:number>")
async def device(request: Request, number: int) -> dict[str, int]:
    if number > 9:
        abort(404)
    return {"number": number}


@app.get("/old")
async def old(request: Request) -> Response:
    return redirect("/")


@app.before_request
async def log(request: Request) -> None:
    print(request.method, request.path)


client = TestClient(app)
