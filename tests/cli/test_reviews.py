"""The review queue at the command line: listed, shown masked, decided by two."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from people import citizen, scalar
from processes import person, run, write_source
from sqlalchemy import Engine, text

from ecif.db import open_database
from ecif.settings import Settings

NAMES = ("褚远山", "沈近水", "韩长月", "杨短星")
WHY = ("--by", "张三", "--reason", "核实")


class Desk:
    """A bank with two questions, and its command line."""

    def __init__(self, home: Path, engine: Engine) -> None:
        self.home, self.engine = home, engine

    def decides(self, review: int, decision: str, *why: object, code: int = 0) -> str:
        """Looks at a review and decides what was shown."""
        (version,) = re.findall(r'"version": (\d+)', self.does("review", review))[:1]
        return self.does("review", review, "--decide", decision, "--version", version, *why, code=code)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def does(self, *arguments: object, code: int = 0) -> str:
        done = run(self.home, *arguments)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == code and "Traceback" not in said, said
        assert not any(name in said for name in NAMES)
        return said


@contextmanager
def opened(home: Path, files: Path) -> Iterator[Desk]:
    rows = [person(str(n + 1), name, citizen(70 + n // 2, "19770101", "440799")) for n, name in enumerate(NAMES)]
    file = write_source(files / "core.csv", "core", *rows)
    with open_database(Settings(home)) as engine:
        assert run(home, "load", "--core", file).returncode == 0
        yield Desk(home, engine)


@pytest.fixture
def desk(homes: Callable[[], Path], tmp_path: Path) -> Iterator[Desk]:
    with opened(homes(), tmp_path) as desk:
        yield desk


@pytest.fixture(scope="module")
def queue(homes: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk at which nothing is decided, so that the tests of it may come in any order."""
    with opened(homes(), tmp_path_factory.mktemp("files")) as desk:
        yield desk


def test_a_review_is_claimed_released_and_commented(queue: Desk) -> None:
    assert "review 2: OPEN, 认领 held by 李四" in queue.does("review", 2, "--claim", "--by", "李四")
    held = queue.decides(2, "NOT_SAME", *WHY, code=1)
    assert "ECIF-3050" in held and "claimed_by 李四; claimed_at 20" in held
    assert "ECIF-3057" in queue.does("review", 2, "--release", "--by", "李四", "--version", 1, code=1)
    assert queue.does("review", 2, "--release", "--by", "李四").endswith("review 2: OPEN")
    queue.does("review", 2, "--comment", "请核对\x1b[2J原件", "--by", "王五")
    shown = queue.does("review", 2)
    assert re.search(r"CLAIMED.*RELEASED.*COMMENT.*王五.*请核对\[2J原件", shown)


def test_the_queue_in_pages_and_by_kind(queue: Desk) -> None:
    first = queue.does("reviews", "--limit", 1, "--kind", "PAIR")
    (after,) = re.findall(r"next page: --after (\S+)", first)
    second = queue.does("reviews", "--limit", 1, "--after", after)
    assert [re.findall(r"(\d) │ PAIR", page) for page in (first, second)] == [["1"], ["2"]] and "--after" not in second
    assert "PAIR" not in queue.does("reviews", "--kind", "FOLLOW_UP")
    for wrong in ("x", f"{after}0\n", f"o{after[1:]}"):
        assert "--after" in queue.does("reviews", "--after", wrong, code=2)


