"""Takes a port and serves the API on it."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from ecif.settings import Settings, SettingsError

STOP_S = 10
"""How long a stop waits for requests that are under way."""


def listen(settings: Settings) -> socket.socket:
    """Takes the port before anything else is done, and keeps it.

    Answers are sent at once: asyncio sees to that only for sockets that it made, and otherwise the second part of an
    answer waits 40 ms for the caller to confirm the first (Nagle's rule against delayed confirmation).

    Raises:
        SettingsError: the port is taken, or the address is not this machine's.
    """
    address = (settings.host, settings.port)
    try:
        family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server(address, family=family)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its connections inherit it
        return listener
    except OSError as error:
        other = settings.port + 1 if settings.port < 65535 else 8000
        raise SettingsError(
            f"{settings.host}:{settings.port} 无法监听 cannot listen there ({error.strerror});"
            f" 请换一个端口或地址 choose another port or address: ECIF_PORT={other}"
        ) from error


def serve(app: Any, listener: socket.socket) -> None:
    """Serves until asked to stop, which is no error."""
    import uvicorn  # not for every verb

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.news.stopping = True  # readers who wait for events would hold it up
            await super().shutdown(sockets)

    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=STOP_S)
    with suppress(KeyboardInterrupt, SystemExit):  # uvicorn raises the signal again when it has stopped
        Server(config).run(sockets=[listener])
