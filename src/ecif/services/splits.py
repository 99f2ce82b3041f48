"""Splits (拆分, 多人一证): one number that was two people's. Source records, and accounts of others, leave for a new number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from ecif.domain.records import RecordName
from ecif.domain.text import compact
from ecif.matching.keys import KeyKind
from ecif.services import operations
from ecif.services.accounts import coming_back, give, named
from ecif.services.context import Context
from ecif.services.maintenance import VersionConflict
from ecif.services.operations import Kind, Operation
from ecif.services.outcomes import Preview, Regrouped, carry_out, previewed, seen, unchanged
from ecif.services.regrouping import (
    Members,
    can_give_anchor,
    give_anchor,
    live_numbers,
    lock,
    own_records,
    splitting,
)
from ecif.services.source_records import located

Accounts = Sequence[tuple[RecordName, str]]
"""Accounts by the record that names them, and their number."""


class NotOfCustomer(Exception):
    """Records that are named do not belong to the customer."""

    def __init__(self, records: Sequence[RecordName]) -> None:
        super().__init__(len(records))
        self.records = records


class NothingStays(Exception):
    """A split has to leave at least one record on each side."""


class OnlyByUndo(Exception):
    """All records that would stay are those of merged numbers: the merge has to be undone instead."""


def preview_split(
    session: Session, context: Context, no: str, records: Sequence[RecordName], accounts: Accounts = ()
) -> Preview:
    """What it would do to take these records, and accounts of others, from a customer; nothing is changed.

    Raises:
        CustomerNotFound, SourceRecordNotFound, NotOfCustomer, NothingStays, AccountNotOfCustomer: there is nothing to be split.
        OnlyByUndo: no record that stays can stand for the number.
    """
    no = live_numbers(session, [no])[no]
    members = lock(session, [no])
    ids = _leaving(session, members, no, records)
    given = _given(session, members, no, ids, _digested(context, accounts))
    return previewed(session, members, [], lambda: _split(session, context, members, no, ids, given))


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
        OnlyByUndo: no record that stays can stand for the number.
        VersionConflict: he has changed since.
    """
    live = live_numbers(session, [no])[no]
    members, digested = lock(session, [live]), _digested(context, accounts)
    if expected is not None and expected != members.by_no[live].version:
        raise VersionConflict(members.by_no[live].version)
    ids = _leaving(session, members, live, records)
    _given(session, members, live, ids, digested)
    if not can_give_anchor(session, members, live, ids):
        raise OnlyByUndo
    request = {
        "customer_no": live,
        "source_records": sorted(list(name) for name in set(records)),
        "accounts": sorted([*name, digest.hex] for name, digest in digested),
    }
    return operations.ask(
        session, context, Kind.SPLIT, live, request, seen(members), reason=reason, evidence=evidence, others=[no]
    )


def approved_split(session: Session, context: Context, operation: Operation) -> Regrouped:
    """Carries out what was asked for.

    Raises:
        OperationStale, NotOfCustomer, NothingStays, AccountNotOfCustomer, OnlyByUndo: it can't be any more.
    """
    members, no = unchanged(session, operation.seen), operation.customer_no
    ids = _leaving(session, members, no, [(s, k) for s, k in operation.request["source_records"]])
    accounts = [((system, key), UUID(digest)) for system, key, digest in operation.request["accounts"]]
    operations.keep_records(session, operation.id, members.home)
    return _split(session, context, members, no, ids, _given(session, members, no, ids, accounts), operation)


def _leaving(session: Session, members: Members, no: str, records: Sequence[RecordName]) -> list[int]:
    """The records that are named, and with them those that channels wrote here onto numbers which leave.

    Raises:
        SourceRecordNotFound, NotOfCustomer, NothingStays: they can't be split off.
    """
    found = located(session, records)
    elsewhere = [name for name, (_, customer_no) in found.items() if customer_no != no]
    if elsewhere:
        raise NotOfCustomer(elsewhere)
    ids = {record for record, _ in found.values()}
    ids |= own_records(session, members, no, ids)
    if len(ids) >= len(members.by_no[no].records):
        raise NothingStays
    return sorted(ids)


def _digested(context: Context, accounts: Accounts) -> list[tuple[RecordName, UUID]]:
    return [(name, context.digests.of((KeyKind.ACCOUNT, compact(number)))) for name, number in accounts]


def _given(
    session: Session, members: Members, no: str, ids: Collection[int], accounts: Sequence[tuple[RecordName, UUID]]
) -> list[tuple[int, UUID]]:
    return named(session, set(members.by_no[no].records) - set(ids), ids, accounts)


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
    stay = set(members.by_no[no].records) - set(ids)
    given = {**coming_back(session, stay, ids), **dict.fromkeys(accounts, min(ids))}
    if given:
        give(session, context, given, operation.id if operation else None)
    return carry_out(session, context, members, splitting(members, no, ids), [no], operation)