def test_reviews_are_listed_shown_and_decided(desk: Desk) -> None:
    listed = desk.does("reviews", "--limit", 10)
    assert listed.count("P-ID") == 2 and "OPEN" in listed
    shown = desk.does("review", 1)
    assert "same number, other name" in shown and "P-ID-NAME" in shown and "***" in shown
    stale = desk.does("review", 1, "--decide", "NOT_SAME", "--version", 9, *WHY, code=1)
    assert "ECIF-3057" in stale and "CLOSED NOT_SAME" in desk.decides(1, "NOT_SAME", *WHY)
    closed = desk.decides(1, "SAME", *WHY, code=1)
    assert "ECIF-3051" in closed and "outcome NOT_SAME" in closed
    unfit = desk.decides(2, "DONE", *WHY, code=1)
    assert "ECIF-3053" in unfit and "allowed ESCALATE, NEED_INFO, NOT_SAME, RENAME, SAME, TYPO_FIX" in unfit
    one, _, _, four = (no for (no,) in desk.rows("SELECT customer_no FROM party ORDER BY 1"))
    other = desk.decides(2, "RENAME", "--survivor", one, *WHY, code=1)
    assert "ECIF-3032" in other and "须为 members 之一" in other
    asked = desk.decides(2, "RENAME", "--survivor", four, "--override", "CLOSED", *WHY)
    (operation,) = re.findall(r"ecif approve (\d+)", asked)
    assert desk.rows("SELECT customer_no, override FROM operation") == [(four, "CLOSED")]
    waits = desk.decides(2, "NOT_SAME", *WHY, code=1)
    assert "ECIF-3052" in waits and f"operation {operation}" in waits
    assert "WAITING" in desk.does("reviews", "--state", "WAITING")
    assert "MERGE DONE" in desk.does("approve", operation, "--by", "李四")
    assert desk.does("reviews", "--state", "CLOSED").count("CLOSED") == 2
    assert "RENAME" in desk.does("review", 2) and "张三" in desk.does("review", 2)
    assert scalar(desk.engine, "SELECT count(*) FROM party WHERE status = 'MERGED'") == 1


def test_a_record_that_no_longer_fits_is_shown_and_kept(desk: Desk, tmp_path: Path) -> None:
    """One of two who were merged turns into somebody who then is known by another record too."""
    *_, three, four = (no for (no,) in desk.rows("SELECT customer_no FROM party ORDER BY 1"))
    (operation,) = re.findall(r"ecif approve (\d+)", desk.does("merge", three, four, *WHY))
    desk.does("approve", operation, "--by", "李四")
    number = citizen(72, "19880808", "440799")
    for key, name in (("4", "秦无名"), ("5", "秦无名")):
        row = person(key, name, number, LASTUPD="20260301")
        desk.does("load", "--core", write_source(tmp_path / f"{key}.csv", "core", row))
    assert "MISFIT" in desk.does("reviews")
    shown = desk.does("review", 3)
    assert '"recommended": "SPLIT"' in shown and '"rule": "P-N1"' in shown and '"MIXED"' in shown
    assert (
        re.search(r'"records": \[ { "system": "core", "key": "4"', shown)
        and number not in shown
        and "秦无名" not in shown
    )
    assert "ECIF-3058" in desk.decides(3, "SAME", *WHY, code=1)
    assert "CLOSED NOT_SAME" in desk.decides(4, "NOT_SAME", *WHY)
    assert "CLOSED SAME" in desk.decides(3, "SAME", *WHY)


def test_wrong_use(queue: Desk) -> None:
    assert "ECIF-2008" in queue.does("review", 4711, code=1)
    assert "ECIF-2001" in queue.does("reviews", "--customer", "999999999999", code=1)
    assert "--by" in queue.decides(2, "SAME", "--reason", "x", code=2)
    assert "--version" in queue.does("review", 2, "--decide", "SAME", *WHY, code=2)
    for act, word in (
        (("--claim",), "--by"),
        (("--release",), "--by"),
        (("--comment", "x"), "--by"),
        (("--comment", " ", *WHY), "--comment"),
        (("--comment", "字" * 2001, *WHY), "2000"),
        (("--claim", "--comment", "x", *WHY), "choose one"),
        (("--decide", "SAME", "--version", 1, "--override", "PARTY_TYPE", *WHY), "CLOSED"),
        (("--decide", "SAME", "--version", 1, "--by", "张三", "--reason", "字" * 501), "500"),
    ):
        assert word in queue.does("review", 2, *act, code=2)
    assert "NOPE" in queue.does("reviews", "--state", "NOPE", code=2)
