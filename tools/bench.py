"""Compare what a request costs on CPython: this project beside Microdot 2.7 and the frameworks people would pick instead.

    python tools/bench.py                                    every case, every server (about half an hour)
    python tools/bench.py --cases hello,json --rounds 5      some cases
    python tools/bench.py --servers here,microdot,aiohttp    some servers
    python tools/bench.py --markdown                         also write the tables into docs/performance.md

How it is measured
------------------
All servers of a case run at the same time, each a process of its own on 127.0.0.1, all on one core; the load generator
runs on the other. They are loaded one after the other, A B C A B C, so that a slow minute of the machine hits all of
them; the ratios are made within a round and the median of the rounds is shown. CPU per request is the server's
user and system time (/proc/PID/stat) over the requests answered: unlike requests per second it does not depend on the
load generator. Under 15 % apart means equal.

Before the load each server is asked once with http.client and its answer compared with the expected body. During it
every status counts: wrk's count of answers other than 2xx and of socket errors must be nought, otherwise the figure is
marked and the command ends with 1. WebSocket messages, which wrk cannot send, come from a load generator of a
few lines below, which compares every echo; it also serves for HTTP where wrk is missing (`--client python`).

Each peer lives in a virtual environment of its own below the cache folder (MICRODOT_CACHE, as in tools/provide.py), made
with pip by name, and runs as its own documentation says: ASGI frameworks under uvicorn with httptools and asyncio's own
loop, Sanic on uvloop because that is what installing it brings; everything else on asyncio's own loop. The case `uvloop`
has all of them on that one. No server writes an access log, all get the same request, and all answers have the same body.
An environment keeps the versions of the day on which it was made, which are printed; `--fresh` makes them anew.
Linux only: the CPU times come from /proc.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import json
import os
import platform
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import project
import provide
from size import table, write_page

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

# The servers ----------------------------------------------------------------------------------------------------------
#
# Each program takes the port and the application's name as arguments. "small" has a handful of routes, "fifty" has
# fifty, the one asked for being the last; "socket", "events" and "folder" need packages that not every installation has.

MICRODOT = """\
import sys
from microdot import Microdot, send_file
port, which, files = int(sys.argv[1]), sys.argv[2], sys.argv[3]
app = Microdot()
if which == 'small':
    @app.get('/')
    async def hello(request):
        return 'Hello, World!'

    @app.get('/json')
    async def as_json(request):
        return {'message': 'Hello, World!'}

    @app.post('/items')
    async def items(request):
        return {'count': len(request.json['items'])}

    @app.get('/files/<name>')
    async def file(request, name):
        return send_file(files + '/' + name)
elif which == 'folder':
    try:
        from microdot.static import Static
        Static(app, '/files', files)
    except ImportError:  # Microdot has no folders
        @app.get('/files/<path:name>')
        async def file(request, name):
            return send_file(files + '/' + name)
elif which == 'fifty':
    for n in range(25):
        @app.get('/static%d/page' % n)
        async def static(request):
            return 'static'
    for n in range(24):
        @app.get('/things%d/<int:id>/parts/<slug>' % n)
        async def thing(request, id, slug):
            return 'thing'

    @app.get('/users/<int:id>/posts/<slug>')
    async def post(request, id, slug):
        return '%d %s' % (id, slug)
elif which == 'socket':
    from microdot import Request
    from microdot.websocket import with_websocket

    @app.get('/echo')
    @with_websocket
    async def echo(request, ws):
        while True:
            await ws.send(await ws.receive())
elif which == 'events':
    from microdot.sse import with_sse

    @app.get('/events')
    @with_sse
    async def events(request, sse):
        for n in range(100):
            await sse.send('event number %d' % n)
if 'uvloop' in sys.argv:
    import uvloop
    uvloop.run(app.start_server(host='127.0.0.1', port=port))
else:
    app.run(host='127.0.0.1', port=port)
"""

MICRODOT_ASGI = """\
import os
from microdot import send_file
from microdot.asgi import Microdot
app = Microdot()

@app.get('/')
async def hello(request):
    return 'Hello, World!'

@app.get('/json')
async def as_json(request):
    return {'message': 'Hello, World!'}

@app.post('/items')
async def items(request):
    return {'count': len(request.json['items'])}

@app.get('/files/<name>')
async def file(request, name):
    return send_file(os.environ['BENCH_FILES'] + '/' + name)
"""

AIOHTTP = """\
import sys
from aiohttp import web
port, which, files = int(sys.argv[1]), sys.argv[2], sys.argv[3]
app = web.Application()
get = app.router.add_get

async def hello(request):
    return web.Response(text='Hello, World!')

