"""What the documents say can be pasted does what they say, and their tables are those of the program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import environment, free_port, run, spawn, wait_for

from ecif.api.tokens import SCOPES
from ecif.domain.channels import CHANNELS
from ecif.domain.completeness import Profile
from ecif.domain.existence import Existence
from ecif.domain.merge_policy import MERGE_RULES
from ecif.domain.review_policy import DECISIONS, RISKS, ReviewKind
from ecif.resources import resource_dir

ROOT = resource_dir("contracts").parent
PAGES = ("README.md", "README.zh-CN.md", "docs/online.md", "docs/merging.md", "docs/reviews.md")
URL = "http://127.0.0.1:8000"
ONLINE = (ROOT / "docs/online.md").read_text("utf-8")


def script(page: str) -> str:
    """The lines of a page that call the service, as one script."""
    blocks = re.findall("```sh\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    return "".join(block for block in blocks if "curl" in block or "API=" in block)


@pytest.fixture
def port(home: Path) -> Iterator[int]:
    """A service on an empty database."""
    assert run(home, "migrate").returncode == 0
    port = free_port()
    with spawn(home, "serve", ECIF_PORT=port) as process:
        wait_for(process, f"http://127.0.0.1:{port}/readyz")
        yield port


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="the lines are for curl")
@pytest.mark.parametrize("page", PAGES)
def test_lines_to_paste_do_what_is_said(page: str, home: Path, port: int) -> None:
    lines = script(page).replace(". .venv/bin/activate\n", "").replace(URL, f"http://127.0.0.1:{port}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-eu", "-c", lines], env=environment(home, PATH=path), capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = re.findall("^# (.*)$", lines, re.MULTILINE)
    place = 0
    for text in said:
        assert text in done.stdout[place:], f"{text} is not in {done.stdout[place:]}"
        place = done.stdout.index(text, place)
    assert len(said) >= 4


def test_both_languages_show_the_same_lines() -> None:
    assert script("README.md") == script("README.zh-CN.md") != ""


def test_the_tables_are_those_of_the_program() -> None:
    rows = {cells[0]: cells[1:] for cells in map(cells_of, ONLINE.splitlines()) if cells}
    for channel, info in CHANNELS.items():
        name, states, strong, confirms = rows[f"`{channel}`"]
        assert name == info.name_zh and (bool(strong), bool(confirms)) == (info.strong, info.confirms)
        assert states.startswith("the nine elements" if info.profile is Profile.COUNTER else "name and identifier")
    for word in (*Existence, *SCOPES):
        assert f"`{word}`" in ONLINE, word


def test_the_rules_of_merges_are_those_of_the_program() -> None:
    rows = [cells for cells in map(cells_of, (ROOT / "docs/merging.md").read_text("utf-8").splitlines()) if cells]
    told = [(rule.strip("`"), level, text) for rule, level, text, _ in rows[2:]]
    assert told == [(rule.id, rule.level, rule.message_zh) for rule in MERGE_RULES.values()]


def test_the_kinds_and_risks_of_reviews_are_those_of_the_program() -> None:
    rows = [cells for cells in map(cells_of, (ROOT / "docs/reviews.md").read_text("utf-8").splitlines()) if cells]
    told = {row[0].strip("`"): row[1:] for row in rows}
    for kind in ReviewKind:
        assert set(re.findall("`([A-Z_]+)`", told[kind][-1])) == DECISIONS[kind]
    assert [[name, *told[name]] for name in told if name in RISKS] == [
        [risk.id, str(risk.points), risk.message_zh] for risk in RISKS.values()
    ]
    assert {scope for row in rows for scope in re.findall("`([a-z:]+)`", row[-1])} & SCOPES.keys() == {
        scope for scope in SCOPES if scope.startswith(("reviews:", "merges:"))
    }


def cells_of(line: str) -> list[str]:
    """The cells of a row of a table."""
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
