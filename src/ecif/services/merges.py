"""One golden number for life: merges, splits and undoes (合并, 拆分, 撤销合并), previewed, asked for, and approved.

A preview does the thing and takes it back, so that it shows what an approval would do and nothing else. Whoever asks does
not carry out: another person approves, and everything is looked at again then. An operation is one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from ecif.domain.judgements import Verdict
from ecif.domain.merge_policy import Finding, standing_blocks
from ecif.domain.records import RecordName
from ecif.domain.text import compact
from ecif.matching.keys import KeyKind
from ecif.services import customers, follow_ups, operations
from ecif.services.accounts import give, named
from ecif.services.assignment import Assignment
from ecif.services.changes import log_change
from ecif.services.context import Context
from ecif.services.customers import Golden
from ecif.services.holdings import HOLDINGS, Held
from ecif.services.judgements import contradicts, pair
from ecif.services.maintenance import VersionConflict
from ecif.services.merge_findings import findings, survivor_of
from ecif.services.operations import Kind, Operation, Status
from ecif.services.regrouping import (
    Members,
    NumberRetired,
    Said,
    apply,
    can_give_anchor,
    give_anchor,
    live_numbers,
    lock,
    merging,
    own_records,
    splitting,
    undoing,
)
from ecif.services.reviews import reopen
from ecif.services.rows import query, send
from ecif.services.source_records import SourceRecordNotFound

MEMBERS_MAX = 10
"""Customers in one merge."""
SINCE_MAX = 200
"""Things of a kind that are listed of what happened since a merge."""

_RECORDS = (
    "SELECT r.id, r.system, r.key, l.customer_no FROM unnest(%(systems)b::text[], %(keys)b::text[]) q(system, key)"
    " JOIN source_record r USING (system, key) JOIN link l ON l.record_id = r.id AND l.ended_at IS NULL"
)
_EVENTS_SINCE = (
    "SELECT e.customer_no, e.seq, e.type, e.occurred_at, e.position, c.action, c.caller, c.operator, c.channel"
    " FROM outbox_event e LEFT JOIN change_log c ON c.id = e.change_id"
    " WHERE e.customer_no = ANY(%(nos)b::text[]) AND e.occurred_at > %(since)b ORDER BY e.occurred_at, e.id LIMIT %(limit)b"
)
_READS_SINCE = (
    "SELECT customer_no, caller, operator, channel, purpose, read_at FROM clear_read"
    " WHERE customer_no = ANY(%(nos)b::text[]) AND read_at > %(since)b ORDER BY read_at LIMIT %(limit)b"
)
_REQUESTS_SINCE = (
    "SELECT id, customer_no, status, maker, checker, made_at FROM change_request"
    " WHERE customer_no = ANY(%(nos)b::text[]) AND made_at > %(since)b ORDER BY id LIMIT %(limit)b"
)


class NothingToMerge(Exception):
    """The numbers all lead to one customer."""


class SurvivorNotMember(Exception):
    """The number that is to survive is not one of those that are merged."""


class MergeBlocked(Exception):
    """Rules keep the customers from being merged; ``findings`` says which."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(*(finding.rule for finding in findings))
        self.findings = findings


class NotOfCustomer(Exception):
    """Records that are named do not belong to the customer."""

    def __init__(self, records: Sequence[RecordName]) -> None:
        super().__init__(len(records))
        self.records = records


class NothingStays(Exception):
    """A split has to leave at least one record on each side."""


class OnlyByUndo(Exception):
    """All records that would stay are those of merged numbers: the merge has to be undone instead."""


class NotReversible(Exception):
    """Not a merge that stands: it waits, was refused or undone, or is no merge."""


class ReverseBlocked(Exception):
    """Later operations on the same customers have to be undone first; ``later`` says which."""

    def __init__(self, later: Sequence[int]) -> None:
        super().__init__(*later)
        self.later = later


class OperationStale(Exception):
    """The customers are not what they were when the operation was asked for; ``changed`` says which numbers."""

    def __init__(self, changed: Sequence[str]) -> None:
        super().__init__(*changed)
        self.changed = changed


class JudgementContradicts(Exception):
    """Other judgements say the opposite, through the records that they tie; they have to be withdrawn first."""


