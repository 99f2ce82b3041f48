"""Reads of the unified record (统一视图): by number, by any look-up value, and what stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from psycopg import AsyncConnection
from sqlalchemy.orm import Session

from ecif.domain.company_names import normalize_company_name
from ecif.domain.han import is_han, turned
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.identifiers import Validity, normalize_identifier
from ecif.domain.names import normalize_person_name
from ecif.domain.phones import normalize_phone
from ecif.domain.text import compact
from ecif.matching.keys import Key, KeyKind
from ecif.services.context import KeyDigests
from ecif.services.rows import query, query_alone

NAMED_MAX = 20
"""Customers whom one relation may name: they all bear the number that it states."""

_RESOLVE = "SELECT customer_no, coalesce(merged_into, customer_no) AS live FROM party WHERE customer_no = %(no)b"
_LIVE = "(SELECT coalesce(merged_into, customer_no) FROM party WHERE customer_no = %(customer_no)b)"
NUMBERS = f"SELECT customer_no FROM party WHERE customer_no = {_LIVE} OR merged_into = {_LIVE}"
"""All numbers of a customer: the live one, and those that were merged into it."""
_GOLDEN = (  # OFFSET 0 keeps the planner from hashing all parties to find a hundred
    "SELECT r.customer_no AS requested_no, g.customer_no, g.version, g.document FROM party r CROSS JOIN LATERAL"
    " (SELECT g.* FROM party p JOIN golden_record g ON g.customer_no = p.customer_no AND g.version = p.version"
    " WHERE p.customer_no = coalesce(r.merged_into, r.customer_no) OFFSET 0) g WHERE r.customer_no ="
)
_GOLDEN_OF_ONE, _GOLDEN_OF_MANY = f"{_GOLDEN} %(no)b", f"{_GOLDEN} ANY(%(nos)b::text[])"
_BY_KEY = (
    "SELECT DISTINCT l.customer_no FROM record_key k JOIN link l ON l.record_id = k.record_id AND l.ended_at IS NULL"
    " WHERE k.digest = ANY(%(digests_0)b::uuid[])"
)
_BY_SOURCE = (
    "SELECT l.customer_no FROM source_record r JOIN link l ON l.record_id = r.id AND l.ended_at IS NULL"
    " WHERE r.system = %(system)b AND r.key = %(key)b"
)
_AND_BY_KEY = (
    " AND EXISTS (SELECT FROM link m JOIN record_key j ON j.record_id = m.record_id AND j.digest = ANY(%(digests_{n})b::uuid[])"
    " WHERE m.customer_no = l.customer_no AND m.ended_at IS NULL)"
)
_AFTER = " AND l.customer_no > %(after)b ORDER BY 1 LIMIT %(limit)b"
_SOURCES = (
    "SELECT r.system, r.key, r.legal_entity, r.branch, r.version, r.business_time, l.rule, l.origin, l.policy_version,"
    " l.started_at FROM link l JOIN source_record r ON r.id = l.record_id"
    " WHERE l.customer_no = %(no)b AND l.ended_at IS NULL AND (r.system, r.key) > (%(system)b, %(key)b)"
    " ORDER BY r.system, r.key LIMIT %(limit)b"
)
_ACCOUNTS = (
    "SELECT r.system, r.key, a.position, a.number, a.kind, a.status, a.account_class, a.opened_on, a.branch, a.legal_entity"
    " FROM link l JOIN account a ON a.owner_id = l.record_id JOIN source_record r ON r.id = a.record_id"
    " WHERE l.customer_no = %(no)b AND l.ended_at IS NULL"
    " AND (r.system, r.key, a.position) > (%(system)b, %(key)b, %(position)b)"
    " ORDER BY r.system, r.key, a.position LIMIT %(limit)b"
)
_HISTORY = (
    "SELECT g.customer_no, g.version, g.recorded_at, g.document, to_jsonb(c) - 'id' AS change"
    " FROM golden_record g JOIN party p USING (customer_no) LEFT JOIN LATERAL (SELECT l.* FROM outbox_event e"
    " JOIN change_log l ON l.id = e.change_id WHERE e.customer_no = g.customer_no AND e.occurred_at = g.recorded_at"
    " LIMIT 1) c ON true"
    " WHERE (p.customer_no = %(no)b OR p.merged_into = %(no)b) AND (%(last_no)b = '' OR (g.recorded_at, g.customer_no,"
    " g.version) < (SELECT recorded_at, customer_no, version FROM golden_record"
    " WHERE customer_no = %(last_no)b AND version = %(last_version)b))"
    " ORDER BY g.recorded_at DESC, g.customer_no DESC, g.version DESC LIMIT %(limit)b"
)
_RELATIONS = (  # each once for whom it names: these customers, else this number, else this name
    "WITH said AS MATERIALIZED (SELECT r.system, r.key, x.position, x.type, x.name, x.digest"
    "  FROM link l JOIN relation x ON x.record_id = l.record_id JOIN source_record r ON r.id = l.record_id"
    "  WHERE l.customer_no = %(no)b AND l.ended_at IS NULL),"
    " known AS MATERIALIZED (SELECT digest, ARRAY(SELECT DISTINCT other.customer_no::text FROM record_key k"
    "  JOIN link other ON other.record_id = k.record_id AND other.ended_at IS NULL"
    f"  WHERE k.digest = d.digest ORDER BY 1 LIMIT {NAMED_MAX}) AS named"
    "  FROM (SELECT DISTINCT digest FROM said WHERE digest IS NOT NULL) d)"
    " SELECT system, key, position, type, name, others AS customer_nos FROM (SELECT DISTINCT ON (type, who) *"
    " FROM (SELECT said.*, named, array_remove(coalesce(named, '{}'), %(no)b::text) AS others"
    " FROM said LEFT JOIN known USING (digest) OFFSET 0) o"
    " CROSS JOIN LATERAL (SELECT coalesce(nullif(others, '{}')::text, digest::text, name) AS who) w"
    " WHERE named IS DISTINCT FROM ARRAY[%(no)b::text] ORDER BY type, who, system, key, position) s"
    " WHERE (system, key, position) > (%(system)b, %(key)b, %(position)b)"
    " ORDER BY system, key, position LIMIT %(limit)b"
)
_RICHEST = "SELECT customer_no FROM link WHERE ended_at IS NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
_IS_EMPTY = "SELECT NOT EXISTS (SELECT FROM source_record) AS empty"


class CustomerNotFound(Exception):
    """No such number was ever issued."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A number, and the live one it stands for."""

    requested_no: str
    customer_no: str

    @property
    def redirected(self) -> bool:
        """Whether the number asked for was merged into another."""
        return self.requested_no != self.customer_no