async def as_json(request):
    return web.json_response({'message': 'Hello, World!'})

async def items(request):
    return web.json_response({'count': len((await request.json())['items'])})

async def file(request):
    return web.FileResponse(files + '/' + request.match_info['name'])

async def text(request):
    return web.Response(text='text')

async def post(request):
    return web.Response(text='%d %s' % (int(request.match_info['id']), request.match_info['slug']))

async def echo(request):
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws

async def events(request):
    response = web.StreamResponse(headers={'Content-Type': 'text/event-stream'})
    await response.prepare(request)
    for n in range(100):
        await response.write(b'data: event number %d\\n\\n' % n)
    return response

if which == 'fifty':
    for n in range(25):
        get('/static%d/page' % n, text)
    for n in range(24):
        get(r'/things%d/{id:\\d+}/parts/{slug}' % n, text)
    get(r'/users/{id:\\d+}/posts/{slug}', post)
else:
    get('/', hello)
    get('/json', as_json)
    app.router.add_post('/items', items)
    get('/files/{name}', file)
    get('/echo', echo)
    get('/events', events)
loop = None
if 'uvloop' in sys.argv:
    import uvloop
    loop = uvloop.new_event_loop()
web.run_app(app, host='127.0.0.1', port=port, access_log=None, print=None, loop=loop)
"""

SANIC = """\
import sys
from sanic import Sanic, response
port, which, files = int(sys.argv[1]), sys.argv[2], sys.argv[3]
app = Sanic('bench', configure_logging=False)
app.config.ACCESS_LOG = False

async def text(request, **arguments):
    return response.text('text')

if which == 'fifty':
    for n in range(25):
        app.add_route(text, '/static%d/page' % n, name='static%d' % n)
    for n in range(24):
        app.add_route(text, '/things%d/<id:int>/parts/<slug:str>' % n, name='things%d' % n)

    @app.get('/users/<id:int>/posts/<slug:str>')
    async def post(request, id, slug):
        return response.text('%d %s' % (id, slug))
else:
    @app.get('/')
    async def hello(request):
        return response.text('Hello, World!')

    @app.get('/json')
    async def as_json(request):
        return response.json({'message': 'Hello, World!'})

    @app.post('/items')
    async def items(request):
        return response.json({'count': len(request.json['items'])})

    @app.get('/files/<name:str>')
    async def file(request, name):
        return await response.file(files + '/' + name)

    @app.websocket('/echo')
    async def echo(request, ws):
        while True:
            await ws.send(await ws.recv())

    @app.get('/events')
    async def events(request):
        answer = await request.respond(content_type='text/event-stream')
        for n in range(100):
            await answer.send('data: event number %d\\n\\n' % n)
        await answer.eof()
app.run(host='127.0.0.1', port=port, single_process=True, access_log=False, motd=False)
"""

STARLETTE = """\
import os
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
which, files = os.environ['BENCH_APP'], os.environ['BENCH_FILES']

async def hello(request):
    return PlainTextResponse('Hello, World!')

async def as_json(request):
    return JSONResponse({'message': 'Hello, World!'})

async def items(request):
    return JSONResponse({'count': len((await request.json())['items'])})

async def file(request):
    return FileResponse(files + '/' + request.path_params['name'])

async def text(request):
    return PlainTextResponse('text')

async def post(request):
    return PlainTextResponse('%d %s' % (request.path_params['id'], request.path_params['slug']))

async def echo(ws):
    await ws.accept()
    async for message in ws.iter_text():
        await ws.send_text(message)

async def produced():
    for n in range(100):
        yield 'data: event number %d\\n\\n' % n

async def events(request):
    return StreamingResponse(produced(), media_type='text/event-stream')

if which == 'fifty':
    routes = [Route('/static%d/page' % n, text) for n in range(25)]
    routes += [Route('/things%d/{id:int}/parts/{slug}' % n, text) for n in range(24)]
    routes += [Route('/users/{id:int}/posts/{slug}', post)]
else:
    routes = [
        Route('/', hello), Route('/json', as_json), Route('/items', items, methods=['POST']),
        Route('/files/{name}', file), WebSocketRoute('/echo', echo), Route('/events', events),
    ]
app = Starlette(routes=routes)
"""

FALCON = """\
import os
import falcon.asgi
from falcon.asgi import SSEvent
which, files = os.environ['BENCH_APP'], os.environ['BENCH_FILES']
app = falcon.asgi.App()

class Hello:
    async def on_get(self, request, response):
        response.content_type = 'text/plain'
        response.text = 'Hello, World!'

class AsJSON:
    async def on_get(self, request, response):
        response.media = {'message': 'Hello, World!'}

