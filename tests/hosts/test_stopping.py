"""How hosts begin and end: `app.shutdown()` from a handler ends the server, and the stop hooks run.

One server for each test, all ended by their process ids.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hosts.running import Host
from support.wire_server import wait_until

# host, options, whether the stop hooks run
SERVERS = [
    ("native", (), True),
    ("uvicorn-h11", (), True),
    ("uvicorn-httptools", ("--workers", "2"), True),
    ("hypercorn", (), True),
    ("granian", (), True),
    ("gunicorn", (), True),
    ("gunicorn-threads", ("--preload",), True),
    ("granian-wsgi", (), False),
]


@pytest.mark.parametrize(("name", "options", "stops"), SERVERS, ids=[" ".join((s[0], *s[1])) for s in SERVERS])
def test_shutdown(launch: Callable[..., Host], name: str, options: tuple[str, ...], stops: bool) -> None:
    host = launch(name, "", *options)
    answer = host.ask("/shutdown")
    assert (answer.status, answer.body) == (200, b"going"), answer
    assert wait_until(lambda: not host.alive, 10), host.output()
    assert ("stopped, after 1" in host.output()) == stops, host.output()
    with pytest.raises(ProcessLookupError):
        os.kill(host.pid, 0)