@dataclass(frozen=True, slots=True)
class Golden(Resolved):
    """A version of a golden record; ``version`` is 0 where it was made for the question. ``text`` is its JSON."""

    version: int
    text: str = field(repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """The golden record, parsed."""
        return cast(dict[str, Any], orjson.loads(self.text))


def resolve(session: Session, no: str) -> Resolved:
    """Follows a merged number to its survivor.

    Raises:
        CustomerNotFound: the number was never issued.
    """
    rows = query(session, _RESOLVE, no=no)
    if not rows:
        raise CustomerNotFound(no)
    return Resolved(no, rows[0].live)


def golden(session: Session, no: str) -> Golden:
    """The golden record of a number, or of the one into which it was merged: one statement.

    Raises:
        CustomerNotFound: the number was never issued.
    """
    return _only(no, query(session, _GOLDEN_OF_ONE, no=no))


async def golden_alone(connection: AsyncConnection[Any], no: str) -> Golden:
    """The same for the call that is made most, in the event loop of the server.

    Raises:
        CustomerNotFound: the number was never issued.
    """
    return _only(no, await query_alone(connection, _GOLDEN_OF_ONE, no=no))


def _only(no: str, rows: Sequence[Any]) -> Golden:
    if not rows:
        raise CustomerNotFound(no)
    return Golden(*rows[0])


def golden_records(session: Session, nos: Sequence[str]) -> dict[str, Golden]:
    """The golden records of numbers that were issued, by the number asked for."""
    rows = query(session, _GOLDEN_OF_MANY, nos=list(nos)) if nos else []
    return {row.requested_no: Golden(*row) for row in rows}


def search_keys(
    *, identifier: str = "", kind: IdentifierKind | None = None, name: str = "", phone: str = "", account: str = ""
) -> list[list[Key]]:
    """The look-up keys of each criterion given; a customer must be found under all of them, by any key of each.

    The criterion that fewest customers meet comes first. An empty list inside is one that can match nothing (a
    placeholder, an impossible number).
    """
    criteria: list[list[Key]] = []
    if identifier:
        found = (normalize_identifier(kind, identifier, party_is_person=person) for person in (True, False))
        shown = (n for n in found if n.usable or n.validity is Validity.INVALID)
        criteria.append([(KeyKind.IDENTIFIER, f"{n.space.value}:{n.number}") for n in shown])
    if account:
        criteria.append([(KeyKind.ACCOUNT, compact(account))])
    if phone:
        number = normalize_phone(phone)
        criteria.append([(KeyKind.PHONE, number.number)] if number else [])
    if name:
        forms = (normalize_person_name(name), normalize_company_name(name))
        spelt = () if any(map(is_han, name)) else turned(name)
        criteria.append(
            [*((KeyKind.NAME, form.key) for form in forms if form), *((KeyKind.PINYIN, letters) for letters in spelt)]
        )
    return criteria


def find(
    session: Session,
    digests: KeyDigests,
    criteria: list[list[Key]],
    *,
    source: tuple[str, str] | None = None,
    after: str = "",
    limit: int = 20,
) -> list[str]:
    """Live customer numbers that meet every criterion, in number order after ``after``; index look-ups only.

    Args:
        source: (system, key) of a source record, one more criterion.
    """
    if not (criteria or source) or not all(criteria):
        return []
    start, others = (_BY_SOURCE, range(len(criteria))) if source else (_BY_KEY, range(1, len(criteria)))
    sql = start + "".join(_AND_BY_KEY.format(n=n) for n in others) + _AFTER
    system, key = source or ("", "")
    wanted = {f"digests_{n}": [digests.of(key) for key in keys] for n, keys in enumerate(criteria)}
    rows = query(session, sql, system=system, key=key, after=after, limit=limit, **wanted)
    return [row.customer_no for row in rows]


RecordPart = tuple[str, str, int]
"""System, key and position: a place in a list that is made of parts of source records."""


def sources(session: Session, no: str, *, after: tuple[str, str] = ("", ""), limit: int = 100) -> list[Any]:
    """The live source records of a customer, each with the rule that brought it (交叉索引)."""
    return query(session, _SOURCES, no=no, system=after[0], key=after[1], limit=limit)


def accounts(session: Session, no: str, *, after: RecordPart = ("", "", 0), limit: int = 100) -> list[Any]:
    """The accounts of a customer over all its source records (账户索引)."""
    return query(session, _ACCOUNTS, no=no, system=after[0], key=after[1], position=after[2], limit=limit)


def history(session: Session, no: str, *, after: tuple[str, int] = ("", 0), limit: int = 20) -> list[Any]:
    """The versions of a golden record and of those that were merged into it, newest first, each with the call that made it."""
    return query(session, _HISTORY, no=no, last_no=after[0], last_version=after[1], limit=limit)


def relations(session: Session, no: str, *, after: RecordPart = ("", "", 0), limit: int = 100) -> list[Any]:
    """Whom the customer's records name, with the numbers of those who are customers too.

    Several records that name the same are told once, the first of them, and nobody is told to be related to himself: where
    merges made it so, the records still say it, and an undo lets it show again.
    """
    return query(session, _RELATIONS, no=no, system=after[0], key=after[1], position=after[2], limit=limit)


def is_empty(session: Session) -> bool:
    """Whether no source record was ever taken in."""
    return bool(query(session, _IS_EMPTY)[0].empty)


def richest(session: Session) -> str | None:
    """The customer with the most source records, worth looking at."""
    rows = query(session, _RICHEST)
    return rows[0].customer_no if rows else None
