"""``kill -9`` of a load, of its database, or of both, at any moment; then the same load again gives what one clean load gives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

import psutil
import pytest
from people import state
from processes import SYSTEMS, free_port, postmasters, run, spawn

from ecif.db import open_database
from ecif.demo import generate
from ecif.migrate import upgrade
from ecif.settings import Settings

pytestmark = pytest.mark.slow
RECORDS = 2000
KILLS = 4


class Bank:
    """Files, what one clean load of them leaves, and how long it takes."""

    def __init__(self, files: Path, home: Path) -> None:
        generate(files, records=RECORDS)
        self.load = ["load"] + [word for s in SYSTEMS for word in (f"--{s}", str(files / f"{s}.csv"))]
        began = monotonic()
        with spawn(home, *self.load) as process:  # as those that are killed
            process.communicate()
            assert process.returncode == 0
        self.seconds = monotonic() - began
        self.clean = left_behind(home)
        assert len(self.clean["golden"]) > RECORDS / 4 and len(self.clean["rejects"]) == 4 and not self.clean["gaps"]


def left_behind(home: Path) -> dict[str, Any]:
    with open_database(Settings(home)) as engine:
        upgrade(engine)
        return state(engine)


@pytest.fixture(scope="module")
def bank(homes: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return Bank(tmp_path_factory.mktemp("bank"), homes())


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.parametrize("victims", ["load", "database", "both"])
def test_a_killed_load_begun_again_is_one_clean_load(bank: Bank, home: Path, victims: str) -> None:
    rng = Random(victims)
    for _ in range(KILLS):
        with spawn(home, *bank.load) as process:
            sleep(rng.uniform(0, bank.seconds))
            if victims != "load":
                kill(postmasters(home))
            if victims != "database":
                process.kill()
            _, said = process.communicate(timeout=120)
            assert "Traceback" not in said
            assert victims != "database" or process.returncode in (0, 3), said
    done = run(home, *bank.load)
    assert done.returncode == 0, done.stderr
    assert postmasters(home) == []
    assert left_behind(home) == bank.clean


def test_the_next_command_stops_what_a_killed_one_left_running(home: Path) -> None:
    with spawn(home, "serve", ECIF_PORT=free_port()) as process:
        while not (home / "pgdata" / "postmaster.pid").exists():
            sleep(0.05)
        sleep(0.5)
        process.kill()
    assert len(postmasters(home)) == 1
    assert run(home, "migrate").returncode == 0
    assert postmasters(home) == []


def test_a_process_number_that_somebody_else_has_now_is_no_server(home: Path) -> None:
    """As after a restart of a container, where numbers come again."""
    assert run(home, "migrate").returncode == 0
    stale = f"1\n{home / 'pgdata'}\n1700000000\n5432\n{home / 'pgdata'}\n\n  1 1\nready   \n"
    (home / "pgdata" / "postmaster.pid").write_text(stale)
    assert run(home, "migrate").returncode == 0
    assert postmasters(home) == []
