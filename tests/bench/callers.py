"""The load generator, a process of its own: callers that each keep a connection and ask as soon as they are answered.

    python tests/bench/callers.py PORT[,PORT] CALLERS SECONDS < requests > measure

Of several ports each has its share of the callers. The input holds one request a line, ``["GET", "/path", null]``; headers
for all of them are in the first line. It stops when the time is over or every request was made (``*SECONDS`` begins again
with the first). The answer is a JSON object: calls, seconds, latencies in milliseconds, statuses, and the seconds of
processor that it took itself. One thread over raw sockets, everything rendered before the clock starts, so that it never is
what is measured.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from typing import Any

END = b"\r\n\r\n"


def render(headers: dict[str, str], method: str, path: str, body: Any) -> bytes:
    """A request as it goes over the wire."""
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    told = {"Host": "127.0.0.1", **headers} | (
        {"Content-Type": "application/json", "Content-Length": str(len(content))} if content else {}
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


def answered(received: bytes) -> int:
    """The status of an answer if it is whole, else 0."""
    head, found, body = received.partition(END)
    if not found:
        return 0
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return int(head[9:12]) if len(body) >= int(length or 0) else 0


class Caller:
    """One connection, with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.asked_at = b"", 0.0

    def ask(self, request: bytes) -> None:
        self.received, self.asked_at = b"", time.perf_counter()
        self.socket.sendall(request)

    def status(self) -> int:
        """Takes what has come in."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise ConnectionError("the server hung up")
        self.received += part
        return answered(self.received)


def measure(ports: list[int], callers: int, seconds: float, requests: Iterator[bytes]) -> dict[str, Any]:
    """Has the callers ask until the time or the requests run out, and waits for the last answers."""
    waiting = selectors.DefaultSelector()
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    started = time.perf_counter()
    busy = 0
    for caller, request in zip([Caller(ports[n % len(ports)]) for n in range(callers)], requests, strict=False):
        waiting.register(caller.socket, selectors.EVENT_READ, caller)
        caller.ask(request)
        busy += 1
    while busy:
        for key, _ in waiting.select(30):
            caller = key.data
            status = caller.status()
            if not status:
                continue
            now = time.perf_counter()
            latencies.append((now - caller.asked_at) * 1000)
            statuses[status] += 1
            request = next(requests, None) if now - started < seconds else None
            if request is None:
                busy -= 1
            else:
                caller.ask(request)
    took = time.perf_counter() - started
    return {"calls": len(latencies), "seconds": took, "latencies": latencies, "statuses": statuses}


def main() -> None:
    ports, callers, seconds = sys.argv[1:]
    headers, *asked = map(json.loads, sys.stdin)
    requests = [render(headers, *request) for request in asked]
    begun = time.process_time()
    asks = cycle(requests) if "*" in seconds else iter(requests)
    found = measure([int(port) for port in ports.split(",")], int(callers), float(seconds.strip("*")), asks)
    print(json.dumps(found | {"processor": time.process_time() - begun}))


if __name__ == "__main__":
    main()
