"""What a steward says of two source records (人工裁决), carried out: at once where nothing moves, else by a second person."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from ecif.domain.judgements import Verdict
from ecif.domain.records import RecordName
from ecif.services import operations
from ecif.services.changes import log_change
from ecif.services.context import Context
from ecif.services.judgements import contradicts, pair
from ecif.services.merges import ask_merge
from ecif.services.operations import Kind, Operation
from ecif.services.outcomes import OperationStale, Regrouped, carry_out, seen, taken_back, unchanged
from ecif.services.regrouping import Members, Said, lock
from ecif.services.source_records import located


class JudgementContradicts(Exception):
    """Other judgements say the opposite, through the records that they tie; they have to be withdrawn first."""


def judge(
    session: Session,
    context: Context,
    one: RecordName,
    other: RecordName,
    verdict: Verdict,
    *,
    reason: str,
    evidence: str = "",
) -> Operation | None:
    """Says of two source records whether they are one party's, or takes back what was said.

    What moves no record holds at once. What moves some is an operation that waits for another person; that two customers
    are one is a merge.

    Args:
        evidence: where the proof is kept; it lets two valid numbers be one person's.

    Returns:
        The operation that waits, None where the judgement holds already.

    Raises:
        SourceRecordNotFound: a record was never sent.
        OperationStale, NumberRetired: a record went to another customer meanwhile.
        JudgementContradicts: other judgements tie the records, or keep them apart.
        MergeBlocked: a rule forbids that the two customers be one.
    """
    found = located(session, [one, other])
    homes = dict(found.values())
    if verdict is Verdict.SAME and len(set(homes.values())) == 2:
        nos = sorted(homes.values())
        return ask_merge(session, context, nos, reason=reason, evidence=evidence, records=[one, other])
    members = lock(session, set(homes.values()))
    left = [homes[r] for r in homes if members.home.get(r) != homes[r]]  # before they were locked
    if left:
        raise OperationStale(left)
    said = _said(members, list(homes), verdict)
    moves = False
    with taken_back(session):
        moves = bool(carry_out(session, context, members, said, (), None, alone=_alone(verdict)).moved)
    if moves:
        request = {"source_records": sorted([list(one), list(other)]), "verdict": verdict.value}
        no = found[one][1]
        return operations.ask(
            session, context, Kind.JUDGEMENT, no, request, seen(members), reason=reason, evidence=evidence
        )
    context = log_change(session, context, "JUDGE", reason=reason, evidence=evidence)
    carry_out(session, context, members, said, (), None, reason=reason, alone=_alone(verdict))
    return None


def approved_judgement(session: Session, context: Context, operation: Operation) -> Regrouped:
    """Carries out what was asked for.

    Raises:
        OperationStale, JudgementContradicts: it can't be any more.
    """
    members = unchanged(session, operation.seen)
    found = located(session, [(system, key) for system, key in operation.request["source_records"]])
    operations.keep_records(session, operation.id, members.home)
    verdict = Verdict(operation.request["verdict"])
    said = _said(members, [record for record, _ in found.values()], verdict)
    return carry_out(session, context, members, said, (), operation, alone=_alone(verdict))


def _alone(verdict: Verdict) -> bool:
    """Whether it leads nobody else anywhere: where what was said is taken back, the rules decide again, of whomever."""
    return verdict is not Verdict.WITHDRAWN


def _said(members: Members, two: Sequence[int], verdict: Verdict) -> Said:
    """The judgement, if no other says the opposite by way of third records."""
    said = {pair(*two): verdict}
    after = {p: v for p, v in (members.judged | said).items() if v is not Verdict.WITHDRAWN}
    if contradicts(after):
        raise JudgementContradicts
    return said