class Items:
    async def on_post(self, request, response):
        response.media = {'count': len((await request.get_media())['items'])}

class Text:
    async def on_get(self, request, response, **arguments):
        response.text = 'text'

class Post:
    async def on_get(self, request, response, id, slug):
        response.content_type = 'text/plain'
        response.text = '%d %s' % (id, slug)

async def produced():
    for n in range(100):
        yield SSEvent(text='event number %d' % n)

class Events:
    async def on_get(self, request, response):
        response.sse = produced()

if which == 'fifty':
    for n in range(25):
        app.add_route('/static%d/page' % n, Text())
    for n in range(24):
        app.add_route('/things%d/{id:int}/parts/{slug}' % n, Text())
    app.add_route('/users/{id:int}/posts/{slug}', Post())
else:
    app.add_route('/', Hello())
    app.add_route('/json', AsJSON())
    app.add_route('/items', Items())
    app.add_static_route('/files', files)
    app.add_route('/events', Events())
"""

BLACKSHEEP = """\
import os
from blacksheep import Application, Request, json, text
which, files = os.environ['BENCH_APP'], os.environ['BENCH_FILES']
app = Application()

if which == 'fifty':
    async def page():
        return text('text')

    async def thing(id: int, slug: str):
        return text('text')

    for n in range(25):
        app.router.add_get('/static%d/page' % n, page)
    for n in range(24):
        app.router.add_get('/things%d/{id}/parts/{slug}' % n, thing)

    @app.router.get('/users/{id}/posts/{slug}')
    async def post(id: int, slug: str):
        return text('%d %s' % (id, slug))
else:
    @app.router.get('/')
    async def hello():
        return text('Hello, World!')

    @app.router.get('/json')
    async def as_json():
        return json({'message': 'Hello, World!'})

    @app.router.post('/items')
    async def items(request: Request):
        return json({'count': len((await request.json())['items'])})

    app.serve_files(files, root_path='files', extensions={'.bin'})
"""

# The floor: what asyncio itself costs. No parsing beyond the first line, no limits, no errors.
FLOOR = """\
import asyncio, os, sys
port, which, files = int(sys.argv[1]), sys.argv[2], sys.argv[3]
HELLO = b'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 13\\r\\n\\r\\nHello, World!'

