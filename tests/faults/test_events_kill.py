"""A server that is killed while it is read, and one that is stopped while readers wait."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from people import citizen, scalar
from processes import PLAIN, free_port, person, run, spawn, wait_for, write_source

from ecif.db import open_database
from ecif.settings import Settings

pytestmark = pytest.mark.slow


def headers(home: Path) -> dict[str, str]:
    return {"Authorization": f"Bearer {run(home, 'token', '--scope', 'events:read').stdout.strip()}"}


def write(path: Path, first: int, count: int) -> Path:
    rows = (person(str(n), f"张三{chr(0x4E00 + n)}", citizen(n)) for n in range(first, first + count))
    return write_source(path, "core", *rows)


def pages(url: str, token: dict[str, str], after: int) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Pages of three, for as long as the server lives and has some."""
    try:
        while True:
            params = {"after": after, "limit": 3, "wait_s": 1}
            body = httpx.get(f"{url}/v1/events", params=params, headers=token, timeout=20, verify=PLAIN).json()
            after = body["next_after"]
            yield body["items"], after
            if not body["items"]:
                return
    except httpx.HTTPError:
        return


def test_a_reader_goes_on_from_its_cursor_when_the_server_was_killed(home: Path, tmp_path: Path) -> None:
    """Killed five times while a file is loaded; the reader keeps what it has got, and the cursor that came with it."""
    assert run(home, "load", "--core", write(tmp_path / "first.csv", 0, 60)).returncode == 0
    token, port = headers(home), free_port()
    url = f"http://127.0.0.1:{port}"
    seen: list[dict[str, Any]] = []
    after = 0
    with open_database(Settings(home)) as engine, ThreadPoolExecutor(1) as pool:
        load = pool.submit(run, home, "load", "--core", write(tmp_path / "second.csv", 60, 400))
        for kill in (True, True, True, True, True, False):
            with spawn(home, "serve", ECIF_PORT=port) as process:
                wait_for(process, f"{url}/healthz")
                for count, (items, place) in enumerate(pages(url, token, after)):
                    seen, after = seen + items, place
                    if kill and count == 5:
                        process.kill()
            if not kill:
                assert load.result().returncode == 0
        with spawn(home, "serve", ECIF_PORT=port) as process:
            wait_for(process, f"{url}/healthz")
            for items, _ in pages(url, token, after):
                seen += items
        assert len(seen) == scalar(engine, "SELECT count(*) FROM outbox_event") == 460
        assert len({event["id"] for event in seen}) == 460
        positions = [event["position"] for event in seen]
        assert positions == sorted(positions)


def test_a_stop_does_not_wait_for_readers_who_wait(home: Path) -> None:
    port = free_port()
    with spawn(home, "serve", ECIF_PORT=port) as process, ThreadPoolExecutor(3) as pool:
        url = f"http://127.0.0.1:{port}"
        wait_for(process, f"{url}/readyz")
        options = {"params": {"wait_s": 30}, "headers": headers(home), "timeout": 40, "verify": PLAIN}
        waiting = [pool.submit(httpx.get, f"{url}/v1/events", **options) for _ in range(3)]
        sleep(1)
        began = monotonic()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        assert monotonic() - began < 6 and (process.returncode, said) == (0, "")
        for reader in waiting:
            assert reader.result().json() == {"items": [], "next_after": 0, "more": False}
