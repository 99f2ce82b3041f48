"""Stewards at the command line: one asks, another approves, and what is refused is told in two languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from people import citizen, scalar
from processes import person, run, write_source
from sqlalchemy import Engine

from ecif.db import open_database
from ecif.settings import Settings

VERBS = ("merge", "split", "undo", "judge", "operations", "approve")
NAMES = ("郑重山", "郑重水", "郑重月", "郑重星")
WHY = ("--by", "张三", "--reason", "同一人")


class Desk:
    """A loaded bank and its command line."""

    def __init__(self, home: Path, engine: Engine) -> None:
        self.home, self.engine = home, engine

    def does(self, *arguments: object, code: int = 0) -> str:
        """Runs a verb, which ends with the code and names nobody; what it said."""
        done = run(self.home, *arguments)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == code and "Traceback" not in said, said
        assert not any(name in said for name in NAMES)
        if code:
            assert re.search("[一-鿿]", done.stderr) and re.search("[a-z]{3}", done.stderr), said
        return said

    def approves(self, said: str) -> str:
        """Another person approves what was asked for."""
        (operation,) = re.findall(r"ecif approve (\d+)", said)
        return self.does("approve", operation, "--by", "李四")

    def no(self, key: str) -> str:
        where = f"r.system = 'core' AND r.key = '{key}' AND l.ended_at IS NULL"
        return str(
            scalar(
                self.engine, f"SELECT customer_no FROM link l JOIN source_record r ON r.id = record_id WHERE {where}"
            )
        )


@pytest.fixture(scope="module")
def desk(homes: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = homes()
    rows = [person(str(n + 1), name, citizen(n + 40, "19770101", "440699")) for n, name in enumerate(NAMES)]
    rows.append(person("9", NAMES[3], rows[3]["IDNO"]))
    file = write_source(tmp_path_factory.mktemp("files") / "core.csv", "core", *rows)
    with open_database(Settings(home)) as engine:
        assert run(home, "load", "--core", file).returncode == 0
        yield Desk(home, engine)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(home: Path, verb: str) -> None:
    done = run(home, verb, "--help")
    assert (done.returncode, done.stderr) == (0, "") and re.search("[一-鿿]", done.stdout)


def test_a_merge_is_previewed_asked_for_approved_and_undone(desk: Desk) -> None:
    a, b = desk.no("1"), desk.no("2")
    preview = desk.does("merge", a, b, "--preview")
    for word in (
        f"survivor {a}",
        f"retired {b}",
        "records that move 1",
        f"core:2 {b} → {a}",
        "TWO_VALID_NUMBERS",
        "**山",
    ):
        assert word in preview
    blocked = desk.does("merge", a, b, *WHY, code=1)
    assert "ECIF-3030" in blocked and "证明" in blocked
    asked = desk.does("merge", a, b, *WHY, "--evidence", "号码变更证明 1")
    assert "MERGE PENDING" in asked
    (operation,) = re.findall(r"ecif approve (\d+)", asked)
    assert "ECIF-5005" in desk.does("approve", operation, "--by", "张三", code=1)
    assert "MERGE DONE" in desk.approves(asked)
    assert f"{b} → {a}" in desk.does("customer", b)
    decided = desk.does("approve", operation, "--by", "李四", code=1)
    assert "ECIF-2013" in decided and "decided DONE" in decided
    touched = desk.does("undo", operation, "--preview")
    assert f"resurrected {b}" in touched and "arrived 0, events 0" in touched
    assert "REVERSE DONE" in desk.approves(desk.does("undo", operation, *WHY))
    assert desk.no("2") == b
    listed = desk.does("operations", "--customer", b)
    assert "REVERSED" in listed and "张三" in listed and "李四" in listed
    assert "REVERSED" not in desk.does("operations", "--status", "PENDING")


def test_a_split_and_a_refusal(desk: Desk) -> None:
    no = desk.no("4")
    assert desk.no("9") == no
    assert "created new-1" in desk.does("split", no, "--record", "core:9", "--preview")
    asked = desk.does("split", no, "--record", "core:9", *WHY)
    (operation,) = re.findall(r"ecif approve (\d+)", asked)
    assert "REJECTED" in desk.does("approve", operation, "--by", "李四", "--reject", "--note", "证明不符")
    assert "SPLIT DONE" in desk.approves(desk.does("split", no, "--record", "core:9", *WHY))
    assert desk.no("9") != no
    refused = desk.does("split", no, "--record", "core:9", *WHY, code=1)
    assert "ECIF-3033 源记录不属于该客户" in refused and refused.endswith(": core:9")


def test_a_judgement_holds_or_waits(desk: Desk) -> None:
    assert "the judgement holds" in desk.does("judge", "core:1", "core:3", "NOT_SAME", *WHY)
    refused = desk.does("merge", desk.no("1"), desk.no("3"), *WHY, "--evidence", "x", code=1)
    assert "JUDGED_NOT_SAME 已裁决为非同一客户, 须先撤回裁决" in refused and "core:1 + core:3" in refused
    assert "the judgement holds" in desk.does("judge", "core:3", "core:1", "WITHDRAWN", *WHY)


def test_wrong_use(desk: Desk) -> None:
    a, b = desk.no("1"), desk.no("3")
    for arguments, word in (
        (("merge", a, *WHY), "2–10"),
        (("merge", a, b, "--by", "张三"), "--reason"),
        (("merge", a, b, "--reason", "x"), "--by"),
        (("merge", a, b, "--override", "PARTY_TYPE", *WHY), "CLOSED"),
        (("judge", "core:1", "core:3", "UNDECIDED", *WHY), "WITHDRAWN"),
        (("judge", "core:1", "core:3", "SAME", "--override", "PARTY_TYPE", *WHY), "CLOSED"),
        (("split", a, "--record", "core", *WHY), "system:key"),
        (("approve", 1), "--by"),
        (("approve", 1, "--by", " "), "--by"),
    ):
        assert word in desk.does(*arguments, code=2)
    assert "ECIF-2001" in desk.does("merge", a, "999999999999", *WHY, code=1)
    assert "ECIF-2007" in desk.does("approve", 4711, "--by", "李四", code=1)


def test_a_record_is_not_judged_with_itself(desk: Desk) -> None:
    for verdict in ("SAME", "NOT_SAME", "WITHDRAWN"):
        refused = desk.does("judge", "core:1", "core:1", verdict, *WHY, code=1)
        assert "ECIF-1001" in refused and "须为两条不同的源记录" in refused


BYTES = "张\udcff"
"""What Python makes of bytes that are no UTF-8."""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("judge", f"core:{BYTES}", "core:3", "SAME", *WHY), "SYSTEM:KEY"),
        (("judge", "core:1", "core:3", "SAME", "--by", "张三", "--reason", BYTES), "--reason"),
        (("judge", "core:1", "core:3", "SAME", *WHY, "--evidence", BYTES), "--evidence"),
        (("merge", BYTES, "100000000016", *WHY), "NO"),
        (("merge", "100000000016", "100000000024", "--survivor", BYTES, *WHY), "--survivor"),
        (("merge", "100000000016", "100000000024", "--preview", "--by", BYTES), "--by"),
        (("split", "100000000016", "--record", BYTES, *WHY), "--record"),
        (("split", "100000000016", "--record", "core:1", "--account", BYTES, *WHY), "--account"),
        (("operations", "--customer", BYTES), "--customer"),
        (("reviews", "--customer", BYTES), "--customer"),
        (("approve", 1, "--by", "李四", "--note", BYTES), "--note"),
        (("customer", BYTES), "NO"),
    ],
)
def test_what_is_no_text_is_refused_by_the_name_of_its_option(
    desk: Desk, arguments: tuple[str, ...], named: str
) -> None:
    said = desk.does(*arguments, code=2)
    assert named in said and "UTF-8" in said


def test_of_a_reason_what_can_be_seen_is_kept(desk: Desk) -> None:
    assert "--reason" in desk.does(
        "judge", "core:1", "core:3", "NOT_SAME", "--by", "张三", "--reason", "\x1b\u202e", code=2
    )
    desk.does("judge", "core:1", "core:3", "NOT_SAME", "--by", "张三\u200b", "--reason", " \x1b[31m核实\u202e")
    kept = "SELECT person || ':' || reason FROM judgement ORDER BY id DESC LIMIT 1"
    assert scalar(desk.engine, kept) == "张三:[31m核实"
