"""What a steward says of two source records (人工裁决), carried out: at once where nothing moves, else by a second person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from ecif.domain.judgements import Verdict
from ecif.domain.merge_policy import Finding
from ecif.domain.records import RecordName
from ecif.services import follow_ups, operations
from ecif.services.changes import log_change
from ecif.services.context import Context
from ecif.services.judgements import contradicts, pair, told_with
from ecif.services.merges import allow, ask_merge
from ecif.services.operations import Kind, Operation
from ecif.services.outcomes import OperationStale, Regrouped, carry_out, seen, taken_back, unchanged
from ecif.services.regrouping import Members, Said, lock
from ecif.services.source_records import located


class JudgementContradicts(Exception):
    """Other judgements say the opposite, through the records that they tie; they have to be withdrawn first."""


class OneRecordTwice(Exception):
    """A record is one party's with itself, whatever anybody says."""


def judge(
    session: Session,
    context: Context,
    one: RecordName,
    other: RecordName,
    verdict: Verdict,
    *,
    reason: str,
    evidence: str = "",
    override: Collection[str] = (),
) -> Operation | None:
    """Says of two source records whether they are one party's, or takes back what was said; that they are not, for all pairs of
    their customers of which the same act said it.

    What moves no record holds at once. What moves some is an operation that waits for another person; that two customers
    are one is a merge. Where the rules would merge customers once it is taken back, that they are not one, it is looked at as
    every merge is.

    Args:
        evidence: where the proof is kept; it lets two valid numbers be one person's.
        override: rules on merges that the steward takes upon himself to set aside, where they may be.

    Returns:
        The operation that waits, None where the judgement holds already.

    Raises:
        OneRecordTwice: it is the same record.
        SourceRecordNotFound: a record was never sent.
        OperationStale, NumberRetired: a record went to another customer meanwhile.
        JudgementContradicts: other judgements tie the records, or keep them apart.
        MergeBlocked: a rule forbids that the customers be one.
    """
    if one == other:
        raise OneRecordTwice
    found = located(session, [one, other])
    homes = dict(found.values())
    if verdict is Verdict.SAME and len(set(homes.values())) == 2:
        nos = sorted(homes.values())
        return ask_merge(
            session, context, nos, reason=reason, evidence=evidence, override=override, records=[one, other]
        )
    members = lock(session, set(homes.values()))
    left = [homes[r] for r in homes if members.home.get(r) != homes[r]]  # before they were locked
    if left:
        raise OperationStale(left)
    said = _said(session, members, list(homes), verdict)
    tried = _tried(session, context, members, said, verdict)
    if tried.moved:
        _allowed(session, said, tried, evidence, override)
        request = {"source_records": sorted([list(one), list(other)]), "verdict": verdict.value}
        no = found[one][1]
        return operations.ask(
            session, context, Kind.JUDGEMENT, no, request, seen(members),
            reason=reason, evidence=evidence, override=override, others=tried.retired,
        )  # fmt: skip
    context = log_change(session, context, "JUDGE", reason=reason, evidence=evidence)
    carry_out(session, context, members, said, (), None, reason=reason, alone=_alone(verdict))
    return None


def approved_judgement(session: Session, context: Context, operation: Operation) -> Regrouped:
    """Carries out what was asked for.

    Raises:
        OperationStale, JudgementContradicts, MergeBlocked: it can't be any more.
    """
    members = unchanged(session, operation.seen)
    found = located(session, [(system, key) for system, key in operation.request["source_records"]])
    verdict = Verdict(operation.request["verdict"])
    said = _said(session, members, [record for record, _ in found.values()], verdict)
    left, held = list[Finding](), members.home
    if not _alone(verdict):
        tried = _tried(session, context, members, said, verdict)
        left, merged = _allowed(session, said, tried, operation.evidence, operation.override)
        held |= merged
    operations.keep_records(session, operation.id, held)
    done = carry_out(session, context, members, said, (), operation, alone=_alone(verdict))
    follow_ups.leave(session, context, operation.id, done.survivor, left)
    return done


def _tried(session: Session, context: Context, members: Members, said: Said, verdict: Verdict) -> Regrouped:
    """What the judgement would do; nothing is changed."""
    with taken_back(session):
        return carry_out(session, context, members, said, (), None, alone=_alone(verdict))


def _allowed(
    session: Session, said: Said, tried: Regrouped, evidence: str, override: Collection[str]
) -> tuple[list[Finding], dict[int, str]]:
    """What is to be said of the customers whom the rules would merge, if nothing forbids it, and whose records theirs are.

    Raises:
        MergeBlocked: a rule does.
    """
    joined: dict[str, set[str]] = defaultdict(set)
    for _, left, to in tried.moved:
        if left in tried.retired:
            joined[to] |= {left, to}
    found, home = list[Finding](), dict[int, str]()
    for nos in joined.values():
        sides = lock(session, nos.difference(tried.created, tried.resurrected))
        standing = {p: word for p, word in sides.words.items() if p not in said}
        found += allow(session, replace(sides, words=standing), evidence, override)
        home |= sides.home
    return found, home


def _alone(verdict: Verdict) -> bool:
    """Whether it leads nobody else anywhere: where what was said is taken back, the rules decide again, of whomever."""
    return verdict is not Verdict.WITHDRAWN


def _said(session: Session, members: Members, two: Sequence[int], verdict: Verdict) -> Said:
    """The judgement, if no other says the opposite by way of third records."""
    said = {pair(*two): verdict}
    if verdict is Verdict.WITHDRAWN:
        said |= dict.fromkeys(told_with(session, pair(*two), list(members.home)), verdict)
    after = {p: v for p, v in (members.judged | said).items() if v is not Verdict.WITHDRAWN}
    if contradicts(after):
        raise JudgementContradicts
    return said
