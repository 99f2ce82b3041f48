"""The queue of reviews (审核队列): which waits longest for the most money, and all that is known of one.

A page takes the first of each risk class from the index and merges them, so that it costs the same however many wait. The
cursor of the order by priority holds the time as of which priorities are reckoned: they all grow, but keep their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.company_names import normalize_company_name
from ecif.domain.names import normalize_person_name
from ecif.domain.records import PartyType, RecordName
from ecif.domain.review_policy import CLAIM_LASTS, RISK_MAX
from ecif.matching.keys import KeyKind
from ecif.services import customers
from ecif.services.context import KeyDigests
from ecif.services.customers import Golden
from ecif.services.rows import query

BEARERS_MAX = 1000
"""Records of a name that are counted; a name of more is as common as any."""

_SUMMARY = ", ".join(
    f"m.{column}"
    for column in (
        "id", "kind", "customer_lo", "customer_hi", "level", "rule", "policy_version", "state", "risk", "version",
        "claimed_by", "claimed_at", "opened_at", "closed_at", "outcome", "operation_id",
    )
)  # fmt: skip
_OF_CUSTOMER = (
    f"(SELECT * FROM merge_review WHERE customer_lo IN ({customers.NUMBERS}) UNION ALL SELECT * FROM merge_review"
    f" WHERE customer_hi IN ({customers.NUMBERS}) AND customer_lo NOT IN ({customers.NUMBERS}) OFFSET 0)"
)
"""Those that are closed name the numbers of their time, which may have been merged since."""
_CONDITIONS = {
    "state": "m.state = %(state)b",
    "kind": "m.kind = %(kind)b",
    "level": "m.level = %(level)b",
    "rule": "m.rule = %(rule)b",
    "claimed_by": "m.claimed_by = %(claimed_by)b AND m.claimed_at > %(claims_since)b",
}
_OPEN = (
    "SELECT m.* FROM unnest(%(risks)b::int[], %(times)b::timestamptz[], %(ids)b::bigint[]) c(risk, at, id)"
    " CROSS JOIN LATERAL (SELECT {summary} FROM {reviews} m WHERE m.closed_at IS NULL AND m.risk = c.risk"
    " AND (m.opened_at, m.id) {beyond} (c.at, c.id) AND m.opened_at <= %(as_of)b{conditions}"
    " ORDER BY m.opened_at {way}, m.id {way} LIMIT %(limit)b) m ORDER BY {order} LIMIT %(limit)b"
)
_CLOSED = (
    "SELECT {summary} FROM {reviews} m WHERE m.closed_at IS NOT NULL AND (m.closed_at, m.id) {beyond} (%(at)b, %(id)b)"
    "{conditions}{risk} ORDER BY m.closed_at {way}, m.id {way} LIMIT %(limit)b"
)
_ONE = f"SELECT {_SUMMARY}, m.evidence FROM merge_review m WHERE m.id = %(id)b"
_RECORDS = "SELECT id, system, key FROM source_record WHERE id = ANY(%(ids)b::bigint[])"
_BEARERS = (
    "SELECT d.n, (SELECT count(*) FROM (SELECT FROM record_key k WHERE k.digest = d.digest"
    f" LIMIT {BEARERS_MAX + 1}) s) AS records FROM unnest(%(digests)b::uuid[]) WITH ORDINALITY d(digest, n)"
)
_HISTORY = (
    "SELECT e.id, e.action, e.state_before, e.person, e.text, e.evidence, e.bulk_id, e.made_at FROM review_entry e"
    " WHERE e.review_id = %(id)b AND e.id > %(after)b ORDER BY e.id LIMIT %(limit)b"
)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)


class ReviewNotFound(Exception):
    """There is no such review."""


class Sort(StrEnum):
    """Orders of the queue: risk × age, or the time since which reviews are open (of closed ones: when they were closed)."""

    PRIORITY = "priority"
    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which reviews are meant: all open ones, unless it says more. ``state`` CLOSED means those that are closed."""

    state: str = ""
    kind: str = ""
    level: str = ""
    rule: str = ""
    customer: str = ""
    claimed_by: str = ""
    risk: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """After which review a page begins.

    Attributes:
        as_of: the time as of which priorities are reckoned.
        key: the priority, or the time in microseconds since 1970, of the last review before.
    """

    as_of: datetime
    key: int = -1
    id: int = 0

    def __str__(self) -> str:
        return f"{_micros(self.as_of)}.{self.key}.{self.id}"

    @classmethod
    def of(cls, text: str) -> Place:
        """A place as it was told."""
        as_of, key, review = map(int, text.split("."))
        return cls(_moment(as_of), key, review)


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of the queue, and where the next one begins if there is one."""

    reviews: list[Any]
    place: Place
    next: Place | None


@dataclass(frozen=True, slots=True)
class Review:
    """A review with all that is known of it.

    Attributes:
        evidence: the record pairs with what agrees and what does not, as the decision was made; and the records that may be in
            the wrong place.
        names: how these source records are called.
        golden: both golden records, or that of the one customer.
        bearers: how many records bear each customer's name, up to :data:`BEARERS_MAX` and one more.
    """

    row: Any
    evidence: dict[str, Any] = field(repr=False)
    names: dict[int, RecordName]
    golden: dict[str, Golden] = field(repr=False)
    bearers: dict[str, int]


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _moment(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND


def priority(row: Any, as_of: datetime) -> int:
    """Risk × age in microseconds."""
    return int(row.risk * ((as_of - row.opened_at) // _MICROSECOND))


def listing(session: Session, wanted: Filter, sort: Sort, place: Place, *, limit: int = 50) -> Listed:
    """A page of the queue.

    Raises:
        CustomerNotFound: the customer asked for was never issued.
    """
    if wanted.customer:
        wanted = replace(wanted, customer=customers.resolve(session, wanted.customer).customer_no)
    read = _closed if wanted.state == "CLOSED" else _open
    rows = read(session, wanted, sort, place, limit + 1)
    shown = rows[:limit]
    beyond = _after(shown[-1], sort, place.as_of) if len(rows) > limit else None
    return Listed(shown, place, beyond)


def _after(row: Any, sort: Sort, as_of: datetime) -> Place:
    if sort is Sort.PRIORITY and row.closed_at is None:
        return Place(as_of, priority(row, as_of), row.id)
    return Place(as_of, _micros(row.closed_at or row.opened_at), row.id)


def _open(session: Session, wanted: Filter, sort: Sort, place: Place, limit: int) -> list[Any]:
    risks = [wanted.risk] if wanted.risk else list(range(1, RISK_MAX + 1))
    starts = [_start(risk, sort, place) for risk in risks]
    newest = sort is Sort.NEWEST
    orders = {
        Sort.PRIORITY: "m.risk * (%(as_of)b - m.opened_at) DESC, m.id",
        Sort.OLDEST: "m.opened_at, m.id",
        Sort.NEWEST: "m.opened_at DESC, m.id DESC",
    }
    sql = _OPEN.format(
        **_parts(wanted), beyond="<" if newest else ">", way="DESC" if newest else "ASC", order=orders[sort]
    )
    return query(
        session, sql, risks=risks, times=[at for at, _ in starts], ids=[review for _, review in starts],
        as_of=place.as_of if sort is Sort.PRIORITY else _END, limit=limit, **_params(wanted, place.as_of),
    )  # fmt: skip


def _start(risk: int, sort: Sort, place: Place) -> tuple[datetime, int]:
    """Where a risk class goes on: after the last review of all classes in the order of the page."""
    if place.key < 0:
        return (_END if sort is Sort.NEWEST else _EPOCH), 0
    if sort is not Sort.PRIORITY:
        return _moment(place.key), place.id
    age, rest = divmod(place.key, risk)
    at = max(_micros(place.as_of) - age, 0)
    return _moment(at), 0 if rest else place.id  # of one age exactly, those of lower numbers were shown


def _closed(session: Session, wanted: Filter, sort: Sort, place: Place, limit: int) -> list[Any]:
    oldest = sort is Sort.OLDEST
    at = (_EPOCH if oldest else _END) if place.key < 0 else _moment(place.key)
    risk = " AND m.risk = %(risk)b" if wanted.risk else ""
    way, beyond = ("ASC", ">") if oldest else ("DESC", "<")
    sql = _CLOSED.format(**_parts(wanted), risk=risk, way=way, beyond=beyond)
    return query(session, sql, at=at, id=place.id, risk=wanted.risk, limit=limit, **_params(wanted, place.as_of))


def _parts(wanted: Filter) -> dict[str, str]:
    conditions = (f" AND {sql}" for name, sql in _CONDITIONS.items() if getattr(wanted, name))
    reviews = _OF_CUSTOMER if wanted.customer else "merge_review"
    return {"summary": _SUMMARY, "reviews": reviews, "conditions": "".join(conditions)}


def _params(wanted: Filter, now: datetime) -> Mapping[str, Any]:
    given = {name: getattr(wanted, name) for name in _CONDITIONS} | {"customer_no": wanted.customer}
    return {name: value for name, value in given.items() if value} | (
        {"claims_since": now - CLAIM_LASTS} if wanted.claimed_by else {}
    )


def find(session: Session, review_id: int) -> Any:
    """A review's row, with its evidence.

    Raises:
        ReviewNotFound: there is none of this number.
    """
    rows = query(session, _ONE, id=review_id)
    if not rows:
        raise ReviewNotFound
    return rows[0]


def get(session: Session, digests: KeyDigests, review_id: int) -> Review:
    """A review with its evidence item by item, both golden records, and how rare their names are.

    Raises:
        ReviewNotFound: there is none of this number.
    """
    row = find(session, review_id)
    evidence = orjson.loads(row.evidence)
    ids = {pair[end] for pair in evidence["pairs"] for end in ("record_lo", "record_hi")}
    ids |= {told["record"] for told in evidence.get("records", ())}
    named = query(session, _RECORDS, ids=sorted(ids)) if ids else []
    golden = customers.golden_records(session, sorted({row.customer_lo, row.customer_hi}))
    names = {r.id: (r.system, r.key) for r in named}
    return Review(row, evidence, names, golden, _bearers(session, digests, golden))


def _bearers(session: Session, digests: KeyDigests, golden: Mapping[str, Golden]) -> dict[str, int]:
    keys = {no: _name_key(g.document) for no, g in golden.items()}
    known = [(no, digests.of((KeyKind.NAME, key))) for no, key in keys.items() if key]
    if not known:
        return {}
    rows = query(session, _BEARERS, digests=[digest for _, digest in known])
    return {known[row.n - 1][0]: row.records for row in rows}


def _name_key(document: Mapping[str, Any]) -> str:
    name = document.get("fields", {}).get("name", {}).get("value", "")
    form = normalize_person_name(name) if document["party_type"] == PartyType.PERSON else normalize_company_name(name)
    return form.key if form else ""


def history(session: Session, review_id: int, *, after: int = 0, limit: int = 100) -> Sequence[Any]:
    """What was done with a review, oldest first.

    Raises:
        ReviewNotFound: there is none of this number.
    """
    find(session, review_id)
    return query(session, _HISTORY, id=review_id, after=after, limit=limit)
