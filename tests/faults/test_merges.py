"""Stewards and systems at one moment: merges, splits, undoes and files that meet on the same customers, and a killed server."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from random import Random
from time import monotonic
from typing import Any

import pytest
from people import citizen, deliver, record, scalar
from promises import BROKEN, DERIVED, NAMED
from sqlalchemy import Engine, create_engine, text
from stewards import Stewards, name

from ecif.db import run_transaction
from ecif.domain.judgements import Verdict
from ecif.domain.records import PartyRecord
from ecif.services import ingest, merges, operations, regrouping
from ecif.services.context import KeyDigests
from ecif.services.operations import OperationDecided, Status
from ecif.services.rebuild import rebuild

pytestmark = pytest.mark.slow

THREADS, CUSTOMERS, SECONDS = 32, 50, 60
REFUSALS = (
    merges.MergeBlocked, merges.NothingToMerge, merges.NotOfCustomer, merges.NothingStays, merges.NotReversible,
    merges.ReverseBlocked, merges.OperationStale, merges.JudgementContradicts, OperationDecided, regrouping.NumberRetired,
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
        done: operations.Operation = self.run(merges.approve, asked.id, person="checker")
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
            self.approve(self.run(merges.ask_reverse, merge, reason="合并有误"))

    def split(self, rng: Random) -> None:
        key = self.some(rng)[0]
        self.approve(self.run(merges.ask_split, self.stewards.no(key), [name(key)], reason="多人一证"))

    def judge(self, rng: Random) -> None:
        a, b = self.some(rng)
        verdict = rng.choice((Verdict.NOT_SAME, Verdict.WITHDRAWN, Verdict.WITHDRAWN))
        asked = self.run(merges.judge, name(a), name(b), verdict, reason="核实")
        if asked:
            self.approve(asked)


def broken(engine: Engine) -> list[str]:
    """The laws that do not hold."""
    with engine.connect() as connection:
        return [law for law, query in BROKEN.items() if connection.execute(text(query)).all()]


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
            ).tuples()
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
