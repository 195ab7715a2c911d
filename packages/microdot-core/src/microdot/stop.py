"""The end of the native server."""

from .http import const, port

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

    from .app import Microdot
    from .server import Server


def shutdown(app: "Microdot") -> None:
    """Stop all servers of an application, from whichever thread this is."""
    # One that runs the `start` hooks is not yet among them.
    servers: "list[Any]" = app._servers or [app.server]
    for server in servers:
        if not server or server.stopping:
            continue
        if hasattr(server, "loop"):
            server.loop.call_soon_threadsafe(stop, server)
        else:  # a board has one thread
            stop(server)


def stop(server: "Server") -> None:
    """Accept no more and close connections that wait for a request; `Server.run()` then returns."""
    server.stopping = True
    if server.socket:
        if hasattr(server, "accepting"):  # a board's task
            server.accepting.cancel()
            del server.accepting
        server.socket.close()
    for connection in list(server.connections):
        if connection.since:
            connection.since = 0
            connection.expire(OSError(104, ""))


async def end(server: "Server") -> None:
    """Let running requests finish, and leave the application; its last server runs the `stop` hooks."""
    stop(server)
    app = server.app
    last = server.deadline(app.stop_timeout)
    while server.connections and server.tick < last:
        await port.sleep_ms(250)
        server.sweep()
    for connection in list(server.connections):
        connection.task.cancel()
    for _ in range(20):  # a body's producer may have to clean up
        if server.connections:
            await port.sleep_ms(50)
    for connection in list(server.connections):
        getattr(connection, "abort", connection.close)()
    app._servers.remove(server)
    if app._hooked and not app._servers:
        await app.end()