class Floor(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.socket = False
        self.rest = b''

    def data_received(self, data):
        if self.socket:
            return self.frames(data)
        if data.startswith(b'GET / '):
            if b'Connection: close' in data:
                self.transport.write(HELLO.replace(b'\\r\\n', b'\\r\\nConnection: close\\r\\n', 1))
                self.transport.close()
            else:
                self.transport.write(HELLO)
        elif data.startswith(b'GET /files'):
            asyncio.ensure_future(self.file(data.split(b' ')[1].decode()[7:]))
        elif data.startswith(b'GET /events'):
            asyncio.ensure_future(self.events())
        else:
            self.upgrade(data)

    async def file(self, name):
        with open(files + '/' + name, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            self.transport.write(b'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n' % size)
            await asyncio.get_running_loop().sendfile(self.transport, file)

    async def events(self):
        self.transport.write(b'HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n'
                             b'Transfer-Encoding: chunked\\r\\n\\r\\n')
        parts = []
        for n in range(100):
            event = b'data: event number %d\\n\\n' % n
            parts.append(b'%x\\r\\n%s\\r\\n' % (len(event), event))
        parts.append(b'0\\r\\n\\r\\n')
        self.transport.write(b''.join(parts))

    def upgrade(self, data):
        import base64, hashlib
        key = data.lower().split(b'sec-websocket-key: ')[1]
        key = data[len(data) - len(key):].split(b'\\r\\n')[0]
        accept = hashlib.sha1(key + b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest()
        self.transport.write(b'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'
                             b'Sec-WebSocket-Accept: ' + base64.b64encode(accept) + b'\\r\\n\\r\\n')
        self.socket = True

    def frames(self, data):
        data = self.rest + data
        while len(data) >= 2:
            size, start = data[1] & 127, 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], 'big'), 4
            if len(data) < start + 4 + size:
                break
            mask = data[start:start + 4]
            payload = data[start + 4:start + 4 + size]
            key = int.from_bytes((mask * (size // 4 + 1))[:size], 'big')
            payload = (int.from_bytes(payload, 'big') ^ key).to_bytes(size, 'big')
            head = bytes((129, size)) if size < 126 else bytes((129, 126)) + size.to_bytes(2, 'big')
            self.transport.write(head + payload)
            data = data[start + 4 + size:]
        self.rest = data

async def main():
    server = await asyncio.get_running_loop().create_server(Floor, '127.0.0.1', port)
    await server.serve_forever()

asyncio.run(main())
"""

UVICORN = ("uvicorn", "httptools")


@dataclasses.dataclass(frozen=True)
class Peer:
    """A server to load: what is installed for it, its program, and whether uvicorn runs that, on which loop."""

    name: str
    title: str
    needs: tuple[str, ...]
    program: str
    uvicorn: bool = False
    ours: bool = False  # runs this checkout
    loop: str = "asyncio"  # Sanic chooses by itself


PEERS = {
    peer.name: peer
    for peer in (
        Peer("here", "this project", (), MICRODOT, ours=True),
        Peer("microdot", "Microdot", ("microdot==2.7.0",), MICRODOT),
        Peer("aiohttp", "aiohttp", ("aiohttp",), AIOHTTP),
        Peer("sanic", "Sanic", ("sanic", "uvloop"), SANIC, loop="uvloop"),
        Peer("blacksheep", "BlackSheep, uvicorn", ("blacksheep", *UVICORN), BLACKSHEEP, uvicorn=True),
        Peer("starlette", "Starlette, uvicorn", ("starlette", "websockets", *UVICORN), STARLETTE, uvicorn=True),
        Peer("falcon", "Falcon, uvicorn", ("falcon", *UVICORN), FALCON, uvicorn=True),
        Peer("floor", "bare asyncio Protocol", (), FLOOR),
        Peer("here-uvicorn", "this project, uvicorn", UVICORN, MICRODOT_ASGI, uvicorn=True, ours=True),
        Peer("microdot-uvicorn", "Microdot, uvicorn", ("microdot==2.7.0", *UVICORN), MICRODOT_ASGI, uvicorn=True),
        Peer("here-uvloop", "this project, uvloop", ("uvloop",), MICRODOT, ours=True, loop="uvloop"),
        Peer("aiohttp-uvloop", "aiohttp, uvloop", ("aiohttp", "uvloop"), AIOHTTP, loop="uvloop"),
        *(
            Peer(f"{name}-uvloop", f"{title}, uvicorn, uvloop", (*needs, *UVICORN, "uvloop"), program, True, loop="uvloop")
            for name, title, needs, program in (
                ("blacksheep", "BlackSheep", ("blacksheep",), BLACKSHEEP),
                ("starlette", "Starlette", ("starlette",), STARLETTE),
                ("falcon", "Falcon", ("falcon",), FALCON),
            )
        ),
    )
}
UVICORNS = ("here-uvicorn", "microdot-uvicorn", "starlette", "falcon", "blacksheep")
COMPLETE = ("here", "microdot", "aiohttp", "sanic", "blacksheep", "starlette", "falcon")


# The cases ------------------------------------------------------------------------------------------------------------

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Priority": "u=0, i",
}
ITEMS = json.dumps({"items": [{"id": n, "name": f"item {n}", "on": n % 2 == 0} for n in range(22)], "note": "x" * 14})
FILES = {"10k.bin": 10_240, "1m.bin": 1_048_576}


def _content(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


@dataclasses.dataclass(frozen=True)
class Case:
    """One kind of request, who answers it, and what the right answer is."""

    name: str
    title: str
    path: str
    peers: tuple[str, ...]
    right: Callable[[bytes], bool]
    app: str = "small"
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: str | None = None
    connections: int = 32
    message: int = 0  # bytes of a WebSocket message; 0: HTTP
    parts: int = 1  # what one answer counts for: 100 events


def _is_text(text: bytes) -> Callable[[bytes], bool]:
    return lambda body: body == text


def _is_json(value: object) -> Callable[[bytes], bool]:
    return lambda body: bool(json.loads(body) == value)


def _is_events(body: bytes) -> bool:
    found = re.findall(rb"data: ?event number (\d+)\r?\n", body)
    return [int(number) for number in found] == list(range(100))


CASES = {
    case.name: case
    for case in (
        Case("hello", "Hello world, kept alive", "/", (*COMPLETE, "floor"), _is_text(b"Hello, World!")),
        Case("json", "JSON", "/json", COMPLETE, _is_json({"message": "Hello, World!"})),
        Case(
            "routes",
            "Fifty routes, `/users/<int:id>/posts/<slug>`",
            "/users/42/posts/a-title",
            COMPLETE,
            _is_text(b"42 a-title"),
            app="fifty",
        ),
        Case(
            "browser",
            "Hello world with a browser's nine headers",
            "/",
            (*COMPLETE, "floor"),
            _is_text(b"Hello, World!"),
            headers=BROWSER,
        ),
        Case(
            "post",
            "1 KB of JSON posted",
            "/items",
            COMPLETE,
            _is_json({"count": 22}),
            headers={"Content-Type": "application/json"},
            body=ITEMS,
        ),
        Case("file10k", "10 KB file", "/files/10k.bin", (*COMPLETE, "floor"), _is_text(_content(10_240))),
        Case(
            "file1m", "1 MB file", "/files/1m.bin", (*COMPLETE, "floor"), _is_text(_content(1_048_576)), connections=8
        ),
        Case(
            "folder10k",
            "10 KB of a static folder (ETag, ranges, precompressed siblings; Microdot: `send_file`)",
            "/files/10k.bin",
            ("here", "microdot", "aiohttp"),
            _is_text(_content(10_240)),
            app="folder",
        ),
        Case(
            "folder1m",
            "1 MB of a static folder",
            "/files/1m.bin",
            ("here", "microdot", "aiohttp"),
            _is_text(_content(1_048_576)),
            app="folder",
            connections=8,
        ),
        Case(
            "close",
            "Hello world, a connection for each request",
            "/",
            (*COMPLETE, "floor"),
            _is_text(b"Hello, World!"),
            headers={"Connection": "close"},
        ),
        Case(
            "sse",
            "Server-sent events, per event (100 per answer)",
            "/events",
            ("here", "microdot", "aiohttp", "sanic", "starlette", "falcon", "floor"),
            _is_events,
            app="events",
            connections=8,
            parts=100,
        ),
        Case(
            "ws32",
            "WebSocket echo, 32 bytes",
            "/echo",
            ("here", "microdot", "aiohttp", "sanic", "starlette", "floor"),
            _is_text(b""),
            app="socket",
            message=32,
        ),
        Case(
            "ws4k",
            "WebSocket echo, 4 KB",
            "/echo",
            ("here", "microdot", "aiohttp", "sanic", "starlette", "floor"),
            _is_text(b""),
            app="socket",
            message=4096,
        ),
        Case(
            "uvicorn",
            "Hello world under uvicorn",
            "/",
            UVICORNS,
            _is_text(b"Hello, World!"),
        ),
        Case(
            "uvicorn-json",
            "JSON under uvicorn",
            "/json",
            UVICORNS,
            _is_json({"message": "Hello, World!"}),
        ),
        Case(
            "uvicorn-post",
            "1 KB of JSON posted, under uvicorn",
            "/items",
            UVICORNS,
            _is_json({"count": 22}),
            headers={"Content-Type": "application/json"},
            body=ITEMS,
        ),
        Case(
            "uvloop",
            "Hello world on uvloop",
            "/",
            ("here-uvloop", "aiohttp-uvloop", "sanic", "blacksheep-uvloop", "starlette-uvloop", "falcon-uvloop"),
            _is_text(b"Hello, World!"),
        ),
    )
}


# Environments and processes --------------------------------------------------------------------------------------------


def environment(peer: Peer, fresh: bool = False) -> Path:
    """Return the Python of the peer's virtual environment, made on first use; `fresh`: anew, with today's versions."""
    version = "".join(map(str, sys.version_info[:2]))
    name = "-".join(["bare" if not peer.needs else peer.name.removeprefix("here-"), "py" + version])
    folder = provide.cache() / "bench" / name
    python = folder / "bin" / "python"
    ready = folder / "ready"
    wanted = " ".join(peer.needs)
    if ready.exists() and ready.read_text() == wanted and not fresh:
        return python
    print(f"bench: making an environment with {wanted or 'nothing'}", file=sys.stderr)
    venv.create(folder, clear=True, with_pip=bool(peer.needs))
    if peer.needs:
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.needs]
        subprocess.run(command, check=True, timeout=600)
    ready.write_text(wanted)
    return python


def versions(peer: Peer) -> str:
    """Return "name version, …" of what was installed by name."""
    if peer.ours and not peer.needs:
        return next(package.version for package in project.packages() if package.name == project.CORE)
    names = [need.split("==")[0] for need in peer.needs]
    program = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    done = subprocess.run([str(environment(peer)), "-c", program, *names], capture_output=True, text=True, timeout=30)
    return ", ".join(f"{name} {number}" for name, number in zip(names, done.stdout.split()))


def cores() -> tuple[set[int], set[int]]:
    """Return the core for the servers and the one for the load; the same one when there is no other."""
    own = sorted(os.sched_getaffinity(0))
    return {own[0]}, {own[-1]}


class Unable(Exception):
    """The peer cannot serve this case; the message says why."""


class Running:
    """A server process, and its CPU time."""

    ends_by_closing = False  # its answer has neither a length nor chunks

    def __init__(self, peer: Peer, case: Case, files: Path) -> None:
        self.peer = peer
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        (self.folder / "served.py").write_text(peer.program)
        python = str(environment(peer))
        if peer.uvicorn:
            command = [python, "-m", "uvicorn", "served:app", "--host", "127.0.0.1", "--port", str(self.port)]
            command += ["--http", "httptools", "--loop", peer.loop, "--no-access-log", "--log-level", "error"]
        else:
            command = [python, "served.py", str(self.port), case.app, str(files), peer.loop]
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        own |= {"BENCH_APP": case.app, "BENCH_FILES": str(files)}
        if peer.ours:
            own["PYTHONPATH"] = os.pathsep.join(str(p.source.parent) for p in project.packages())
        self.output = open(self.folder / "output", "w+b")
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            preexec_fn=lambda: os.sched_setaffinity(0, cores()[0]),
        )
        try:
            self._check(case)
        except BaseException:
            self.close()
            raise

    def _check(self, case: Case) -> None:
        """Wait until the server is up and compare one answer."""
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise Unable(f"did not start: {self.said()}") from None
                time.sleep(0.02)
        if case.message:
            return  # every echo is compared anyway
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            method = "POST" if case.body else "GET"
            connection.request(method, case.path, case.body, {"Connection": "close"} | case.headers)
            answer = connection.getresponse()
            self.ends_by_closing = answer.length is None and not answer.chunked
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unable(f"no answer: {type(error).__name__} {error}: {self.said()}") from None
        finally:
            connection.close()
        if answer.status != 200 or not case.right(body):
            raise Unable(f"wrong answer: {answer.status} {body[:80]!r}")

    def said(self) -> str:
        self.output.flush()
        lines = (self.folder / "output").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def cpu(self) -> float:
        """Return the user and system time of the process so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()
        shutil.rmtree(self.folder, ignore_errors=True)


# The load -------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Load:
    """What a load generator reports."""

    answered: int
    seconds: float
    errors: int
    trouble: str = ""


def with_wrk(case: Case, server: Running, seconds: float, folder: Path) -> Load:
    """Load with wrk."""
    command = ["wrk", "-t1", f"-c{case.connections}", f"-d{max(1, round(seconds))}s", "--timeout", "5s"]
    for name, value in case.headers.items():
        command += ["-H", f"{name}: {value}"]
    if case.body:
        script = folder / "post.lua"
        script.write_text(f"wrk.method = 'POST'\nwrk.body = [[{case.body}]]\n")
        command += ["-s", str(script)]
    command.append(f"http://127.0.0.1:{server.port}{case.path}")
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        preexec_fn=lambda: os.sched_setaffinity(0, cores()[1]),
    )
    found = re.search(r"(\d+) requests in ([\d.]+)(m?s)", done.stdout)
    if not found:
        return Load(0, seconds, 1, (done.stdout + done.stderr).strip()[-200:])
    errors, trouble = 0, []
    for line in done.stdout.splitlines():
        if "Non-2xx" in line or "Socket errors" in line:
            errors += sum(map(int, re.findall(r"\b(\d+)\b", line.replace("2xx", "").replace("3xx", ""))))
            trouble.append(line.strip())
    answered = int(found[1])
    if server.ends_by_closing and not any("Non-2xx" in line for line in trouble):
        # wrk calls the end of such an answer a read error, though it has counted the answer (the last ones of a run
        # are cut off by wrk itself).
        errors = max(0, errors - answered - case.connections)
    took = float(found[2]) / (1000 if found[3] == "ms" else 1)
    return Load(answered, took, errors, "; ".join(trouble) if errors else "")


def with_python(case: Case, port: int, seconds: float) -> Load:
    """Load with the generator below, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--generate", case.name, str(port), str(seconds)],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        preexec_fn=lambda: os.sched_setaffinity(0, cores()[1]),
    )
    if done.returncode:
        return Load(0, seconds, 1, done.stderr.strip()[-200:])
    return Load(**json.loads(done.stdout))


def request_bytes(case: Case) -> bytes:
    lines = [f"{'POST' if case.body else 'GET'} {case.path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in case.headers.items()]
    if case.body:
        lines.append(f"Content-Length: {len(case.body)}")
    return "\r\n".join([*lines, "", case.body or ""]).encode()


class Talk:
    """One connection of the generator: the request or message out, the whole answer in, again."""

    def __init__(self, case: Case, port: int) -> None:
        self.case = case
        self.port = port
        self.data = bytearray()
        if case.message:
            text = (b"0123456789abcdef" * (case.message // 16 + 1))[: case.message]
            size = case.message
            mask = b"\x5a\xa5\x0f\xf0"
            masked = bytes(byte ^ mask[n & 3] for n, byte in enumerate(text))
            length = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
            self.out = b"\x81" + bytes((length[0] | 0x80,)) + length[1:] + mask + masked
            self.reply = b"\x81" + length + text
        else:
            self.out = request_bytes(case)
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), 5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.case.message:
            self.socket.sendall(
                f"GET {self.case.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            head = b""
            while b"\r\n\r\n" not in head:
                piece = self.socket.recv(4096)
                if not piece:
                    raise ConnectionError("closed in the handshake")
                head += piece
            if b" 101 " not in head.split(b"\r\n")[0]:
                raise ConnectionError(f"refused: {head[:60]!r}")
        self.socket.sendall(self.out)

    def arrived(self, data: bytes) -> bool | None:
        """Take bytes, b"" being the end. Return True for a right answer, False for a wrong one, None for not yet."""
        self.data += data
        if self.case.message:
            if not data:
                return False
            if len(self.data) < len(self.reply):
                return None
            right = self.data == self.reply
            self.data.clear()
            return right
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return None if data else False
        head = bytes(self.data[:end]).lower() + b"\r\n"
        length = re.search(rb"\r\ncontent-length: *(\d+)\r\n", head)
        if length:
            done = len(self.data) >= end + 4 + int(length[1])
        elif b"\r\ntransfer-encoding: chunked\r\n" in head:
            done = self.data.endswith(b"\r\n0\r\n\r\n") or self.data[end + 4 :] == b"0\r\n\r\n"
        else:
            done = not data
        if not done:
            return None if data else False
        right = head.startswith((b"http/1.1 200 ", b"http/1.0 200 "))
        self.stays = head.startswith(b"http/1.1") and b"\r\nconnection: close\r\n" not in head and bool(data)
        self.data.clear()
        return right

    stays = True


def generate(case: Case, port: int, seconds: float) -> Load:
    """Keep `case.connections` requests in flight for so many seconds, one per connection."""
    poll = select.epoll()
    talks: dict[int, Talk] = {}
    load = Load(0, 0, 0)

    def again(talk: Talk) -> None:
        talk.open()
        talks[talk.socket.fileno()] = talk
        poll.register(talk.socket, select.EPOLLIN)

    for _ in range(case.connections):
        talk = Talk(case, port)
        talks[talk.socket.fileno()] = talk
        poll.register(talk.socket, select.EPOLLIN)
    start = time.monotonic()
    while (now := time.monotonic()) < start + seconds and load.errors < 100:
        for number, _ in poll.poll(0.2):
            talk = talks[number]
            try:
                data = talk.socket.recv(262144)
            except OSError as error:
                data, load.trouble = b"", str(error)
            right = talk.arrived(data)
            if right is None:
                continue
            load.answered += right
            load.errors += not right
            try:
                if right and talk.stays:
                    talk.socket.sendall(talk.out)
                    continue
                poll.unregister(talk.socket)
                del talks[number]
                talk.socket.close()
                talk.data.clear()
                again(talk)
            except OSError as error:
                load.errors += 1
                load.trouble = str(error)
                if talk.socket.fileno() in talks:
                    poll.unregister(talk.socket)
                    del talks[talk.socket.fileno()]
    load.seconds = now - start
    for talk in talks.values():
        talk.socket.close()
    return load


# A case ---------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Result:
    """The rounds of one server in one case: CPU microseconds and requests per second of each."""

    peer: Peer
    cpu: list[float] = dataclasses.field(default_factory=list)
    rate: list[float] = dataclasses.field(default_factory=list)
    errors: int = 0
    trouble: str = ""


def available(name: str, case: Case) -> bool:
    """Say whether this checkout has the package that the case needs."""
    if not PEERS[name].ours:
        return True
    needs = {"socket": "websocket", "events": "sse", "folder": "static"}.get(case.app, "asgi" if PEERS[name].uvicorn else "app")
    return any((package.source / f"{needs}.py").exists() for package in project.packages())


@contextmanager
def served(names: Sequence[str], case: Case, files: Path) -> Iterator[list[Running]]:
    with ExitStack() as stack:
        running = []
        for name in names:
            try:
                server = Running(PEERS[name], case, files)
            except Unable as error:
                print(f"bench: {case.name}: {name}: {error}", file=sys.stderr)
                continue
            stack.callback(server.close)
            running.append(server)
        yield running


def run_case(case: Case, names: Sequence[str], rounds: int, seconds: float, client: str, files: Path) -> list[Result]:
    """Load every server of a case in turn, so many times."""

    def load(server: Running, time_limit: float) -> Load:
        if client == "python" or case.message:
            return with_python(case, server.port, time_limit)
        return with_wrk(case, server, time_limit, files)

    with served([name for name in names if available(name, case)], case, files) as running:
        results = [Result(server.peer) for server in running]
        for server in running:
            load(server, 1)  # warms caches and the interpreter's specialised bytecode
        for _ in range(rounds):
            for server, result in zip(running, results):
                before = server.cpu()
                done = load(server, seconds)
                spent = server.cpu() - before
                result.errors += done.errors
                result.trouble = done.trouble or result.trouble
                answered = max(1, done.answered) * case.parts
                result.cpu.append(1e6 * spent / answered)
                result.rate.append(answered / done.seconds)
    return results


def ratios(result: Result, base: Result | None) -> str:
    if base is None or base is result:
        return "1.00" if base else "-"
    return f"{statistics.median(a / b for a, b in zip(result.cpu, base.cpu)):.2f}"


def rows(results: list[Result]) -> list[list[str]]:
    by_name = {result.peer.name.removesuffix("-uvicorn").removesuffix("-uvloop"): result for result in results}
    microdot, aiohttp = by_name.get("microdot"), by_name.get("aiohttp")
    out = [["server", "CPU µs, median", "best", "of Microdot's", "of aiohttp's", "per second", "errors"]]
    for result in sorted(results, key=lambda one: statistics.median(one.cpu)):
        out.append(
            [
                result.peer.title,
                f"{statistics.median(result.cpu):.1f}",
                f"{min(result.cpu):.1f}",
                ratios(result, microdot),
                ratios(result, aiohttp),
                f"{statistics.median(result.rate):,.0f}",
                str(result.errors),
            ]
        )
    return out


# Output ---------------------------------------------------------------------------------------------------------------


def chosen(option: str | None, known: dict[str, Any], what: str) -> list[str]:
    names = option.split(",") if option else list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"bench: no {what} {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Compare CPU per request with Microdot 2.7 and other frameworks.")
    parser.add_argument("--cases", help=f"of {','.join(CASES)}")
    parser.add_argument("--servers", help=f"of {','.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=5, help="how often each server is loaded, 1 to 50 (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="of load each time, 1 to 60 (default 2)")
    parser.add_argument("--client", choices=("wrk", "python"), default="wrk" if shutil.which("wrk") else "python")
    parser.add_argument("--markdown", action="store_true", help="write the tables into docs/performance.md")
    parser.add_argument("--fresh", action="store_true", help="make the environments of the chosen servers anew")
    parser.add_argument("--json", metavar="FILE", help="also write every round into a file")
    parser.add_argument("--generate", nargs=3, metavar=("CASE", "PORT", "SECONDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.generate:
        name, port, seconds = options.generate
        print(json.dumps(dataclasses.asdict(generate(CASES[name], int(port), min(60, float(seconds))))))
        return
    if not Path("/proc/self/stat").exists():
        raise SystemExit("bench: needs Linux, the CPU times come from /proc")
    rounds, seconds = min(50, max(1, options.rounds)), min(60.0, max(1.0, options.seconds))
    wanted = chosen(options.servers, PEERS, "server")
    if options.fresh:
        for name in wanted:
            environment(PEERS[name], fresh=True)
    text, raw, errors, used = [], {}, 0, set()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        files = Path(folder)
        for name, size in FILES.items():
            (files / name).write_bytes(_content(size))
        for name in chosen(options.cases, CASES, "case"):
            case = CASES[name]
            results = run_case(
                case, [peer for peer in case.peers if peer in wanted], rounds, seconds, options.client, files
            )
            if not results:
                continue
            text.append(f"### {case.title}\n\n{table(rows(results))}")
            print(text[-1] + "\n", flush=True)
            raw[name] = {result.peer.name: {"cpu": result.cpu, "rate": result.rate} for result in results}
            used |= {result.peer.name for result in results}
            for result in results:
                errors += result.errors
                if result.errors:
                    print(f"bench: {name}: {result.peer.name}: {result.trouble}", file=sys.stderr)
    generator = "wrk" if options.client == "wrk" else "the generator of tools/bench.py"
    about = (
        f"{date.today().isoformat()}, {platform.python_implementation()} {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, load by {generator}; {rounds} rounds of {seconds:g} s each. "
        + "; ".join(f"{PEERS[name].title}: {versions(PEERS[name]) or 'no packages'}" for name in PEERS if name in used)
        + "."
    )
    print(about)
    if options.json:
        Path(options.json).write_text(json.dumps({"about": about, "cases": raw}, indent=1))
    if options.markdown:
        write_page("bench", "\n\n".join([about, *text]))
    raise SystemExit(1 if errors else 0)


if __name__ == "__main__":
    main()
