"""Stewards and systems at one moment: merges, splits, undoes and files that meet on the same customers, and a killed server."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

import pytest
from people import citizen, deliver, golden, parties, record, scalar
from processes import spawn
from promises import DERIVED, NAMED, STANDING, broken
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session
from stewards import Stewards, name

from ecif.db import open_database, run_transaction
from ecif.domain.judgements import Verdict
from ecif.domain.records import PartyRecord
from ecif.migrate import upgrade
from ecif.services import approvals, ingest, judging, merges, operations, outcomes, regrouping, reversals, splits
from ecif.services.context import KeyDigests
from ecif.services.operations import OperationDecided, Status
from ecif.services.rebuild import rebuild
from ecif.services.rows import query, send
from ecif.settings import Settings

pytestmark = pytest.mark.slow

THREADS, CUSTOMERS, SECONDS = 32, 50, int(os.environ.get("ECIF_CROWD_SECONDS", "60"))
REFUSALS = (
    merges.MergeBlocked, merges.NothingToMerge, splits.NotOfCustomer, splits.NothingStays, splits.OnlyByUndo,
    reversals.NotReversible, reversals.ReverseBlocked, outcomes.OperationStale, judging.JudgementContradicts,
    OperationDecided, regrouping.NumberRetired, regrouping.LeadsOthers,
)  # fmt: skip
"""What a service says no with; anything else is a fault."""
KEYS = [(system, f"{n}") for n in range(CUSTOMERS) for system in ("core", "card", "loan")]


@pytest.fixture
def crowd(server: Engine, engine: Engine) -> Iterator[Engine]:
    """The empty database, with a connection for each thread."""
    wide = create_engine(engine.url, pool_size=THREADS, max_overflow=0)
    yield wide
    wide.dispose()


def says(rng: Random, key: tuple[str, str], version: int) -> PartyRecord:
    """What a system sends of one of the customers: mostly himself, now and then his neighbour, always something new."""
    n = int(key[1])
    who = n if rng.random() < 0.8 else (n + 1) % CUSTOMERS
    number = citizen(who + 100) if rng.random() < 0.6 else ""
    told = record(
        *key,
        f"张{'明华国强丽娟建军秀英'[who % 10]}",
        id=number,
        phone=f"139123400{who // 2:02d}",
        male=True,
        day=version,
    )
    return replace(told, emails=(f"v{version}@example.com",))


class Crowd:
    """Threads that do whatever comes to their minds until the time is over."""

    def __init__(self, engine: Engine, digests: KeyDigests) -> None:
        self.engine, self.stewards, self.digests = engine, Stewards(engine, digests), digests
        self.figures: Counter[str] = Counter()
        self.versions = count(1)
        self.sent: list[tuple[tuple[str, str], int]] = []
        self.approved: list[int] = []
        self.merged: list[int] = []
        self.faults: list[BaseException] = []
        self.lock = threading.Lock()

    def work(self, seed: int, until: float) -> None:
        rng = Random(seed)
        verbs = (
            self.send,
            self.send,
            self.send,
            self.merge,
            self.merge,
            self.split,
            self.reverse,
            self.reverse,
            self.judge,
        )
        while monotonic() < until and not self.faults:
            verb = rng.choice(verbs)
            try:
                verb(rng)
                self.tell(verb.__name__)
            except REFUSALS as refused:
                self.tell(f"{verb.__name__} refused: {type(refused).__name__}")
            except BaseException as fault:
                self.faults.append(fault)
                raise

    def tell(self, what: str) -> None:
        with self.lock:
            self.figures[what] += 1

    def run(self, work: Callable[..., Any], *arguments: Any, person: str = "maker", **options: Any) -> Any:
        """One transaction; how often it had to be begun again is counted."""
        begun = count()

        def counted(session: Any, *given: Any, **more: Any) -> Any:
            if next(begun):
                self.tell("begun again")
            return work(session, *given, **more)

        return self.stewards.run(counted, *arguments, person=person, **options)

    def approve(self, asked: operations.Operation) -> operations.Operation:
        done: operations.Operation = self.run(approvals.approve, asked.id, person="checker")
        self.approved.append(done.id)
        return done

    def send(self, rng: Random) -> None:
        version, keys = next(self.versions), rng.sample(KEYS, rng.choice((1, 1, 3)))
        deliveries = [ingest.Delivery(says(rng, key, version)) for key in keys]
        self.run(ingest.ingest, deliveries)
        self.sent += [(key, version) for key in keys]

    def some(self, rng: Random) -> tuple[str, str]:
        """Two records of neighbours."""
        n = rng.randrange(CUSTOMERS)
        (a, _), (b, _) = rng.choice(KEYS), rng.choice(KEYS)
        return f"{a}:{n}", f"{b}:{(n + rng.choice((1, 1, 2))) % CUSTOMERS}"

    def merge(self, rng: Random) -> None:
        nos = self.stewards.nos(self.some(rng))
        asked = self.run(merges.ask_merge, nos, reason="同一人", evidence="证明")
        if asked.status is Status.PENDING:
            self.merged.append(self.approve(asked).id)

    def reverse(self, rng: Random) -> None:
        if self.merged:
            merge = rng.choice(self.merged[-200:])
            self.approve(self.run(reversals.ask_reverse, merge, reason="合并有误"))

    def split(self, rng: Random) -> None:
        key = self.some(rng)[0]
        self.approve(self.run(splits.ask_split, self.stewards.no(key), [name(key)], reason="多人一证"))

    def judge(self, rng: Random) -> None:
        a, b = self.some(rng)
        verdict = rng.choice((Verdict.NOT_SAME, Verdict.WITHDRAWN, Verdict.WITHDRAWN))
        asked = self.run(judging.judge, name(a), name(b), verdict, reason="核实")
        if asked:
            self.approve(asked)


def derived(engine: Engine) -> dict[str, set[str]]:
    with engine.connect() as connection:
        return {what: set(map(repr, connection.execute(text(NAMED + query)))) for what, query in DERIVED.items()}


def test_a_crowd_on_fifty_customers_breaks_nothing_and_loses_nothing(crowd: Engine, digests: KeyDigests) -> None:
    all_of_them = Crowd(crowd, digests)
    deliver(crowd, digests, *(says(Random(0), key, 0) for key in KEYS))
    deadlocks = scalar(crowd, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    until = monotonic() + SECONDS
    with ThreadPoolExecutor(THREADS) as pool:
        for thread in [pool.submit(all_of_them.work, seed, until) for seed in range(THREADS)]:
            thread.result()
    figures, sent = all_of_them.figures, all_of_them.sent
    with crowd.connect() as connection:
        kept = set(
            connection.execute(
                text("SELECT system, \"key\", v.document::jsonb->'emails'->>0 FROM source_record_version v"
                     " JOIN source_record r ON r.id = v.record_id")
            )
        )  # fmt: skip
        newest = {
            (system, key): email
            for system, key, email in connection.execute(
                text("SELECT system, \"key\", document::jsonb->'emails'->>0 FROM source_record")
            )
        }
        done = set(connection.execute(text("SELECT id FROM operation WHERE status IN ('DONE', 'REVERSED')")).scalars())
    found = {(key, n) for key, n in sent if (*key, f"v{n}@example.com") in kept}
    last = {key: max(n for k, n in [*sent, (key, 0)] if k == key) for key in KEYS}
    figures["records sent"], figures["records found again"] = len(sent), len(found)
    figures["operations approved"], figures["operations found again"] = len(all_of_them.approved), len(done)
    figures["deadlocks"] = (
        scalar(crowd, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") - deadlocks
    )
    print(json.dumps(dict(sorted(figures.items())), indent=1))
    assert found == set(sent) and set(all_of_them.approved) == done
    assert newest == {key: f"v{n}@example.com" for key, n in last.items()}
    assert broken(crowd) == []
    before = derived(crowd)
    report = run_transaction(crowd, lambda s: rebuild(s, all_of_them.stewards.context()))
    after = derived(crowd)
    assert {what: before[what] ^ after[what] for what in before} == {what: set() for what in before}
    assert report.changed == 0


# Two at one moment


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """What comes of calls that begin together: an answer, or the refusal."""
    begin = threading.Barrier(len(work))

    def call(one: Callable[[], Any]) -> Any:
        begin.wait()
        try:
            return one()
        except REFUSALS as refused:
            return refused

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(call, work))


def won(given: list[Any]) -> list[Any]:
    return [one for one in given if isinstance(one, operations.Operation)]


def refusals(given: list[Any]) -> list[Any]:
    return [one for one in given if isinstance(one, Exception)]


def test_two_stewards_on_one_operation(engine: Engine, digests: KeyDigests) -> None:
    stewards = Stewards(engine, digests)
    deliver(engine, digests, record("core", "1", "张三丰", id=citizen(1)), record("core", "2", "张叁丰"))
    asked = stewards.run(merges.ask_merge, stewards.nos(["core:1", "core:2"]), reason="x")
    given = at_once(
        *(lambda who=who: stewards.run(approvals.approve, asked.id, person=who) for who in ("one", "two", "three")),  # type: ignore[misc]
        lambda: stewards.run(approvals.reject, asked.id, person="four"),
    )
    (decided,), others = won(given), refusals(given)
    assert len(others) == 3 and all(isinstance(one, OperationDecided) for one in others)
    assert {one.status for one in others} == {decided.status}
    assert len(parties(engine)) == (1 if decided.status is Status.DONE else 2)
    assert broken(engine) == []


@pytest.mark.parametrize("turn", range(5))
def test_two_merges_that_share_a_member(engine: Engine, digests: KeyDigests, turn: int) -> None:
    stewards = Stewards(engine, digests)
    deliver(engine, digests, *(record("core", str(n), f"张三{n}") for n in range(3)))
    one, other = (
        stewards.run(merges.ask_merge, stewards.nos(pair), reason="x")
        for pair in (["core:0", "core:1"], ["core:1", "core:2"])
    )
    given = at_once(lambda: stewards.approve(one), lambda: stewards.approve(other))
    (done,), (refused,) = won(given), refusals(given)
    assert isinstance(refused, outcomes.OperationStale) and set(refused.changed) <= {*one.seen, *other.seen}
    assert len(parties(engine)) == 2 and broken(engine) == []
    again = stewards.merge("core:0", "core:1", "core:2")  # whoever lost looks again
    assert again.status is Status.DONE and len(parties(engine)) == 1 and done.id != again.id


@pytest.mark.parametrize("turn", range(5))
def test_a_merge_that_races_a_file(engine: Engine, digests: KeyDigests, turn: int) -> None:
    """The merge sees the record, and is refused; or the record sees the merge, and goes to the survivor."""
    stewards = Stewards(engine, digests)
    deliver(engine, digests, record("core", "1", "张三丰", id=citizen(1)), record("core", "2", "张叁丰"))
    asked = stewards.run(merges.ask_merge, stewards.nos(["core:1", "core:2"]), reason="x")
    late = record("card", "9", "张三丰", id=citizen(1))
    given = at_once(lambda: stewards.approve(asked), lambda: deliver(engine, digests, late))
    if won(given):
        assert parties(engine) == {frozenset({"core:1", "core:2", "card:9"})}
    else:
        (refused,) = refusals(given)
        assert isinstance(refused, outcomes.OperationStale) and refused.changed == [stewards.no("core:1")]
        assert parties(engine) == {frozenset({"core:1", "card:9"}), frozenset({"core:2"})}
    assert broken(engine) == []


def test_a_judgement_on_a_record_that_leaves_meanwhile(engine: Engine, digests: KeyDigests) -> None:
    """The customer is locked by a file that takes the record away; the judgement waits, and is told so."""
    stewards = Stewards(engine, digests)
    deliver(engine, digests, *(record("core", str(n), "张三丰", id=citizen(1)) for n in range(3)))
    leaves, locked = record("core", "2", "李四光", id=citizen(7), day=3), threading.Event()

    def slowly(session: Any, context: Any) -> None:
        ingest.ingest(session, context, [ingest.Delivery(leaves)])
        locked.set()
        sleep(0.5)

    with ThreadPoolExecutor(1) as pool:
        file = pool.submit(stewards.run, slowly)
        locked.wait()
        with pytest.raises(outcomes.OperationStale):
            stewards.run(judging.judge, name("core:0"), name("core:2"), Verdict.NOT_SAME, reason="x")
        file.result()
    assert broken(engine) == []


def test_two_who_wait_for_each_other_are_parted_before_a_second_is_over(engine: Engine, digests: KeyDigests) -> None:
    stewards, both_hold = Stewards(engine, digests), threading.Barrier(2)
    deliver(engine, digests, record("core", "1", "张三丰"), record("core", "2", "李四光"))
    nos = stewards.nos(["core:1", "core:2"])

    def lock_crosswise(nos: list[str]) -> None:
        def work(session: Session) -> None:
            send(session, "SET LOCAL lock_timeout = '900ms'")
            for no in nos:
                query(session, "SELECT FROM party WHERE customer_no = %(no)b FOR UPDATE", no=no)
                if session.info["attempt"] == 0 and no == nos[0]:
                    both_hold.wait()

        run_transaction(engine, work)

    at_once(lambda: lock_crosswise(nos), lambda: lock_crosswise(nos[::-1]))


# A killed program

APPROVE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from stewards import Stewards
from ecif.db import open_database
from ecif.services.context import KeyDigests
from ecif.settings import Settings

with open_database(Settings(Path(sys.argv[2]))) as engine:
    stewards = Stewards(engine, KeyDigests(b"k" * 32))
    print("ready", flush=True)
    stewards.merge("core:0", "card:0")
    sys.stdin.read()
"""


