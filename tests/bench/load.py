"""Records per second through the whole path: file → golden record in PostgreSQL and its events. ``make load-bench``.

    python tests/bench/load.py [records …]     # 20000 and 100000 unless given, each RUNS times in turn

Prints the median of the runs, what a record costs at the largest size against the smallest, and where the time goes: the
share of each stage of the path (in it, its statements), and the statements that take most.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from ecif.adapters.sources import Mapper, load_contract, load_file
from ecif.db import open_database
from ecif.demo import generate
from ecif.demo.bank import HEADERS
from ecif.migrate import upgrade
from ecif.resources import resource_dir
from ecif.services import assignment, candidates, golden, ingest, linking, reviews, rows
from ecif.services.context import KeyDigests
from ecif.settings import Settings

RUNS = 3
STAGES: dict[str, tuple[Any, str]] = {
    "read and map": (Mapper, "map"),
    "features": (ingest, "features_of"),
    "claim": (ingest, "claim"),
    "store records and versions": (ingest, "_store"),
    "store features, keys, accounts": (ingest, "write_derived"),
    "search, decide, link": (ingest, "relink"),
    "golden records, events": (ingest, "settle"),
    "reviews": (ingest, "refresh_reviews"),
}
spent: Counter[str] = Counter()


def timed(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    """The same function; what it takes is added up. Statements count under their first words."""

    def run(*given: Any, **named: Any) -> Any:
        started = perf_counter()
        try:
            return plain(*given, **named)
        finally:
            spent[name or " ".join(given[1].split()[:7])] += perf_counter() - started  # type: ignore[assignment]

    return run


def instrument() -> None:
    """Puts a watch on every stage and every statement."""
    for name in ("query", "send"):
        watched = timed("", getattr(rows, name))
        for module in (rows, assignment, candidates, linking, golden, reviews, ingest):
            if hasattr(module, name):
                setattr(module, name, watched)
    for name, (owner, function) in STAGES.items():
        setattr(owner, function, timed(name, getattr(owner, function)))


def load(bank: Path, home: Path) -> tuple[float, Counter[str]]:
    """Loads a bank's four files into an empty database; returns the seconds, and what took them."""
    instrument()
    digests = KeyDigests(b"b" * 32)
    contracts = [load_contract(resource_dir("contracts") / "sources" / f"{name}.yaml") for name in HEADERS]
    with open_database(Settings(home)) as engine:
        upgrade(engine)
        spent.clear()
        started = perf_counter()
        for contract in contracts:
            load_file(engine, digests, contract, bank / f"{contract.system}.csv")
        return perf_counter() - started, spent


def report(read: int, seconds: float, spent: Counter[str]) -> None:
    """Where the time of one run went."""
    statements = {name: took for name, took in spent.items() if name not in STAGES}
    print(f"  {read:,} records: {seconds:.1f} s, {read / seconds:,.0f} records/s", end="; ")
    print(f"database {sum(statements.values()) / seconds:.0%} of it")
    for name in STAGES:
        print(f"    {spent[name] / seconds:5.1%}  {name}")
    for sql, took in Counter(statements).most_common(5):
        print(f"      {took / seconds:5.1%}  {sql}")


def main() -> None:
    rates: dict[int, list[float]] = {}
    sizes = list(map(int, sys.argv[1:] or ("20000", "100000")))
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="ecif-bench-") as work:
        Path(work).chmod(0o755)
        read = {size: generate(Path(work) / f"bank-{size}", records=size) for size in sizes}
        for run, size in ((run, size) for run in range(RUNS) for size in sizes):
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:  # no run profits from the caches of another
                home = Path(work) / f"home-{size}-{run}"
                seconds, took = fresh.submit(load, Path(work) / f"bank-{size}", home).result()
            rates.setdefault(size, []).append(read[size] / seconds)
            report(read[size], seconds, took)
    for size, found in rates.items():
        print(f"{size:,} records: median {median(found):,.0f} records/s of {', '.join(f'{r:,.0f}' for r in found)}")
    small, large = median(rates[min(sizes)]), median(rates[max(sizes)])
    print(f"a record at {max(sizes):,} costs {small / large:.2f} times what it costs at {min(sizes):,}")


if __name__ == "__main__":
    main()
