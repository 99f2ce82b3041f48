"""The program as a process: ``run(home, "load", "--core", file)``, and the small files that it is given."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx
import psutil

from ecif.demo.bank import HEADERS

PROGRAM = (sys.executable, "-m", "ecif.cli")
SYSTEMS = ("core", "loan", "card", "ebank")


def environment(home: Path, **more: object) -> dict[str, str]:
    """A clean environment: nothing of the tester's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ECIF_", "XDG_"))}
    return kept | {"ECIF_HOME": str(home)} | {name: str(value) for name, value in more.items()}


def run(
    home: Path, *arguments: object, program: Sequence[str] = PROGRAM, **more: object
) -> subprocess.CompletedProcess[str]:
    """Runs a verb to its end."""
    return subprocess.run(
        [*program, *map(str, arguments)],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=180,
        cwd=tempfile.gettempdir(),
    )


@contextmanager
def spawn(
    home: Path, *arguments: object, program: Sequence[str] = PROGRAM, **more: object
) -> Iterator[subprocess.Popen[str]]:
    """Starts a verb; it is dead at the end of the block."""
    process = subprocess.Popen(
        [*program, *map(str, arguments)],
        env=environment(home, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    """Waits for something to become true."""
    deadline = monotonic() + seconds
    while not true():
        assert monotonic() < deadline, "waited in vain"
        sleep(0.05)


def wait_for(process: subprocess.Popen[str], url: str) -> None:
    """Waits for a service to answer."""

    def answers() -> bool:
        assert process.poll() is None, process.communicate()
        try:
            return httpx.get(url, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(answers)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postmasters(home: Path) -> list[psutil.Process]:
    """The database servers of a home that are running."""
    data = str(home.resolve() / "pgdata")
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "postgres" and data in (process.info["cmdline"] or ()):
            found.append(process)
    return found


def write_source(path: Path, system: str, *rows: dict[str, str]) -> Path:
    """A source file with these cells, the others empty."""
    columns = HEADERS[system].split(",")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def person(key: str, name: str, number: str, **more: str) -> dict[str, str]:
    """A core row of a person."""
    row = {"CIFNO": key, "CUSTTYPE": "1", "CUSTNM": name, "IDTYPE": "10", "IDNO": number, "LASTUPD": "20260101"}
    return row | {"STATUS": "0", "ACCTS": f"6217{int(key):015d}|SAV|0|20210307"} | more
