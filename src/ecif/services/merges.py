"""Merges (合并): customers who are one get one number; previewed, asked for, and carried out when another person approves.

A preview does the thing and takes it back, so that it shows what an approval would do and nothing else. Whoever asks does
not carry out: everything is looked at again then. An operation is one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy.orm import Session

from ecif.domain.judgements import Verdict
from ecif.domain.merge_policy import Finding, standing_blocks
from ecif.domain.records import RecordName
from ecif.services import follow_ups, operations
from ecif.services.context import Context
from ecif.services.judgements import pair
from ecif.services.merge_findings import findings, survivor_of
from ecif.services.operations import Kind, Operation, Status
from ecif.services.outcomes import OperationStale, Preview, Regrouped, carry_out, previewed, seen, unchanged
from ecif.services.regrouping import Members, Said, live_numbers, lock, merging
from ecif.services.source_records import located

MEMBERS_MAX = 10
"""Customers in one merge."""


class NothingToMerge(Exception):
    """The numbers all lead to one customer."""


class SurvivorNotMember(Exception):
    """The number that is to survive is not one of those that are merged."""


class MergeBlocked(Exception):
    """Rules keep the customers from being merged; ``findings`` says which."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(*(finding.rule for finding in findings))
        self.findings = findings


def preview_merge(session: Session, context: Context, nos: Sequence[str], survivor: str = "") -> Preview:
    """What a merge of these customers would do; nothing is changed.

    Raises:
        CustomerNotFound, NothingToMerge, SurvivorNotMember: there is nothing to be previewed.
    """
    live, survivor = _members(session, nos, survivor)
    members = lock(session, live)
    to = survivor or survivor_of(session, members)
    said, found = merging(members, to), findings(session, members)
    return previewed(session, members, found, lambda: carry_out(session, context, members, said, [to], None))


def ask_merge(
    session: Session,
    context: Context,
    nos: Sequence[str],
    survivor: str = "",
    *,
    reason: str,
    evidence: str = "",
    override: Collection[str] = (),
    records: Sequence[RecordName] = (),
) -> Operation:
    """Prepares a merge for another person to approve. Asking for the same again gives the same operation.

    Args:
        survivor: the number that stays; unless given, the one that the rule of survivors picks.
        evidence: where the proof is kept that lets two valid numbers be one person's.
        override: rules that the steward takes upon himself to set aside, where they may be.
        records: the two source records that were judged to be the same, if it is for their sake.

    Raises:
        CustomerNotFound, NothingToMerge, SurvivorNotMember: there is nothing to be merged.
        MergeBlocked: a rule forbids it.
    """
    request: dict[str, Any] = {"members": sorted(set(nos)), "survivor": survivor}
    if records:
        request["source_records"] = sorted([system, key] for system, key in records)
    known = operations.same(session, Kind.MERGE, request, Status.DONE, Status.PENDING)
    if known and known.status is Status.DONE and _stands(session, nos):
        return known
    terms = (evidence, tuple(sorted(set(override))))
    if known and (known.evidence, known.override) == terms and waits(session, known):
        return known
    live, chosen = _members(session, nos, survivor)
    members = lock(session, live)
    allow(session, members, evidence, override)
    return operations.ask(
        session, context, Kind.MERGE, chosen or survivor_of(session, members), request, seen(members),
        reason=reason, evidence=evidence, override=override, others=nos,
    )  # fmt: skip


def approved_merge(session: Session, context: Context, operation: Operation) -> Regrouped:
    """Carries out what was asked for.

    Raises:
        OperationStale, MergeBlocked, SourceRecordNotFound: it can't be any more.
    """
    members = unchanged(session, operation.seen)
    found = allow(session, members, operation.evidence, operation.override)
    said = merging(members, operation.customer_no) | _pair(session, operation.request.get("source_records", ()))
    operations.keep_records(session, operation.id, members.home)
    merged = carry_out(session, context, members, said, [operation.customer_no], operation)
    follow_ups.leave(session, context, operation.id, merged.survivor, found)
    return merged


def allow(session: Session, members: Members, evidence: str, override: Collection[str]) -> list[Finding]:
    """What is to be said of a merge of these customers, if nothing forbids it.

    Raises:
        MergeBlocked: a rule does.
    """
    found = findings(session, members)
    blocks = standing_blocks(found, evidence=bool(evidence), override=frozenset(override))
    if blocks:
        raise MergeBlocked(blocks)
    return found


def _pair(session: Session, names: Sequence[Sequence[str]]) -> Said:
    """That the two records of these names, if any, are the same: it is said of themselves, not only of their customers."""
    if not names:
        return {}
    (a, _), (b, _) = located(session, [(system, key) for system, key in names]).values()
    return {pair(a, b): Verdict.SAME}


def _members(session: Session, nos: Sequence[str], survivor: str) -> tuple[list[str], str]:
    """The customers that the numbers lead to, and which of them survives, if that was said."""
    led = live_numbers(session, [*nos, *([survivor] if survivor else [])])
    live = sorted({led[no] for no in nos})
    if survivor and led[survivor] not in live:
        raise SurvivorNotMember
    if len(live) < 2:
        raise NothingToMerge
    return live, led[survivor] if survivor else ""


def waits(session: Session, operation: Operation) -> bool:
    """Whether an operation waits, of customers who are as they were when it was asked for; they are locked then."""
    if operation.status is not Status.PENDING:
        return False
    with suppress(OperationStale):
        return bool(unchanged(session, operation.seen))
    return False


def _stands(session: Session, nos: Sequence[str]) -> bool:
    """Whether these numbers are one still."""
    return len(set(live_numbers(session, nos).values())) == 1
