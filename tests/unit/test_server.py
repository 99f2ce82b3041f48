"""How the service listens."""

from __future__ import annotations

import socket
from pathlib import Path

from ecif.server import listen
from ecif.settings import Settings


def test_answers_are_sent_at_once() -> None:
    with listen(Settings(Path(), port=0)) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
