"""The server as a program starts it that has an event loop of its own: `unstarted.py PORT`. CPython only (contract 8.1)."""

import asyncio
import sys

from microdot import Microdot

app = Microdot()


@app.get("/text")
async def text(request: object) -> str:
    return "hello"


@app.get("/shutdown")
async def shutdown(request: object) -> str:
    app.shutdown()
    return "stopping"


async def main() -> None:
    """Start the server without serving, serve, and end with shutdown()."""
    server = await app.start_server("127.0.0.1", int(sys.argv[1]), start_serving=False)
    assert server is not None
    print("not serving yet", flush=True)
    try:
        await server.serve_forever()
    except asyncio.CancelledError:
        print("serve_forever cancelled", flush=True)


asyncio.run(main())