@dataclass(frozen=True, slots=True)
class Regrouped:
    """What an operation did, or would do.

    Attributes:
        moved: records by name, with the numbers they left and went to.
    """

    survivor: str
    retired: list[str]
    resurrected: list[str]
    created: list[str]
    moved: list[tuple[RecordName, str, str]]

    @property
    def outcome(self) -> dict[str, Any]:
        """As it is stored."""
        moved = [{"system": s, "key": k, "from": left, "to": to} for (s, k), left, to in self.moved]
        return {
            "survivor": self.survivor,
            "retired": self.retired,
            "resurrected": self.resurrected,
            "created": self.created,
            "moved": moved,
        }


@dataclass(frozen=True, slots=True)
class Preview:
    """What would come of an operation, with everything it touches, before and after.

    Attributes:
        holdings: by kind and number, what each would hold, and what those held whose numbers would retire.
    """

    regrouped: Regrouped
    findings: list[Finding]
    before: Mapping[str, Golden] = field(repr=False)
    after: Mapping[str, Golden] = field(repr=False)
    holdings: Mapping[str, Mapping[str, Held]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Since:
    """What happened on a merged number since (影响范围). Lists hold one more than :data:`SINCE_MAX` at most."""

    arrived: list[tuple[RecordName, str]]
    events: list[Any]
    clear_reads: list[Any] = field(repr=False)
    change_requests: list[Any]
    operations: list[Operation]


# Merge


def preview_merge(session: Session, context: Context, nos: Sequence[str], survivor: str = "") -> Preview:
    """What a merge of these customers would do; nothing is changed.

    Raises:
        CustomerNotFound, NothingToMerge, SurvivorNotMember: there is nothing to be previewed.
    """
    live, survivor = _members(session, nos, survivor)
    members = lock(session, live)
    survivor = survivor or survivor_of(session, members)
    found = findings(session, members)
    with _taken_back(session):
        return _previewed(session, context, members, found, lambda: _merge(session, context, members, survivor))


def ask_merge(
    session: Session,
    context: Context,
    nos: Sequence[str],
    survivor: str = "",
    *,
    reason: str,
    evidence: str = "",
    override: Collection[str] = (),
) -> Operation:
    """Prepares a merge for another person to approve. Asking for the same again gives the same operation.

    Args:
        survivor: the number that stays; unless given, the one that the rule of survivors picks.
        evidence: where the proof is kept that lets two valid numbers be one person's.
        override: rules that the steward takes upon himself to set aside, where they may be.

    Raises:
        CustomerNotFound, NothingToMerge, SurvivorNotMember: there is nothing to be merged.
        MergeBlocked: a rule forbids it.
    """
    request = {"members": sorted(set(nos)), "survivor": survivor}
    known = operations.same(session, Kind.MERGE, request, Status.DONE, Status.PENDING)
    if known and (_stands(session, nos) if known.status is Status.DONE else _waits(session, known)):
        return known
    live, chosen = _members(session, nos, survivor)
    members = lock(session, live)
    _allow(session, members, evidence, override)
    chosen = chosen or survivor_of(session, members)
    seen = _seen(members) | {"": ",".join(sorted(override))}
    return operations.ask(session, context, Kind.MERGE, chosen, request, seen, reason=reason, evidence=evidence)


def _members(session: Session, nos: Sequence[str], survivor: str) -> tuple[list[str], str]:
    """The customers that the numbers lead to, and which of them survives, if that was said."""
    led = live_numbers(session, [*nos, *([survivor] if survivor else [])])
    live = sorted({led[no] for no in nos})
    if survivor and led[survivor] not in live:
        raise SurvivorNotMember
    if len(live) < 2:
        raise NothingToMerge
    return live, led[survivor] if survivor else ""


def _allow(session: Session, members: Members, evidence: str, override: Collection[str]) -> list[Finding]:
    """What is to be said of the merge, if nothing forbids it."""
    found = findings(session, members)
    blocks = standing_blocks(found, evidence=bool(evidence), override=frozenset(override))
    if blocks:
        raise MergeBlocked(blocks)
    return found


def _merge(
    session: Session, context: Context, members: Members, survivor: str, operation: Operation | None = None
) -> Regrouped:
    if operation:
        operations.keep_records(session, operation.id, members.home)
    said = merging(members, survivor)
    return _apply(session, context, members, said, [survivor], operation)


# Split


Accounts = Sequence[tuple[RecordName, str]]
"""Accounts by the record that names them, and their number."""


def preview_split(
    session: Session, context: Context, no: str, records: Sequence[RecordName], accounts: Accounts = ()
) -> Preview:
    """What it would do to take these records, and accounts of others, from a customer; nothing is changed.

    Raises:
        CustomerNotFound, SourceRecordNotFound, NotOfCustomer, NothingStays, AccountNotOfCustomer: there is nothing to be split.
    """
    no = live_numbers(session, [no])[no]
    members = lock(session, [no])
    ids = _named(session, members, no, records)
    given = _given(session, members, no, ids, _digested(context, accounts))
    with _taken_back(session):
        return _previewed(session, context, members, [], lambda: _split(session, context, members, no, ids, given))


def ask_split(
    session: Session,
    context: Context,
    no: str,
    records: Sequence[RecordName],
    accounts: Accounts = (),
    *,
    reason: str,
    evidence: str = "",
    expected: int | None = None,
) -> Operation:
    """Prepares a split for another person to approve: these records leave for a number of their own.

    Args:
        accounts: accounts of records that stay, which leave with them.
        expected: the version of the customer that the steward has seen.

    Raises:
        CustomerNotFound, SourceRecordNotFound, NotOfCustomer, NothingStays, AccountNotOfCustomer: there is nothing to be split.
        VersionConflict: he has changed since.
    """
    live = live_numbers(session, [no])[no]
    members, digested = lock(session, [live]), _digested(context, accounts)
    if expected is not None and expected != members.by_no[live].version:
        raise VersionConflict(members.by_no[live].version)
    ids = _named(session, members, live, records)
    _given(session, members, live, ids, digested)
    if not can_give_anchor(session, members, live, ids):
        raise OnlyByUndo
    request = {
        "customer_no": live,
        "source_records": sorted(list(name) for name in set(records)),
        "accounts": sorted([*name, digest.hex] for name, digest in digested),
    }
    return operations.ask(session, context, Kind.SPLIT, live, request, _seen(members), reason=reason, evidence=evidence)


def _named(session: Session, members: Members, no: str, records: Sequence[RecordName]) -> list[int]:
    """The records by their names.

    Raises:
        SourceRecordNotFound, NotOfCustomer, NothingStays: they can't be split off.
    """
    rows = query(session, _RECORDS, systems=[s for s, _ in records], keys=[k for _, k in records])
    found = {(row.system, row.key): row for row in rows}
    if set(records) - found.keys():
        raise SourceRecordNotFound
    elsewhere = [name for name, row in found.items() if row.customer_no != no]
    if elsewhere:
        raise NotOfCustomer(elsewhere)
    ids = {row.id for row in found.values()}
    ids |= own_records(session, members, no, ids)
    if len(ids) >= len(members.by_no[no].records):
        raise NothingStays
    return sorted(ids)


def _digested(context: Context, accounts: Accounts) -> list[tuple[RecordName, UUID]]:
    return [(name, context.digests.of((KeyKind.ACCOUNT, compact(number)))) for name, number in accounts]


def _given(
    session: Session, members: Members, no: str, ids: Collection[int], accounts: Sequence[tuple[RecordName, UUID]]
) -> list[tuple[int, UUID]]:
    return named(session, set(members.by_no[no].records) - set(ids), accounts)


def _split(
    session: Session,
    context: Context,
    members: Members,
    no: str,
    ids: Collection[int],
    accounts: Sequence[tuple[int, UUID]],
    operation: Operation | None = None,
) -> Regrouped:
    if not give_anchor(session, members, no, ids):
        raise OnlyByUndo
    if operation:
        operations.keep_records(session, operation.id, members.home)
    if accounts:
        give(session, context, accounts, min(ids), operation.id if operation else None)
    return _apply(session, context, members, splitting(members, no, ids), [no], operation)


# Undo


def preview_reverse(session: Session, context: Context, merge_id: int) -> tuple[Preview, Since]:
    """What an undo of a merge would do, and what has happened on the merged number since; nothing is changed.

    Raises:
        OperationNotFound, NotReversible, ReverseBlocked: there is nothing to be undone.
    """
    merge = _standing(session, merge_id)
    members, held = _reversible(session, merge)
    since = _since(session, merge, members, held)
    with _taken_back(session):
        preview = _previewed(session, context, members, [], lambda: _reverse(session, context, members, merge, held))
    to = {name: to for name, _, to in preview.regrouped.moved}
    return preview, replace(since, arrived=[(name, to.get(name, at)) for name, at in since.arrived])


def ask_reverse(session: Session, context: Context, merge_id: int, *, reason: str, evidence: str = "") -> Operation:
    """Prepares the undo of a merge for another person to approve.

    Raises:
        OperationNotFound, NotReversible, ReverseBlocked: there is nothing to be undone.
    """
    merge = _standing(session, merge_id)
    members, _ = _reversible(session, merge)
    no = next(iter(members.by_no))
    return operations.ask(
        session, context, Kind.REVERSE, no, {"merge": merge_id}, _seen(members),
        reason=reason, evidence=evidence, reverses=merge_id,
    )  # fmt: skip


def _standing(session: Session, merge_id: int) -> Operation:
    merge = operations.get(session, merge_id)
    if merge.kind is not Kind.MERGE or merge.status is not Status.DONE or merge.outcome is None:
        raise NotReversible
    return merge


def _reversible(session: Session, merge: Operation) -> tuple[Members, dict[int, str]]:
    """The customer that the merged numbers lead to now, locked, and what each number held before.

    Raises:
        ReverseBlocked: the numbers no longer lead to one customer, because of later operations.
    """
    held = operations.records(session, merge.id)
    assert merge.outcome is not None
    led = live_numbers(session, [merge.outcome["survivor"], *merge.outcome["retired"]])
    if len(set(led.values())) != 1:
        later = {o.id for no in led for o in operations.listing(session, status="DONE", customer_no=no, after=merge.id)}
        raise ReverseBlocked(sorted(later))
    return lock(session, set(led.values())), held


def _reverse(
    session: Session,
    context: Context,
    members: Members,
    merge: Operation,
    held: Mapping[int, str],
    operation: Operation | None = None,
) -> Regrouped:
    assert merge.outcome is not None
    survivor, retired = merge.outcome["survivor"], merge.outcome["retired"]
    said = undoing(session, context, members, held, survivor, _anchors(session, [survivor, *retired]), merge.id)
    if operation:  # first, so that what follows knows of it
        operations.mark_reversed(session, context, merge.id)
    regrouped = _apply(session, context, members, said, [survivor, *retired], operation)
    if set(retired) - set(regrouped.resurrected):  # never half of it
        raise ReverseBlocked([])
    return regrouped


_ANCHORS = "SELECT customer_no, anchor_id FROM party WHERE customer_no = ANY(%(nos)b::text[])"


def _anchors(session: Session, nos: Sequence[str]) -> dict[str, int]:
    return dict(query(session, _ANCHORS, nos=list(nos)))


def _since(session: Session, merge: Operation, members: Members, held: Mapping[int, str]) -> Since:
    """What came and what was done under the merged number after the merge."""
    nos = list(members.by_no)
    arrived = [(_record_name(members.name(r)), no) for r, no in members.home.items() if r not in held]
    asked = {"nos": nos, "since": merge.decided_at, "limit": SINCE_MAX + 1}
    later = [o for no in nos for o in operations.listing(session, customer_no=no, after=merge.id)]
    return Since(
        arrived[: SINCE_MAX + 1],
        query(session, _EVENTS_SINCE, **asked),
        query(session, _READS_SINCE, **asked),
        query(session, _REQUESTS_SINCE, **asked),
        later,
    )


# Judgements


def judge(
    session: Session, context: Context, one: RecordName, other: RecordName, verdict: Verdict, *, reason: str
) -> Operation | None:
    """Says of two source records whether they are one party's, or takes back what was said.

    What moves no record holds at once. What moves some is an operation that waits for another person; that two customers
    are one is a merge.

    Returns:
        The operation that waits, None where the judgement holds already.

    Raises:
        SourceRecordNotFound: a record was never sent, or the two are one.
        OperationStale, NumberRetired: a record went to another customer meanwhile.
        JudgementContradicts: other judgements tie the records, or keep them apart.
    """
    a, b, homes = _two(session, one, other)
    if verdict is Verdict.SAME and homes[a] != homes[b]:
        return ask_merge(session, context, sorted(homes.values()), reason=reason)
    members = lock(session, set(homes.values()))
    left = [homes[r] for r in (a, b) if members.home.get(r) != homes[r]]  # before they were locked
    if left:
        raise OperationStale(left)
    said = _said(members, a, b, verdict)
    moves = False
    with _taken_back(session):
        moves = bool(_apply(session, context, members, said, (), None).moved)
    if moves:
        request = {"source_records": sorted([list(one), list(other)]), "verdict": verdict.value}
        return operations.ask(session, context, Kind.JUDGEMENT, homes[a], request, _seen(members), reason=reason)
    context = log_change(session, context, "JUDGE", reason=reason)
    _apply(session, context, members, said, (), None, reason=reason)
    return None


def _two(session: Session, one: RecordName, other: RecordName) -> tuple[int, int, dict[int, str]]:
    rows = query(session, _RECORDS, systems=[one[0], other[0]], keys=[one[1], other[1]])
    found = {(row.system, row.key): row for row in rows}
    if len(found) < 2:
        raise SourceRecordNotFound
    return found[one].id, found[other].id, {row.id: row.customer_no for row in rows}


def _said(members: Members, a: int, b: int, verdict: Verdict) -> Said:
    """The judgement, if no other says the opposite by way of third records."""
    said = {pair(a, b): verdict}
    after = {p: v for p, v in (members.judged | said).items() if v is not Verdict.WITHDRAWN}
    if contradicts(after):
        raise JudgementContradicts
    return said


# Deciding


def approve(session: Session, context: Context, operation_id: int, *, note: str = "") -> Operation:
    """Carries an operation out, as another person than its maker.

    Raises:
        OperationNotFound, OperationDecided, MakerIsChecker: it can't be decided so.
        OperationStale, NumberRetired, MergeBlocked, ReverseBlocked: it can't be carried out any more.
    """
    operation = operations.take(session, context, operation_id)
    context = log_change(
        session, context, f"{operation.kind}_CUSTOMERS", reason=operation.reason, evidence=operation.evidence
    )
    context = replace(context, operation=(operation.kind.value, operation.id))
    regrouped = _CARRY_OUT[operation.kind](session, context, operation)
    return operations.decide(session, context, operation, Status.DONE, note, regrouped.outcome)


def reject(session: Session, context: Context, operation_id: int, *, note: str = "") -> Operation:
    """Turns an operation down; nothing changes.

    Raises:
        OperationNotFound, OperationDecided, MakerIsChecker: it can't be decided so.
    """
    operation = operations.take(session, context, operation_id)
    reopen(session, context, operation_id, note)
    return operations.decide(session, context, operation, Status.REJECTED, note)


def _approved_merge(session: Session, context: Context, operation: Operation) -> Regrouped:
    seen = dict(operation.seen)
    override = [rule for rule in seen.pop("", "").split(",") if rule]
    members = _unchanged(session, seen)
    found = _allow(session, members, operation.evidence, override)
    merged = _merge(session, context, members, operation.customer_no, operation)
    follow_ups.leave(session, context, operation.id, merged.survivor, found)
    return merged


def _approved_split(session: Session, context: Context, operation: Operation) -> Regrouped:
    members = _unchanged(session, operation.seen)
    names = [(s, k) for s, k in operation.request["source_records"]]
    no, ids = operation.customer_no, _named(session, members, operation.customer_no, names)
    accounts = [((system, key), UUID(digest)) for system, key, digest in operation.request["accounts"]]
    return _split(session, context, members, no, ids, _given(session, members, no, ids, accounts), operation)


def _approved_reverse(session: Session, context: Context, operation: Operation) -> Regrouped:
    _unchanged(session, operation.seen)
    merge = _standing(session, operation.request["merge"])
    members, held = _reversible(session, merge)
    return _reverse(session, context, members, merge, held, operation)


def _approved_judgement(session: Session, context: Context, operation: Operation) -> Regrouped:
    members = _unchanged(session, operation.seen)
    (one, other), verdict = operation.request["source_records"], Verdict(operation.request["verdict"])
    a, b, _ = _two(session, (one[0], one[1]), (other[0], other[1]))
    operations.keep_records(session, operation.id, members.home)
    return _apply(session, context, members, _said(members, a, b, verdict), (), operation)


_CARRY_OUT = {
    Kind.MERGE: _approved_merge,
    Kind.SPLIT: _approved_split,
    Kind.REVERSE: _approved_reverse,
    Kind.JUDGEMENT: _approved_judgement,
}


def _seen(members: Members) -> dict[str, str]:
    return {no: members.digest(no) for no in members.by_no}


def _unchanged(session: Session, seen: Mapping[str, str]) -> Members:
    """The customers, locked, if they hold the records that they held when the operation was asked for.

    Raises:
        OperationStale: they do not, or one was merged.
    """
    try:
        members = lock(session, seen.keys())
    except NumberRetired as retired:
        raise OperationStale([retired.no]) from retired
    changed = [no for no, digest in seen.items() if members.digest(no) != digest]
    if changed:
        raise OperationStale(changed)
    return members


def _stands(session: Session, nos: Sequence[str]) -> bool:
    """Whether these numbers are one still."""
    return len(set(live_numbers(session, nos).values())) == 1


def _waits(session: Session, operation: Operation) -> bool:
    """Whether an operation can still be approved."""
    with suppress(OperationStale):
        return bool(_unchanged(session, {no: digest for no, digest in operation.seen.items() if no}))
    return False


# What all of them do


def _apply(
    session: Session,
    context: Context,
    members: Members,
    said: Said,
    preferred: Collection[str],
    operation: Operation | None,
    *,
    reason: str = "",
) -> Regrouped:
    """Carries judgements out, and takes along what does not hang on a source record.

    Args:
        preferred: numbers that stay or live again, before others of the same records; of a merge or split, the survivor.
    """
    person = operation.maker if operation else (context.call.person if context.call else context.actor)
    assignment = apply(
        session, context, members, said,
        reason=operation.reason if operation else reason, person=person, preferred=preferred,
        operation_id=operation.id if operation else None,
    )  # fmt: skip
    regrouped = _regrouped(assignment, next(iter(preferred), next(iter(members.by_no))))
    for holding in HOLDINGS:
        holding.move(session, context, {name: (left, to) for name, left, to in regrouped.moved})
    return regrouped


def _regrouped(assignment: Assignment, survivor: str) -> Regrouped:
    parties = assignment.parties
    return Regrouped(
        survivor,
        retired=sorted(no for no in assignment.merged if not parties[no].merged_into),
        resurrected=sorted(no for no in assignment.members if parties[no].merged_into),
        created=sorted(no for no in assignment.members if parties[no].new),
        moved=[(_record_name(name), left, to) for name, left, to in assignment.moved],
    )


def _record_name(text: str) -> RecordName:
    system, _, key = text.partition(":")
    return system, key


@contextmanager
def _taken_back(session: Session) -> Iterator[None]:
    """Whatever is done inside is as if it had not been."""
    send(session, "SAVEPOINT taken_back")
    yield
    send(session, "ROLLBACK TO SAVEPOINT taken_back")


def _previewed(
    session: Session, context: Context, members: Members, found: list[Finding], work: Callable[[], Regrouped]
) -> Preview:
    before = customers.golden_records(session, list(members.by_no))
    left = {holding.kind: holding.held(session, list(members.by_no)) for holding in HOLDINGS}
    regrouped = work()
    nos = {*members.by_no, *regrouped.resurrected, *regrouped.created} - set(regrouped.retired)
    after = customers.golden_records(session, sorted(nos))
    holdings = {
        h.kind: {no: left[h.kind][no] for no in regrouped.retired if no in left[h.kind]} | h.held(session, sorted(nos))
        for h in HOLDINGS
    }
    return Preview(regrouped, found, before, after, holdings)
