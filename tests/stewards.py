"""Stewards, who judge, merge, split and undo through the services: one asks, another approves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import Engine, text

from ecif.db import run_transaction
from ecif.domain.channels import Channel
from ecif.domain.judgements import Verdict
from ecif.domain.records import RecordName
from ecif.services import approvals, judging, merges, reversals, splits
from ecif.services.context import Call, Context, KeyDigests
from ecif.services.operations import Operation

_seconds = count()
START = datetime(2026, 8, 1, tzinfo=UTC)


def name(text: str) -> RecordName:
    """``core:1`` as a record is named."""
    system, _, key = text.partition(":")
    return system, key


class Stewards:
    """Records are named ``system:key``, customers by a record of theirs or by their number."""

    def __init__(self, engine: Engine, digests: KeyDigests) -> None:
        self.engine, self.digests = engine, digests

    def context(self, person: str = "maker") -> Context:
        now = START + timedelta(seconds=next(_seconds))
        return Context(now, "test", self.digests, Call("test", person, Channel.COUNTER))

    def run(self, work: Any, *arguments: Any, person: str = "maker", **options: Any) -> Any:
        """One call of a service in a transaction of its own."""
        context = self.context(person)
        return run_transaction(self.engine, lambda session: work(session, context, *arguments, **options))

    def no(self, record: str) -> str:
        """The number under which a record is."""
        if record.isdigit():
            return record
        with self.engine.connect() as connection:
            found = connection.execute(
                text(
                    "SELECT l.customer_no FROM link l JOIN source_record r ON r.id = l.record_id"
                    " WHERE l.ended_at IS NULL AND r.system = :s AND r.key = :k"
                ),
                dict(zip("sk", name(record), strict=True)),
            ).scalar_one()
        return str(found)

    def nos(self, records: Sequence[str]) -> list[str]:
        return [self.no(record) for record in records]

    def approve(self, operation: Operation) -> Operation:
        return self.run(approvals.approve, operation.id, person="checker")  # type: ignore[no-any-return]

    def merge(self, *records: str, survivor: str = "", **options: Any) -> Operation:
        """Merges the customers of these records, both persons at once."""
        survivor = self.no(survivor) if survivor else ""
        return self.approve(self.run(merges.ask_merge, self.nos(records), survivor, reason="同一人", **options))

    def reverse(self, merge: Operation) -> Operation:
        return self.approve(self.run(reversals.ask_reverse, merge.id, reason="合并有误"))

    def split(self, customer: str, *records: str, accounts: Sequence[tuple[str, str]] = ()) -> Operation:
        names, given = [name(r) for r in records], [(name(r), number) for r, number in accounts]
        return self.approve(self.run(splits.ask_split, self.no(customer), names, given, reason="多人一证"))

    def judge(self, one: str, other: str, verdict: Verdict) -> Operation | None:
        """Says it, and has it approved where it moves records."""
        asked = self.run(judging.judge, name(one), name(other), verdict, reason="核实")
        return self.approve(asked) if asked else None
