"""Accounts that left the customer of the record that names them (账户归属调整): where one record of a system mixes two people.

An account belongs to the customer of its record, unless a split gave it to another's. That is a fact of its own; the index of
accounts and the key that finds an account by its number follow it whenever they are derived. It comes back where both records
were one customer's again, and a split parts them without naming the account.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from ecif.domain.records import RecordName
from ecif.matching.keys import KeyKind
from ecif.models import AccountMove, RecordKey
from ecif.services.context import Context
from ecif.services.rows import insert_rows, query, send

Owners = Mapping[tuple[int, UUID], int]
"""Record and digest of an account → the record whose customer it belongs to."""

_OWNERS = (
    "SELECT * FROM (SELECT DISTINCT ON (record_id, digest) record_id, digest, owner_id FROM account_move"
    " WHERE record_id = ANY(%(ids)b::bigint[]) ORDER BY record_id, digest, id DESC) newest WHERE owner_id <> record_id"
)
_NAMED = (
    "SELECT r.id, r.system, r.key, a.digest FROM unnest(%(systems)b::text[], %(keys)b::text[], %(digests)b::uuid[])"
    " q(system, key, digest) JOIN source_record r USING (system, key)"
    " JOIN account a ON a.record_id = r.id AND a.digest = q.digest WHERE a.owner_id = ANY(%(stay)b::bigint[])"
    " OR (a.owner_id = ANY(%(leave)b::bigint[]) AND r.id = ANY(%(stay)b::bigint[]))"
)
_COME_BACK = (
    "SELECT DISTINCT record_id, digest FROM account WHERE record_id = ANY(%(stay)b::bigint[])"
    " AND owner_id = ANY(%(leave)b::bigint[])"
)
_GIVE = "UPDATE account SET owner_id = %(owner)b WHERE record_id = %(record)b AND digest = %(digest)b"
_UNFIND = (
    f"DELETE FROM record_key k WHERE digest = %(digest)b AND kind IN ({KeyKind.ACCOUNT:d}, {KeyKind.MOVED_ACCOUNT:d})"
    " AND NOT EXISTS (SELECT FROM account a WHERE a.digest = k.digest AND a.owner_id = k.record_id)"
)


class AccountNotOfCustomer(Exception):
    """An account that is named does not belong to the records that stay, or its number is hidden."""


def owners(session: Session, ids: Collection[int]) -> Owners:
    """The accounts of these records that belong to other records' customers."""
    return {(row.record_id, row.digest): row.owner_id for row in query(session, _OWNERS, ids=list(ids))}


def named(
    session: Session, stay: Collection[int], leave: Collection[int], accounts: Sequence[tuple[RecordName, UUID]]
) -> list[tuple[int, UUID]]:
    """Accounts, by record and digest, that would not leave a customer with these records unless they were named.

    Raises:
        AccountNotOfCustomer: one is not among them.
    """
    if not accounts:
        return []
    systems, keys = [name[0] for name, _ in accounts], [name[1] for name, _ in accounts]
    digests = [digest for _, digest in accounts]
    rows = query(session, _NAMED, systems=systems, keys=keys, digests=digests, stay=list(stay), leave=list(leave))
    if {((row.system, row.key), row.digest) for row in rows} != set(accounts):
        raise AccountNotOfCustomer
    return sorted({(row.id, row.digest) for row in rows})


def coming_back(session: Session, stay: Collection[int], leave: Collection[int]) -> Owners:
    """Accounts that were given to records which leave, and that stay with the records that name them."""
    rows = query(session, _COME_BACK, stay=list(stay), leave=list(leave))
    return {(row.record_id, row.digest): row.record_id for row in rows}


def give(session: Session, context: Context, given: Owners, operation_id: int | None) -> None:
    """Lets accounts belong to the customers of these records from now on; the customers are locked by the caller."""
    rows = [(record, digest, owner, operation_id, context.now) for (record, digest), owner in given.items()]
    insert_rows(session, AccountMove, ("record_id", "digest", "owner_id", "operation_id", "made_at"), rows)
    for (record, digest), owner in given.items():
        send(session, _GIVE, record=record, digest=digest, owner=owner)
        send(session, _UNFIND, digest=digest)
    keys = [
        (digest, owner, int(KeyKind.ACCOUNT if owner == record else KeyKind.MOVED_ACCOUNT))
        for (record, digest), owner in given.items()
    ]
    insert_rows(session, RecordKey, ("digest", "record_id", "kind"), keys, "ON CONFLICT DO NOTHING")
