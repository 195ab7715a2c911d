"""Serve the program with the standard library's server, a thread for each request, behind the validator of PEP 3333."""

import socketserver
import sys
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from hosts.program_wsgi import checked


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 256


class Handler(WSGIRequestHandler):
    """No log of requests."""

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


with make_server("127.0.0.1", int(sys.argv[1]), checked, Server, Handler) as server:
    server.serve_forever()
