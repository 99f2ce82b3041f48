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
from multiprocessing import get_context
from pathlib import Path
from time import monotonic, sleep

import httpx
import psutil

from ecif.demo.bank import HEADERS

PROGRAM = (sys.executable, "-m", "ecif.cli")
VERB_S = 180
"""How long a verb may take."""
SYSTEMS = ("core", "loan", "card", "ebank")
PLAIN = False
"""As ``verify`` of a client of HTTP: none reads the certificates of all the world, which takes longer than any call here."""


def environment(home: Path, **more: object) -> dict[str, str]:
    """A clean environment: nothing of the tester's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ECIF_", "XDG_"))}
    return kept | {"ECIF_HOME": str(home)} | {name: str(value) for name, value in more.items()}


def run(
    home: Path, *arguments: object, program: Sequence[str] = PROGRAM, **more: object
) -> subprocess.CompletedProcess[str]:
    """Runs a verb to its end, in a process of its own."""
    command, environ = [*program, *map(str, arguments)], environment(home, **more)
    if program is PROGRAM and not any(name.startswith("PYTHON") for name in more):  # which are read when it starts
        return _forked(command, environ)
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=VERB_S, cwd=tempfile.gettempdir()
    )


_forks = get_context("forkserver")
_forks.set_forkserver_preload(["ecif.cli"])


def _forked(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """In one forked from a process that has read the program already: to read it takes longer than most verbs."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "out"), Path(folder, "err")
        process = _forks.Process(target=_verb, args=(command[len(PROGRAM) :], environ, said))
        process.start()
        process.join(VERB_S)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(command, VERB_S)
        return subprocess.CompletedProcess(command, process.exitcode, *(path.read_text("utf-8") for path in said))


def _verb(arguments: list[str], environ: dict[str, str], said: tuple[Path, Path]) -> None:
    """What the forked process does: it becomes one that was started so."""
    from ecif.cli import main  # which no other process of the tests has to read

    for descriptor, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(tempfile.gettempdir())
    sys.argv = ["ecif", *arguments]
    main()


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
            return httpx.get(url, timeout=5, verify=PLAIN).status_code == 200
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
