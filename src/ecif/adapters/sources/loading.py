"""Loads a source file chunk by chunk: each chunk is a transaction, so that a stopped load is simply begun again."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ecif.adapters.sources.contract import Contract
from ecif.adapters.sources.mapping import Mapper
from ecif.adapters.sources.reader import SourceFile
from ecif.db import run_transaction
from ecif.domain.records import PartyRecord, Rejection
from ecif.services.context import Context, KeyDigests
from ecif.services.ingest import Delivery, Fate, Result, ingest
from ecif.services.loads import analyze, close_load, count_rows, keep_rejects, open_load, planned_records

CHUNK_ROWS = 250
"""Rows a transaction. Each claims some six keys, and a server's default lock table has room for thousands."""


@dataclass(slots=True)
class LoadReport:
    """What a load did. ``read`` is ``accepted + rejected``, always. Findings are counted by column and code."""

    system: str
    accepted: int = 0
    rejected: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    customers_created: int = 0
    customers_merged: int = 0
    reviews_opened: int = 0
    reject_codes: Counter[str] = field(default_factory=Counter)
    finding_codes: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        """Rows read."""
        return self.accepted + self.rejected

    @property
    def findings(self) -> int:
        """Values left out of accepted rows."""
        return self.finding_codes.total()


def load_file(
    engine: Engine, digests: KeyDigests, contract: Contract, path: Path, advance: Callable[[int], None] = lambda _: None
) -> LoadReport:
    """Loads one file; ``advance`` is told how many bytes have been done.

    Raises:
        SourceFileError: the file as a whole cannot be read.
        DatabaseError: the database cannot be used.
    """
    report, done = LoadReport(contract.system), 0
    file_name = path.name.encode("utf-8", "replace").decode()  # a name on disk may be no text
    opened = SourceFile(path, delimiter=contract.delimiter, required=contract.columns)
    with closing(opened) as source, _seldom_collected():
        mapper = Mapper(contract, source.columns)
        load_id = run_transaction(engine, lambda s: open_load(s, _context(digests), contract.system, file_name))
        planned, unplanned = run_transaction(engine, planned_records), 0
        for records, rejections in _chunks(source, mapper):
            _load_chunk(engine, digests, file_name, load_id, records, rejections, report)
            unplanned += len(records)
            if unplanned > planned:  # the tables have doubled
                run_transaction(engine, analyze)
                planned, unplanned = planned + unplanned, 0
            advance(source.bytes_read - done)
            done = source.bytes_read
        run_transaction(engine, lambda s: close_load(s, _context(digests), load_id))
    return report


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Lets the cycle collector run a hundred times less often.

    Records make no cycles, but they fill caches, and every full collection walks through these again: at the usual
    thresholds it took a fifth of a load.
    """
    usual = gc.get_threshold()
    gc.set_threshold(usual[0] * 10, usual[1], usual[2] * 10)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _context(digests: KeyDigests) -> Context:
    return Context(datetime.now(UTC), "file-load", digests)


Chunk = tuple[list[tuple[int, PartyRecord]], list[Rejection]]


def _chunks(source: SourceFile, mapper: Mapper) -> Iterator[Chunk]:
    records: list[tuple[int, PartyRecord]] = []
    rejections: list[Rejection] = []
    for row in source.rows():
        mapped = row if isinstance(row, Rejection) else mapper.map(row)
        if isinstance(mapped, Rejection):
            rejections.append(mapped)
        else:
            records.append((row.line, mapped))
        if len(records) + len(rejections) >= CHUNK_ROWS:
            yield records, rejections
            records, rejections = [], []
    if records or rejections:
        yield records, rejections


def _load_chunk(
    engine: Engine,
    digests: KeyDigests,
    file_name: str,
    load_id: int,
    records: list[tuple[int, PartyRecord]],
    rejections: list[Rejection],
    report: LoadReport,
) -> None:
    deliveries = [Delivery(record, load_id, line) for line, record in records]

    def work(session: Session) -> Result:
        context = _context(digests)
        keep_rejects(session, context, load_id, report.system, file_name, rejections)
        count_rows(session, load_id, len(records), len(rejections))
        return ingest(session, context, deliveries)

    result = run_transaction(engine, work)
    report.accepted += len(records)
    report.rejected += len(rejections)
    report.customers_created += result.customers_created
    report.customers_merged += result.customers_merged
    report.reviews_opened += result.reviews_opened
    report.fates.update(result.fates)
    report.reject_codes.update(rejection.code for rejection in rejections)
    report.finding_codes.update(f"{f.field} {f.code}" for _, record in records for f in record.findings)
