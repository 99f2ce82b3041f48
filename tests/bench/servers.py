"""Servers to measure against, or to look into, each a process on the database of a home and a port.

    python tests/bench/servers.py def|async|watched HOME PORT

``def`` and ``async`` are a bare FastAPI with one endpoint that reads one row with the driver and sends the stored document
as it is. ``watched`` is the program itself with a watch on every statement: GET /watched tells what was seen since
the last time it was asked. All run under the same uvicorn settings as ``ecif serve``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from inspect import iscoroutinefunction
from pathlib import Path
from queue import LifoQueue
from time import perf_counter
from typing import Any

import psycopg
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from ecif import cli, server
from ecif.db import POOL_SIZE
from ecif.embedded import embedded_server
from ecif.settings import Settings

CALL = "CALL"
"""The name under which whole calls count."""
ONE_ROW = "SELECT document FROM golden_record WHERE customer_no = %s ORDER BY version DESC LIMIT 1"


def bare(url: str) -> FastAPI:
    """A plain endpoint and the synchronous driver."""
    app = FastAPI()
    pool: LifoQueue[psycopg.Connection[Any]] = LifoQueue()
    for _ in range(POOL_SIZE):
        pool.put(psycopg.connect(url, autocommit=True))

    @app.get("/v1/customers/{no}")
    def read(no: str) -> Response:
        connection = pool.get()
        try:
            row = connection.execute(ONE_ROW, (no,)).fetchone()
        finally:
            pool.put(connection)
        return Response(row[0] if row else "", media_type="application/json")

    return app


def bare_async(url: str) -> FastAPI:
    """An endpoint and the driver, both asynchronous."""
    pool: asyncio.LifoQueue[psycopg.AsyncConnection[Any]] = asyncio.LifoQueue()

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        for _ in range(POOL_SIZE):
            pool.put_nowait(await psycopg.AsyncConnection.connect(url, autocommit=True))
        yield

    app = FastAPI(lifespan=connected)

    @app.get("/v1/customers/{no}")
    async def read(no: str) -> Response:
        connection = await pool.get()
        try:
            row = await (await connection.execute(ONE_ROW, (no,))).fetchone()
        finally:
            pool.put_nowait(connection)
        return Response(row[0] if row else "", media_type="application/json")

    return app


class Watch:
    """Adds up what statements take, by their first words, and what whole calls take, between two looks."""

    def __init__(self) -> None:
        self.seen: defaultdict[str, list[float]] = defaultdict(lambda: [0, 0.0])

    @contextmanager
    def over(self, name: str) -> Iterator[None]:
        """Watches what is done in the block."""
        started = perf_counter()
        try:
            yield
        finally:
            self.seen[name][0] += 1
            self.seen[name][1] += perf_counter() - started

    def on(self, owner: Any, function: str, name: str = "") -> None:
        """Puts the watch on a method; a statement counts under its own words."""
        plain: Callable[..., Any] = getattr(owner, function)

        def run(*given: Any, **named: Any) -> Any:
            with self.over(name or " ".join(str(given[1]).split())[:90]):
                return plain(*given, **named)

        async def run_async(*given: Any, **named: Any) -> Any:
            with self.over(name or " ".join(str(given[1]).split())[:90]):
                return await plain(*given, **named)

        setattr(owner, function, run_async if iscoroutinefunction(plain) else run)

    def around(self, app: Any) -> Any:
        """The application, its calls watched, and one more path, which tells what was seen."""

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"] == "/watched":
                told, self.seen = self.seen, defaultdict(lambda: [0, 0.0])
                await JSONResponse(told)(scope, receive, send)
            elif scope["type"] == "http":
                with self.over(CALL):
                    await app(scope, receive, send)
            else:
                await app(scope, receive, send)

        return watched


def serve_watched() -> None:
    """``ecif serve``, watched."""
    watch, plain = Watch(), server.serve
    for cursor, connection in ((psycopg.Cursor, psycopg.Connection), (psycopg.AsyncCursor, psycopg.AsyncConnection)):
        watch.on(cursor, "execute")
        watch.on(connection, "commit", "COMMIT")
        watch.on(connection, "rollback", "ROLLBACK")
    server.serve = lambda app, listener: plain(watch.around(app), listener)
    cli.app(["serve"])


def main() -> None:
    kind, home, port = sys.argv[1:]
    if kind == "watched":
        os.environ |= {"ECIF_HOME": home, "ECIF_PORT": port, "ECIF_DATABASE_URL": ""}
        serve_watched()
        return
    listener = server.listen(Settings(Path(home), port=int(port)))
    with embedded_server(Path(home)) as url:
        server.serve((bare if kind == "def" else bare_async)(url), listener)


if __name__ == "__main__":
    main()
