"""Serve the device dashboard from installed packages: what the README calls the first command.

    python3 tools/demo.py                     on CPython
    python3 tools/demo.py --micropython       on MicroPython, in a 64 KB heap
    python3 tools/demo.py --once              serve, ask once as a browser would, and end

It needs Python 3.10 or newer. It builds the wheel of microdot-core, installs it in an environment of its own and runs
docs/examples/dashboard/main.py there. With --micropython it makes a mip index of the wheel, lets MicroPython's own
mip install microdot-core from it over loopback, and runs the same program on what was installed. All of it is in
build/demo, and nothing comes from the checkout but the program itself, which is copied there.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import bootstrap

ROOT = bootstrap.ROOT
DEMO = bootstrap.BUILD / "demo"
EXAMPLE = ROOT / "docs" / "examples" / "dashboard"
HEAP = {32: "64k", 64: "96k"}
"""What a board with 64 KB has; objects of the 64-bit build are 1.4 times as large."""


def say(text: str) -> None:
    """Print one line of what is being done."""
    print(f"demo: {text}", flush=True)


def build_wheels() -> list[Path]:
    """Return the wheel of microdot-core: built now, or among all those in the directory that MICRODOT_DIST names."""
    named = os.environ.get("MICRODOT_DIST")
    dist = Path(named) if named else DEMO / "dist"
    if not named:
        shutil.rmtree(dist, ignore_errors=True)
        # hatchling, not hatch: it is in this environment already, and hatch would fetch it for one of its own
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)]
        say(f"$ {shlex.join(['python', *command[1:]])}")
        core = ROOT / "packages" / "microdot-core"
        run = subprocess.run(command, cwd=core, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if run.returncode:
            sys.exit(f"{run.stdout}\ndemo: the wheel could not be built")
    wheels = sorted(dist.glob("microdot_*.whl"))
    if not wheels:
        sys.exit(f"demo: there are no wheels in {dist}")
    return wheels


def on_cpython(work: Path, wheels: list[Path]) -> tuple[list[str], dict[str, str]]:
    """Install the core with pip; return the command that runs a program there, and its environment."""
    venv = work / "venv"
    inside = str(bootstrap.python_in(venv))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", inside, "install", "-q"]
    core = [os.path.relpath(path) for path in wheels if path.name.startswith("microdot_core-")]
    for command in ([sys.executable, "-m", "venv", "--clear", "--without-pip", str(venv)], [*pip, "--no-index", *core]):
        say(f"$ {shlex.join('python' if word == sys.executable else word for word in command)}")
        subprocess.run(command, check=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return [inside, "-u"], environment


def on_micropython(work: Path, wheels: list[Path], bits: int | None) -> tuple[list[str], dict[str, str]]:
    """Install the core with MicroPython's mip; return the command that runs a program there, and its environment."""
    import mip
    import provide

    # The 32-bit build is nearest to a board: its words are as wide.
    width = bits or 32
    try:
        micropython = provide.micropython(width)
    except provide.Missing as missing:
        try:
            if bits:
                raise
            width = 64
            micropython = provide.micropython(width)
        except provide.Missing:
            sys.exit(f"demo: {missing}")
        say(f"{missing}\ndemo: so this runs on the 64-bit MicroPython, with a heap of {HEAP[width]}")
    index, library = work / "mip", work / "lib"
    mip.make_index(wheels, index)
    shutil.rmtree(library, ignore_errors=True)
    library.mkdir(parents=True)
    server = mip.index_server(index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    program = f"import mip; mip.install('microdot-core', index={address!r}, target={str(library)!r})"
    say(f"$ {micropython.name} -c {shlex.quote(program)}")
    environment = {**os.environ, "MICROPYPATH": f"{library}:.frozen"}
    run = subprocess.run(
        [str(micropython), "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    server.shutdown()
    server.server_close()
    # mip ends with exit code 0 when it found nothing, so look at the files.
    if run.returncode or not list((library / "microdot").glob("__init__.mpy")):
        sys.exit(f"{run.stdout}\ndemo: mip did not install microdot-core")
    files = list(library.rglob("*.mpy"))
    say(f"mip installed {len(files)} files, {sum(path.stat().st_size for path in files)} bytes")
    return [str(micropython), "-X", f"heapsize={HEAP[width]}"], environment


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(host: str, port: int) -> bool:
    """Tell whether a server can listen there."""
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True


def wait_for(process: subprocess.Popen[bytes], host: str, port: int, seconds: float = 30) -> None:
    """Wait until the server answers. Exits when the program ended or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            sys.exit(f"demo: the program ended with exit code {process.returncode}")
        try:
            socket.create_connection((host, port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"demo: nothing answered on port {port} within {seconds:g} s")


def ask_once(host: str, port: int) -> str:
    """Do what the page does: load it, poll, switch the heater. Return '' when all is well, else what is wrong."""
    connection = http.client.HTTPConnection(host, port, timeout=10)

    def ask(method: str, path: str, body: object = None) -> tuple[int, str, bytes]:
        text = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, text, headers)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type", ""), response.read()

    try:
        status, kind, page = ask("GET", "/")
        if status != 200 or not kind.startswith("text/html") or page != (EXAMPLE / "index.html").read_bytes():
            return f"GET / → {status} {kind}, {len(page)} bytes"
        status, kind, body = ask("GET", "/api/state")
        state = json.loads(body)
        if status != 200 or state["heater"] is not False or not 10 < state["sensors"]["temperature"] < 35:
            return f"GET /api/state → {status} {body!r}"
        say(f"GET /api/state → {body.decode()}")
        status, kind, body = ask("PUT", "/api/heater", {"on": True})
        if status != 200 or json.loads(body)["heater"] is not True:
            return f"PUT /api/heater → {status} {body!r}"
        status, kind, body = ask("PUT", "/api/heater", {"on": "yes"})
        if status != 400 or "error" not in json.loads(body):
            return f"PUT /api/heater with a wrong body → {status} {body!r}"
        status, kind, body = ask("GET", "/api/state")
        if status != 200 or json.loads(body)["heater"] is not True:
            return f"GET /api/state after switching → {status} {body!r}"
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return ""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micropython", action="store_true", help="serve from MicroPython in a 64 KB heap")
    parser.add_argument("--bits", type=int, choices=(64, 32), help="which MicroPython (default: 32 where it runs)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other devices in")
    parser.add_argument("--port", type=int, help="port (default: 5000, or a free one)")
    parser.add_argument("--once", action="store_true", help="ask once, print the answer and end")
    options = parser.parse_args()
    bootstrap.enter("build")
    port: int = options.port or (free_port() if options.once else 5000)
    if not is_free(options.host, port):
        if options.port:
            sys.exit(f"demo: nothing can listen on port {port} of {options.host}: choose another with --port")
        say(f"port {port} is taken, so this uses another")
        port = free_port()
    work = DEMO / ("micropython" if options.micropython else "cpython")
    wheels = build_wheels()
    if options.micropython:
        command, environment = on_micropython(work, wheels, options.bits)
    else:
        command, environment = on_cpython(work, wheels)
    app = work / "app"
    shutil.rmtree(app, ignore_errors=True)
    shutil.copytree(EXAMPLE, app, ignore=shutil.ignore_patterns("__pycache__"))
    command += [str(app / "main.py"), str(port), options.host]
    say(f"$ {shlex.join(command)}")
    process = subprocess.Popen(command, cwd=app, env=environment)
    try:
        local = "127.0.0.1" if options.host == "0.0.0.0" else options.host
        wait_for(process, local, port)
        if options.once:
            trouble = ask_once(local, port)
            if not trouble and process.poll() is not None:
                trouble = f"the program ended with exit code {process.returncode}"
            say(trouble or "the page, the sensors and the switch answer as they should")
            return 1 if trouble else 0
        say(f"open http://{local}:{port}/ (Ctrl-C ends it)")
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
