"""What the stand-in for a CircuitPython board serves in the tests."""

import sys

import socketpool

from microdot import Microdot
from microdot.session import Session, with_session
from microdot.websocket import with_websocket

app = Microdot()
Session(app, secret_key="a key for this test, and no other")
ended = []


@app.get("/")
async def index(request):
    return "Hello, World!"


@app.get("/plain/<name>")
def plain(request, name):
    return {"hello": name}


@app.post("/body")
async def body(request):
    return request.body


@app.get("/visits")
@with_session
async def visits(request, session):
    session["visits"] = session.get("visits", 0) + 1
    session.save()
    return str(session["visits"])


class Chunks:
    """A streamed body; it never ends when `count` is 0."""

    def __init__(self, count, size):
        self.left = count
        self.endless = not count
        self.size = size

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left and not self.endless:
            raise StopAsyncIteration
        self.left -= 1
        return b"x" * self.size

    async def aclose(self):
        ended.append(1)


@app.get("/stream")
async def stream(request):
    return Chunks(5, 1000), 200, {"Content-Type": "text/plain"}


@app.get("/endless")
async def endless(request):
    return Chunks(0, 2000)


@app.get("/ended")
async def count(request):
    return str(len(ended))


@app.get("/echo")
@with_websocket
async def echo(request, ws):
    while True:
        await ws.send(await ws.receive())


@app.get("/fail")
async def fail(request):
    raise ValueError("what a traceback is printed of")


@app.get("/stop")
async def stop(request):
    app.shutdown()
    return "stopping"


app.max_connections = 4
app.head_timeout = app.body_timeout = app.write_timeout = app.idle_timeout = 0.5
for turn in range(3):
    if turn == 2:
        app.pool = socketpool.SocketPool("another radio")  # before that, the server finds one for itself
    app.run(host="127.0.0.1", port=int(sys.argv[1]))
    print("stopped with %d sockets open" % socketpool.SocketPool.opened)
