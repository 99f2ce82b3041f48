"""Records per second through the whole path: file → golden record in PostgreSQL and its events. ``make load-bench``.

    python tests/bench/load.py [records …]     # 20000 and 100000 unless given

Says where the time goes: statements of the database against everything else.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter

from sqlalchemy import Engine

from ecif.adapters.sources import load_contract, load_file
from ecif.db import open_database
from ecif.demo import generate
from ecif.migrate import upgrade
from ecif.resources import resource_dir
from ecif.services import candidates, golden, ingest, linking, reviews, rows
from ecif.services.context import KeyDigests
from ecif.settings import Settings

SYSTEMS = ("core", "loan", "card", "ebank")
spent: Counter[str] = Counter()
plain_query = rows.query


def timed_query(session, sql, **params):  # type: ignore[no-untyped-def]
    """A statement, and what it took."""
    started = perf_counter()
    try:
        return plain_query(session, sql, **params)
    finally:
        spent[" ".join(sql.split()[:7])] += perf_counter() - started  # type: ignore[assignment]


def load(engine: Engine, folder: Path) -> float:
    """Loads the four files; returns the seconds."""
    digests = KeyDigests(b"b" * 32)
    started = perf_counter()
    for name in SYSTEMS:
        load_file(
            engine,
            digests,
            load_contract(resource_dir("contracts") / "sources" / f"{name}.yaml"),
            folder / f"{name}.csv",
        )
    return perf_counter() - started


def main() -> None:
    for module in (rows, candidates, linking, golden, reviews, ingest):
        module.query = timed_query  # type: ignore[attr-defined]
    for records in map(int, sys.argv[1:] or ("20000", "100000")):
        with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="ecif-bench-") as work:
            Path(work).chmod(0o755)
            read = generate(Path(work) / "bank", records=records)
            with open_database(Settings(Path(work) / "home")) as engine:
                upgrade(engine)
                spent.clear()
                seconds = load(engine, Path(work) / "bank")
        inside = sum(spent.values())
        print(
            f"{read:,} records: {seconds:.1f} s, {read / seconds:,.0f} records/s; database {inside / seconds:.0%} of it"
        )
        for sql, took in spent.most_common(8):
            print(f"  {took / seconds:5.1%}  {sql}")


if __name__ == "__main__":
    main()
