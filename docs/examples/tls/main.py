"""HTTPS with a certificate of one's own, and plain HTTP that leads to it.

    python make_certificate.py myboard.local 192.168.1.20
    python main.py [PORT [HOST [PORT FOR PLAIN HTTP]]]

The certificate and its key are read where the program is started.
"""

import asyncio
import sys

from microdot import Microdot, Request, Response, redirect, send_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = __file__.rpartition("/")[0] or "."

app = Microdot()
plain = Microdot()
secure_port = 5443


def certificate() -> "Any":
    """Return the TLS context: PEM files on CPython, DER files on MicroPython."""
    if sys.implementation.name == "micropython":
        import tls

        context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
        with open("cert.der", "rb") as cert, open("key.der", "rb") as key:
            context.load_cert_chain(cert.read(), key.read())
        return context
    import ssl

    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain("cert.pem", "key.pem")
    return secure


@app.get("/")
async def index(request: Request) -> Response:
    """Send the page."""
    return send_file(HERE + "/index.html")


@app.get("/connection")
async def connection(request: Request) -> "dict[str, str]":
    """Say how this request came."""
    return {"scheme": request.scheme, "host": request.headers.get("Host", "")}


@plain.get("/")
@plain.get("/<path:path>")
async def to_https(request: Request, path: str = "") -> Response:
    """Send browsers to HTTPS, under the name that they used."""
    host = request.headers.get("Host", "").split(":")[0]
    return redirect("https://%s:%d%s" % (host, secure_port, request.path), 308)


async def main(port: int = 5443, host: str = "0.0.0.0", plain_port: int = 5080) -> None:
    """Run both servers until the first of them ends."""
    global secure_port
    secure_port = port
    task = asyncio.create_task(plain.start_server(host, plain_port))
    try:
        await app.start_server(host, port, ssl=certificate())
    finally:
        task.cancel()


if __name__ == "__main__":
    given = sys.argv[1:]
    port = int(given[0]) if given else 5443
    host = given[1] if len(given) > 1 else "0.0.0.0"
    asyncio.run(main(port, host, int(given[2]) if len(given) > 2 else 5080))
