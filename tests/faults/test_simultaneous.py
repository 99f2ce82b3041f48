"""Sixteen loads at one moment, each of a file with a record of the same person: one number."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from people import citizen, scalar, state
from processes import person, postmasters, run, spawn, write_source

from ecif.db import open_database
from ecif.settings import Settings

pytestmark = pytest.mark.slow

LOADS = 16


def test_sixteen_processes_on_a_new_home_give_one_number(home: Path, tmp_path: Path) -> None:
    """They race for everything: to make the data folder, to start the server, to migrate, to make the key, to be first."""
    files = [
        write_source(tmp_path / f"{n}.csv", "core", person(str(n), "张三丰", citizen(1), MOBILE="13912345670"))
        for n in range(LOADS)
    ]
    with ExitStack() as stack:
        loads = [stack.enter_context(spawn(home, "load", "--core", file)) for file in files]
        for process in loads:
            out, err = process.communicate(timeout=180)
            assert process.returncode == 0, out + err
    assert postmasters(home) == []
    with open_database(Settings(home)) as engine:
        assert scalar(engine, "SELECT count(*) FROM party") == 1
        assert scalar(engine, "SELECT count(*) FROM link WHERE ended_at IS NULL") == LOADS
        (members,) = state(engine)["golden"]
        assert members == {f"core:{n}" for n in range(LOADS)}
        assert not state(engine)["gaps"]
    assert run(home, "rebuild", "--check").returncode == 0
