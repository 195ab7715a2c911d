"""Mistakes that mypy --strict must find; it would accept all of them if the packages' types were not seen."""

from microdot import Microdot, Request, Respons  # expect: error

app = Microdot()


@app.get("/")
async def index(request: Request) -> str:
    return request.nothing  # expect: error


app.route(5)  # expect: error
app.run(port="5000")  # expect: error
