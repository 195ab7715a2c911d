"""Make CPython or MicroPython look like a CircuitPython board, and run a program on it: `boot.py PROGRAM ARGUMENT...`.

There is no CircuitPython for computers that could be installed here, so this stands in for one. What the modules have, and how
sockets behave, is that of CircuitPython 9 and 10: names from its documentation, sockets from the sources of its ports
(shared-bindings/socketpool/Socket.c, ports/*/common-hal/socketpool/Socket.c). asyncio is CircuitPython's own library.

CPython shares with CircuitPython that a generator cannot be awaited; MicroPython is the compiler and the heap.
"""

import io
import os
import select as _select
import socket as _socket
import sys
import time as _time

CPYTHON = sys.implementation.name == "cpython"
ESPRESSIF = CPYTHON  # which of two kinds of sockets: the tests see both, one on each runtime

EAGAIN = 11
EBADF = 9
EPIPE = 32
ENOTCONN = 128  # lwIP's number
SOCKETS = int(os.getenv("SOCKETS") or 6)  # of the whole pool

MODULES = {
    "time": "monotonic monotonic_ns sleep struct_time time localtime mktime",
    "os": "chdir getcwd getenv listdir mkdir remove rename rmdir sep stat statvfs sync uname unlink urandom utime",
    "binascii": "a2b_base64 b2a_base64 crc32 hexlify unhexlify",
}
# What a module of ours may import. The test of the dialect has the names in them.
KNOWN = "microdot asyncio binascii gc hashlib io json micropython os re socketpool sys time traceback wifi".split()


class Module:
    """What a module of CircuitPython has, and nothing else."""


def restrict(name, names):
    """Let `import name` find only these names."""
    real = __import__(name)
    module = Module()
    for attribute in names.split():
        if hasattr(real, attribute):
            setattr(module, attribute, getattr(real, attribute))
    sys.modules[name] = module


def error(number):
    """Make what boards raise: CPython knows no `errno` of an OSError with one argument."""
    return OSError(number, "") if CPYTHON else OSError(number)


def ticks_ms():
    """As `supervisor.ticks_ms`."""
    now = int(_time.monotonic() * 1000) if CPYTHON else _time.ticks_ms()
    return now & ((1 << 29) - 1)


class Socket(io.IOBase):
    """As `socketpool.Socket`: no recv(), no read(), no write(), no fileno(), no shutdown(), no getsockname()."""

    def __init__(self, pool, sock):
        self._pool = pool
        self._sock = sock
        self._blocking = True
        self._connected = False
        self._listening = False
        pool._open += 1
        SocketPool.opened += 1

    def setblocking(self, flag):
        self.settimeout(None if flag else 0)

    def settimeout(self, value):
        self._blocking = value is None
        self._sock.settimeout(value)

    def setsockopt(self, level, optname, value):
        self._sock.setsockopt(level, optname, value)

    def bind(self, address):
        host, port = address
        self._sock.bind(_socket.getaddrinfo(host, port)[0][-1])

    def listen(self, backlog):
        self._sock.listen(backlog)
        self._listening = True

    def accept(self):
        try:
            sock, peer = self._sock.accept()
        except OSError as exc:
            raise error(exc.errno)
        if self._pool._open >= SOCKETS:
            sock.close()
            raise RuntimeError("Out of sockets")
        accepted = Socket(self._pool, sock)
        accepted._connected = True
        # RP2040's new sockets have the listener's timeout, Espressif's block until they are told otherwise.
        accepted.settimeout(None if ESPRESSIF else 0)
        return accepted, ("127.0.0.1", peer[1] if CPYTHON else 1)

    def recv_into(self, buffer, bufsize=0):
        if self._sock is None:
            raise error(EBADF)
        if self._blocking:
            raise AssertionError("recv_into() on a blocking socket")
        view = memoryview(buffer)[: bufsize or len(buffer)]
        try:
            n = self._sock.recv_into(view) if CPYTHON else self._sock.readinto(view)
        except OSError as exc:
            if exc.errno == EAGAIN:
                raise error(EAGAIN)
            self._connected = False
            raise error(exc.errno)
        if n is None:
            raise error(EAGAIN)
        if n == 0:
            self._connected = False
            if ESPRESSIF:
                raise error(ENOTCONN)
        return n

    def send(self, data):
        if self._sock is None:
            raise error(EBADF)
        if not self._connected:  # also when the peer has only closed its half
            raise error(EPIPE)
        try:
            return self._sock.send(memoryview(data)[:2920])  # two segments
        except OSError as exc:
            raise error(exc.errno)

    def close(self):
        if self._sock is not None:
            self._pool._open -= 1
            SocketPool.opened -= 1
            self._sock.close()
            self._sock = None

    def _polled(self, flags):
        if self._listening and not ESPRESSIF:
            return flags & 1  # adafruit/circuitpython#8964: a listening socket is always readable
        poller = _real_poll()
        poller.register(self._sock, flags)
        found = poller.poll(0)
        return found[0][1] if found else 0

    def ioctl(self, request, argument):
        """What MicroPython's poller asks: 3 is MP_STREAM_POLL."""
        return self._polled(argument) if request == 3 and self._sock is not None else 0