def test_a_kill_amid_an_approval_leaves_it_whole_or_not_at_all(home: Path, digests: KeyDigests) -> None:
    rng, seen = Random(5), Counter[int]()
    with open_database(Settings(home)) as engine:
        upgrade(engine)
        sides = [record(system, str(n), f"张三{system}", id=number) for system, number in
                 (("core", citizen(1)), ("card", "")) for n in range(40) if system == "core" or n == 0]  # fmt: skip
        deliver(engine, digests, *sides)
        before = golden(engine)
        for _ in range(8):
            program = (sys.executable, "-c", APPROVE, str(Path(__file__).parent.parent))
            with spawn(home, home, program=program) as process:
                assert process.stdout and process.stdout.readline() == "ready\n", process.communicate()
                sleep(rng.uniform(0, 0.12))
                process.kill()
                process.wait()
            sleep(0.2)  # until the server has seen that nobody is there
            done = scalar(engine, "SELECT count(*) FROM operation WHERE kind = 'MERGE' AND status = 'DONE'")
            assert len(parties(engine)) == 2 - done and done in (0, 1)
            assert done or golden(engine) == before
            assert broken(engine) == []
            seen[done] += 1
            if done:
                stewards = Stewards(engine, digests)
                merge = scalar(engine, "SELECT max(id) FROM operation WHERE kind = 'MERGE' AND status = 'DONE'")
                stewards.approve(stewards.run(reversals.ask_reverse, merge, reason="x"))
            for lo, hi in apart(engine):
                Stewards(engine, digests).judge(lo, hi, Verdict.WITHDRAWN)
        print(f"killed when merged: {seen[1]}, when not: {seen[0]}")


def apart(engine: Engine) -> list[tuple[str, str]]:
    """The pairs that stand as not the same."""
    with engine.connect() as connection:
        standing = connection.execute(text(STANDING)).fetchall()
    return [(lo, hi) for lo, hi, verdict, *_ in standing if verdict == Verdict.NOT_SAME]
