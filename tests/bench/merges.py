"""Merges, undoes and splits of small and large customers: how long they take, and how many statements. ``make merge-bench``.

    python tests/bench/merges.py [--customers 100000] [--times 20] [--cache FOLDER]

On the bank of ``make api-bench`` (made and kept by it): customers of 6 and of 500 records are made, merged, undone and split
through the services, each operation asked for by one and approved by another, one after the other. Shown is the approval, which
does the work: p50 and p99 in milliseconds, and the statements that it sends; and the first page of a long review queue, also
with filters that leave hardly anybody.
Prints a table, and the same as one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from api import fill  # noqa: E402
from people import citizen, record  # noqa: E402
from sqlalchemy import Engine, text  # noqa: E402
from statements import counted  # noqa: E402

from ecif.api.calls import now_by  # noqa: E402
from ecif.db import open_database, run_transaction, transaction  # noqa: E402
from ecif.domain.channels import Channel  # noqa: E402
from ecif.domain.review_policy import RISK_MAX  # noqa: E402
from ecif.services import approvals, merges, reversals, review_queue, splits  # noqa: E402
from ecif.services.context import Call, KeyDigests  # noqa: E402
from ecif.services.ingest import Delivery, ingest  # noqa: E402
from ecif.services.operations import Operation  # noqa: E402
from ecif.services.review_queue import Filter, Place, Sort  # noqa: E402
from ecif.services.source_records import places  # noqa: E402
from ecif.settings import Settings, local_secret  # noqa: E402

SIZES = (6, 500)
CHUNK = 250
"""Records in one delivery."""
REVIEWS, PAGES = 50_000, 200
_REVIEWS = (
    "INSERT INTO merge_review (customer_lo, customer_hi, kind, level, rule, evidence, risk, opened_at)"
    " SELECT customer_no, customer_no, 'BENCH', 'M2', 'P-ID-NAME', repeat('x', 2000), 1 + n % :risks,"
    " now() - n * interval '1 minute'"
    " FROM (SELECT customer_no, row_number() OVER () AS n FROM party WHERE merged_into IS NULL LIMIT :rows) p"
)


class Bench:
    """Two stewards on one database, who count and time what they do."""

    def __init__(self, engine: Engine, digests: KeyDigests) -> None:
        self.engine, self.digests = engine, digests
        self.serial, self.batch = count(1), secrets.token_hex(3)
        self.taken: dict[str, list[float]] = defaultdict(list)
        self.sent: dict[str, set[int]] = defaultdict(set)

    def run(self, work: Any, *arguments: Any, person: str = "maker", **options: Any) -> Any:
        context = now_by(person, self.digests, Call("bench", person, Channel.COUNTER))
        return run_transaction(self.engine, lambda session: work(session, context, *arguments, **options))

    def customer(self, size: int) -> tuple[str, list[tuple[str, str]]]:
        """Somebody with so many records, all under one number of a district that does not exist."""
        n = next(self.serial)
        number = citizen(
            n % 1000, f"{1950 + secrets.randbelow(60)}{1 + n % 12:02d}{1 + secrets.randbelow(28):02d}", "449999"
        )
        names = [("core", f"{self.batch}-{n}-{i}") for i in range(size)]
        name = f"郑{chr(0x4E00 + n % 5000)}{chr(0x4E00 + secrets.randbelow(5000))}"
        records = [record(*each, name, id=number) for each in names]
        for start in range(0, size, CHUNK):
            self.run(ingest, [Delivery(r) for r in records[start : start + CHUNK]])
        return self.number(names[0]), names

    def number(self, name: tuple[str, str]) -> str:
        """Under which number a record is."""
        return self.run(lambda session, _: places(session, [name])[name].customer_no)  # type: ignore[no-any-return]

    def approve(self, kind: str, asked: Operation) -> Operation:
        with counted(self.engine) as sent:
            started = perf_counter()
            done: Operation = self.run(approvals.approve, asked.id, person="checker")
            self.taken[kind].append((perf_counter() - started) * 1000)
        self.sent[kind].add(len(sent))
        return done

    def round(self, size: int) -> None:
        """Two customers of half the size are merged, undone, and the merged one split after all."""
        (one, _), (other, _) = self.customer(size // 2), self.customer(size // 2)
        merge = self.approve(
            f"merge, {size} records", self.run(merges.ask_merge, [one, other], reason="x", evidence="x")
        )
        undo = self.run(reversals.ask_reverse, merge.id, reason="x")
        self.approve(f"undo, {size} records", undo)
        no, names = self.customer(size)
        split = self.run(splits.ask_split, no, names[: size // 2], reason="x")
        self.approve(f"split, {size} records", split)


def queue(engine: Engine) -> dict[str, list[float]]:
    """The milliseconds that the first page of the review queue takes, behind REVIEWS open reviews that nobody keeps: of all,
    and of filters that leave hardly anybody."""
    taken: dict[str, list[float]] = defaultdict(list)
    filters = {"": Filter(), ", one kind": Filter(kind="FOLLOW_UP"), ", one state": Filter(state="ESCALATED"),
               ", one steward": Filter(claimed_by="nobody"), ", one rule": Filter(rule="no rule")}  # fmt: skip
    with transaction(engine) as session:
        session.execute(text(_REVIEWS), {"rows": REVIEWS, "risks": RISK_MAX})
        session.execute(text("ANALYZE merge_review"))
        now = session.execute(text("SELECT now()")).scalar_one()
        for _ in range(PAGES):
            for name, wanted in filters.items():
                started = perf_counter()
                page = review_queue.listing(session, wanted, Sort.PRIORITY, Place(now), limit=50)
                taken[f"first page{name}"].append((perf_counter() - started) * 1000)
                assert len(page.reviews) == 50 or name
        session.rollback()
    return taken


def percentile(taken: Sequence[float], share: float) -> float:
    ordered = sorted(taken)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--cache", type=Path, default=os.environ.get("ECIF_BENCH_CACHE") or "/var/tmp/ecif-api-bench")
    asked = parser.parse_args()
    home = fill(asked.cache, asked.customers)
    with open_database(Settings(home)) as engine:
        bench = Bench(engine, KeyDigests(local_secret(home, "digest.key")))
        for size in SIZES:
            for _ in range(asked.times + 1):
                bench.round(size)
        pages = queue(engine)
    found = {
        kind: {
            "p50 ms": percentile(taken[1:], 0.5),
            "p99 ms": percentile(taken[1:], 0.99),
            "statements": sorted(bench.sent[kind]),
        }
        for kind, taken in (bench.taken | pages).items()  # the first of each is a warm-up
    }
    print(f"the queue holds {REVIEWS:,} open reviews")
    for kind, row in found.items():
        print(f"{kind:24} p50 {row['p50 ms']:8.1f} ms  p99 {row['p99 ms']:8.1f} ms  {row['statements']} statements")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
