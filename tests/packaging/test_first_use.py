"""What is loaded when it is first asked for works when it is the first that is asked for, on a board.

Other tests come to a name after many others, and then everything is there already. Here each has an interpreter of its own;
what it prints is what Microdot 2.7 prints.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from upy import board_tree

APP = """\
from asyncio import run
from microdot import Microdot, Request, Response
app = Microdot()
def request(url="/", body=None, method="GET", **headers):
    names = {name.replace("_", "-"): headers[name] for name in headers}
    return Request(app, ("1.2.3.4", 5), method, url, "1.0", names, body=body)
"""
PATTERN = "from microdot import URLPattern\n"
SESSION = APP + "from microdot.session import Session, SessionDict\nsession = Session(app, 'k' * 40)\n"
LOGIN = SESSION + "from microdot.login import Login\nlogin = Login()\nlogin.user_loader(lambda id: None)\n"
SOCKET = "from microdot.websocket import WebSocket, WebSocketError\nws = WebSocket(None)\n"

# (program, what it prints)
FIRST = (
    (PATTERN + "print(URLPattern('/<a>/<int:b>').match('/x/5') == {'a': 'x', 'b': 5})", "True"),
    (PATTERN + "print(URLPattern('/x').match('/x'), URLPattern('/x').match('/y'))", "{} None"),
    (PATTERN + "print(URLPattern('/<re:[a-c]+:id>').match('/ab'), URLPattern('/a'))", "{'id': 'ab'} URLPattern: /a"),
    (PATTERN + "print(sorted(URLPattern.segment_patterns))", "['int', 'path', 'string']"),
    (PATTERN + "URLPattern.register_type('hex', parser=lambda s: int(s, 16))\nprint(URLPattern('/<hex:x>').match('/ff'))", "{'x': 255}"),
    (PATTERN + "URLPattern.register_type('string', '[a-z]+')\nprint(URLPattern('/<x>').match('/AB'))", "None"),
    (PATTERN + "URLPattern.register_type('path', '[a-z/]+')\nprint(URLPattern('/<path:x>').match('/a/b'))", "{'x': 'a/b'}"),
    ("from asyncio import run\nfrom microdot import AsyncBytesIO\nprint(run(AsyncBytesIO(b'a\\nb').readline()))", r"b'a\n'"),
    ("from microdot import iscoroutine\nprint(iscoroutine(5))", "False"),
    ("from microdot import abort\ntry: abort(404)\nexcept Exception as e: print(e.status_code, e.reason)", "404 404 error"),
    ("from microdot import redirect\nprint(redirect('/x', 301).headers)", "{'Location': '/x'}"),
    ("from microdot import send_file\ntry: send_file('absent')\nexcept OSError: print('absent')", "absent"),
    ("from microdot.microdot import NoCaseDict\nd = NoCaseDict({'A': 1})\nd['a'] = 2\nprint(d['A'], 'a' in d, len(d))", "2 True 1"),
    ("from microdot.microdot import MultiDict\nd = MultiDict({'A': 1})\nd['A'] = 2\nprint(d['A'], d.getlist('A'))", "1 [1, 2]"),
    ("from microdot.microdot import HTTPException\nprint(HTTPException(404).reason)", "404 error"),
    ("from microdot.microdot import urldecode, urlencode\nprint(urlencode('?a=b'), urldecode('%2f%%'))", "%3Fa%3Db /%%"),
    ("from asyncio import run\nfrom microdot.microdot import invoke_handler\nprint(run(invoke_handler(lambda x: x, 1)))", "1"),
    ("from microdot.microdot import MUTED_SOCKET_ERRORS\nprint(sorted(MUTED_SOCKET_ERRORS))", "[32, 54, 104, 128]"),
    ("from microdot import sse, static\nfrom microdot.sse import SSE\nprint(sse.SSE is SSE, static.Static.__name__)", "True Static"),
    ("import microdot\nprint(hasattr(microdot, 'nothing'), getattr(microdot, 'x', 5))", "False 5"),
    (APP + "import sys\nfrom microdot.cors import CORS\nCORS(app, allowed_origins='*')\nprint('microdot.compat' in sys.modules)", "False"),
    (APP + "print(app.url_map, app.before_request_handlers, app.error_handlers, app.server)", "[] [] {} None"),
    (APP + "print(app.options_handler(request(method='OPTIONS')))", "{'Allow': 'OPTIONS'}"),
    (APP + "app.mount(Microdot(), '/x', local=True)\nprint(app.url_map)", "[]"),
    (APP + "app.errorhandler(404)(lambda r: 'x')\nprint(run(app.dispatch_request(request())).body)", "b'x'"),
    (APP + "app.after_error_request(lambda q, r: 'new')\nprint(run(app.dispatch_request(request())).body)", "b'new'"),
    (APP + "app.query('/a')(len)\napp.put('/a')(len)\napp.patch('/a')(len)\nprint(len(app.url_map))", "3"),
    (APP + "print(app.find_route(request())[0], run(app.error_response(request(), 404, 'x')))", "404 ('x', 404)"),
    (APP + "print(run(app.dispatch_request(None)).body)", "b'Bad request'"),
    (APP + "r = request('/a?b=c&b=d')\nprint(r.query_string, r.args['b'], r.args.getlist('b'))", "b=c&b=d c ['c', 'd']"),
    (APP + "print(request(Cookie='a=b').cookies)", "{'a': 'b'}"),
    (APP + "print(request('/', b'[1]', Content_Type='application/json').json)", "[1]"),
    (APP + "print(request('/', b'a=1', Content_Type='application/x-www-form-urlencoded').form['a'])", "1"),
    (APP + "print(run(request('/', b'abc').stream.read()))", "b'abc'"),
    (APP + "r = request()\nr.g.x = 5\nprint(r.g.x, r.files, r.scheme, r.after_request(len) is len)", "5 None http True"),
    (APP + "r = Response()\nr.set_cookie('a', 'b', path='/', max_age=5)\nprint(r.headers['Set-Cookie'])", "['a=b; Path=/; Max-Age=5']"),
    (APP + "r = Response('x')\nr.complete()\nprint(r.headers['content-length'])", "1"),
    (APP + "print(Response.redirect('/x').headers, Response.types_map['html'])", "{'Location': '/x'} text/html"),
    (SOCKET + "print(ws._process_websocket_frame(1, b'foo'), ws._process_websocket_frame(9, b'x'))", "(None, 'foo') (10, b'x')"),
    (SOCKET + "try: ws._process_websocket_frame(8, b'')\nexcept WebSocketError as e: print(e)", "Websocket connection closed"),
    (SOCKET + "ws.closed = True\nfrom asyncio import run\nprint(run(ws.close()))", "None"),
    ("from microdot.websocket import websocket_upgrade, websocket_wrapper\nprint(callable(websocket_upgrade))", "True"),
    ("from asyncio import run\nfrom microdot.sse import SSE\ns = SSE()\nrun(s.send('x', 'event', '1', 2))\nprint(len(s.queue))", "1"),
    (SESSION + "print(session.decode(session.encode({'a': 1})), session.decode('x'))", "{'a': 1} {}"),
    (SESSION + "s = session.get(request())\ns['a'] = 1\ns.save()\ns.delete()\nprint(type(s).__name__)", "SessionDict"),
    (APP + "from microdot.auth import BasicAuth\nprint(run(BasicAuth().authentication_error(request()))[1])", "401"),
    (LOGIN + "print(run(login(lambda r: 'x')(request('/foo'))))", "('', 302, {'Location': '/login?next=/foo'})"),
    (LOGIN + "class User: id = 1\nprint(run(login.login_user(request(), User(), remember=True)).status_code)", "302"),
    (LOGIN + "r = request()\nrun(login.logout_user(r))\nprint(r.g.current_user)", "None"),
    (APP + "from microdot.cors import CORS\nprint(CORS(app, allowed_origins='*').options_handler(request())['Allow'])", "OPTIONS"),
    (APP + "from microdot.csrf import CSRF\nprint(CSRF(app).exempt(len) is len)", "True"),
    (APP + "from microdot.multipart import with_form_data\nprint(run(with_form_data(lambda r: r.form)(request())))", "None"),
    (APP + "from microdot.test_client import TestClient\nprint(run(TestClient(app).get('/')).text)", "Not found"),
    ("from microdot.helpers import wraps\n@wraps(len)\ndef f(): return 5\nprint(f())", "5"),
)


@pytest.fixture(scope="module")
def tree() -> Path:
    return board_tree()


@pytest.mark.parametrize(("program", "printed"), FIRST)
def test_first(program: str, printed: str, tree: Path, micropython32: Path) -> None:
    environment = dict(os.environ, MICROPYPATH=f"{tree}:.frozen")
    done = subprocess.run(
        [micropython32, "-c", program], env=environment, cwd=tree, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.strip() == printed, done.stdout + done.stderr