_real_poll = _select.poll


class SocketPool:
    """As `socketpool.SocketPool`."""

    AF_INET = _socket.AF_INET
    SOCK_STREAM = _socket.SOCK_STREAM
    SOL_SOCKET = _socket.SOL_SOCKET
    SO_REUSEADDR = _socket.SO_REUSEADDR
    _radios = []
    opened = 0  # for the tests: by all pools

    def __init__(self, radio):
        if radio in self._radios:
            raise RuntimeError("SocketPool can only be created once for each radio")
        self._radios.append(radio)
        self._open = 0

    def socket(self, family=None, type=None, proto=0):
        return Socket(self, _socket.socket())


class Poll:
    """As `select.poll` of boards, for CPython: objects instead of file numbers."""

    def __init__(self):
        self._objects = {}

    def register(self, obj, flags):
        if not isinstance(obj, Socket):
            raise TypeError("object with stream protocol required")
        self._objects[obj] = flags

    modify = register

    def unregister(self, obj):
        self._objects.pop(obj, None)

    def ipoll(self, timeout):
        until = None if timeout < 0 else _time.monotonic() + timeout / 1000
        while True:
            found = [(obj, event) for obj, event in ((o, o._polled(f)) for o, f in self._objects.items()) if event]
            if found or until is not None and _time.monotonic() >= until:
                return found
            _time.sleep(0.001)


def module(name, **names):
    """Make a module of these names."""
    made = Module()
    for attribute in names:
        setattr(made, attribute, names[attribute])
    sys.modules[name] = made
    return made


def become_circuitpython():
    """From here on, what is imported sees CircuitPython."""
    import hashlib

    real = hashlib

    def new(name, data=b""):
        return getattr(real, name)(data)

    restricted_hashlib = module("hashlib", new=new)
    assert not hasattr(restricted_hashlib, "sha256")
    for name in MODULES:
        restrict(name, MODULES[name])
    module("supervisor", ticks_ms=ticks_ms)
    module("socketpool", SocketPool=SocketPool, Socket=Socket)
    module("wifi", radio=Module())
    if CPYTHON:
        import builtins
        import types

        names = vars(sys.implementation).copy()
        names["name"] = "circuitpython"
        sys.implementation = types.SimpleNamespace(**names)
        module("micropython", const=lambda value: value)
        module("select", poll=Poll, POLLIN=1, POLLOUT=4)
        ordinary = builtins.__import__

        def guarded(name, globals=None, locals=None, fromlist=(), level=0):
            importer = (globals or {}).get("__name__", "")
            if importer.split(".")[0] == "microdot" and not level and name.split(".")[0] not in KNOWN:
                raise ImportError("CircuitPython has no module " + name)
            return ordinary(name, globals, locals, fromlist, level)

        builtins.__import__ = guarded
    else:
        module("traceback", print_exception=sys.print_exception)


become_circuitpython()

import microdot._micropython as port  # noqa: E402

# The two things that the stand-in has to help with.
if CPYTHON:
    port.check_hook = lambda *args: None  # functions do not tell by their type whether they are async
else:
    port.iscoroutine = lambda obj: hasattr(obj, "throw")  # coroutines are generators and have no __await__

del sys.argv[0]
with open(sys.argv[0]) as file:
    file = compile(file.read(), sys.argv[0], "exec")
exec(file, {"__name__": "__main__"})
