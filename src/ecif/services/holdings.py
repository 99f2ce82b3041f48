"""What customers hold beside their golden record, as a merge, split or undo sees it (随客户转移的内容).

The one interface by which other parts of the service take part in these: accounts and relations now; agreements, list hits,
limits and assessments later. What hangs on a source record moves with it and has nothing to do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from ecif.domain.days import bank_day
from ecif.domain.merge_policy import MOST, Finding
from ecif.domain.records import DEBIT_CARD, AccountClass, RecordName
from ecif.services.context import Context
from ecif.services.rows import query

SHOWN_MAX = 100
"""Items of a kind that are listed for a customer; ``total`` counts all."""

_ACCOUNTS = (
    "SELECT * FROM (SELECT l.customer_no, l.record_id, r.system, r.key, a.number, a.kind, a.account_class, a.status,"
    " row_number() OVER (PARTITION BY l.customer_no ORDER BY r.system, r.key, a.position) AS place,"
    " count(*) OVER (PARTITION BY l.customer_no) AS total FROM link l JOIN account a ON a.owner_id = l.record_id"
    " JOIN source_record r ON r.id = a.record_id WHERE l.customer_no = ANY(%(nos)b::text[]) AND l.ended_at IS NULL) s"
    f" WHERE place <= {SHOWN_MAX} ORDER BY customer_no, place"
)
_OPENED = (
    "SELECT DISTINCT l.customer_no, r.system, r.key, a.position, a.number, a.kind, a.account_class, a.status,"
    " a.opened_on"
    " FROM unnest(%(nos)b::text[], %(sinces)b::timestamptz[], %(untils)b::timestamptz[], %(firsts)b::date[], %(lasts)b::date[])"
    " s(no, since, until, first, last) JOIN link l ON l.customer_no = s.no AND l.started_at <= s.until"
    " AND (l.ended_at IS NULL OR l.ended_at > s.since)"
    " JOIN account a ON a.owner_id = l.record_id AND a.opened_on BETWEEN s.first AND s.last"
    " JOIN source_record r ON r.id = a.record_id ORDER BY a.opened_on, r.system, r.key, a.position LIMIT %(limit)b"
)
_RELATIONS = (
    "SELECT * FROM (SELECT l.customer_no, l.record_id, r.system, r.key, x.type, x.name,"
    " row_number() OVER (PARTITION BY l.customer_no ORDER BY r.system, r.key, x.position) AS place,"
    " count(*) OVER (PARTITION BY l.customer_no) AS total FROM link l JOIN relation x ON x.record_id = l.record_id"
    " JOIN source_record r ON r.id = l.record_id WHERE l.customer_no = ANY(%(nos)b::text[]) AND l.ended_at IS NULL) s"
    f" WHERE place <= {SHOWN_MAX} ORDER BY customer_no, place"
)
_COUNTS = (  # of each customer, and of all together (without a number): what several records name is one account
    "SELECT s.customer_no, a.legal_entity, count(DISTINCT n.one) AS open,"
    f" count(DISTINCT n.one) FILTER (WHERE a.account_class = '{AccountClass.I}') AS class_i,"
    f" count(DISTINCT n.one) FILTER (WHERE a.account_class = '{AccountClass.II}') AS class_ii,"
    f" count(DISTINCT n.one) FILTER (WHERE a.kind = '{DEBIT_CARD}') AS debit_cards"
    " FROM unnest(%(records)b::bigint[], %(nos)b::text[]) s(record_id, customer_no)"
    " JOIN account a ON a.owner_id = s.record_id AND a.status <> 'CLOSED'"
    " CROSS JOIN LATERAL (SELECT coalesce(a.digest::text, a.record_id || ':' || a.position) AS one) n"
    " GROUP BY GROUPING SETS ((s.customer_no, a.legal_entity), (a.legal_entity)) ORDER BY 1, 2"
)
_COUNTED = {"CLASS_II_MAX": "class_ii", "DEBIT_CARDS_MAX": "debit_cards"}
"""What the rules of the most count."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a customer holds, by the source record that brought it."""

    record: RecordName
    data: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Held:
    """What a customer holds of one kind; ``items`` are the first :data:`SHOWN_MAX` of ``total``."""

    items: list[Item]
    total: int


@dataclass(frozen=True, slots=True)
class Span:
    """A number, and the time during which one looks at it, without its begin."""

    customer_no: str
    since: datetime
    until: datetime


class Holding(Protocol):
    """A kind of thing that customers hold."""

    kind: str

    def held(self, session: Session, nos: Collection[str]) -> dict[str, Held]:
        """What these customers hold."""

    def findings(self, session: Session, home: Mapping[int, str]) -> list[Finding]:
        """What blocks a merge of these customers, or warns of it.

        Args:
            home: their records, and under which number each is, or was when they were merged.
        """

    def move(self, session: Session, context: Context, moved: Mapping[RecordName, tuple[str, str]]) -> None:
        """Carries over what does not hang on a source record, after records went from one number to another."""

    def since(self, session: Session, spans: Sequence[Span], limit: int) -> list[Item]:
        """What of it these numbers were given at these times: what an undo has to look at (影响范围)."""


class Accounts:
    """账户: they belong to the record of the system that keeps them."""

    kind = "accounts"

    def held(self, session: Session, nos: Collection[str]) -> dict[str, Held]:
        """What these customers hold."""
        return _held(query(session, _ACCOUNTS, nos=list(nos)), ("number", "kind", "account_class", "status"))

    def findings(self, session: Session, home: Mapping[int, str]) -> list[Finding]:
        """Both hold open accounts; at one bank both hold one of Class I, or together they hold more than a customer may.

        What they hold in common is not both's: they have to hold more together than any of them alone.
        """
        rows = query(session, _COUNTS, records=list(home), nos=list(home.values()))
        each, together = [row for row in rows if row.customer_no], [row for row in rows if not row.customer_no]
        counts: Counter[str] = Counter()
        for row in each:
            counts[row.customer_no] += row.open
        more = sum(row.open for row in together) > max(counts.values(), default=0)
        both = [Finding("BOTH_HOLD_ACCOUNTS", {"open_accounts": dict(counts)})] if more else []
        return [*both, *_class_i(each, together), *_beyond(together)]

    def move(self, session: Session, context: Context, moved: Mapping[RecordName, tuple[str, str]]) -> None:
        """They go with their records."""

    def since(self, session: Session, spans: Sequence[Span], limit: int) -> list[Item]:
        """Those that were opened since, of records that were the customer's since; of the first day, all: an account tells no
        time."""
        rows = query(session, _OPENED, **_times(spans), limit=limit)
        return _items(rows, ("customer_no", "number", "kind", "account_class", "status", "opened_on"))


def _class_i(each: Sequence[Any], together: Sequence[Any]) -> Iterator[Finding]:
    """The banks at which several of the customers hold a Class I account."""
    held: dict[str, dict[str, int]] = defaultdict(dict)
    for row in each:
        if row.class_i:
            held[row.legal_entity][row.customer_no] = row.class_i
    both = {
        row.legal_entity: held[row.legal_entity]
        for row in together
        if row.class_i > max(held[row.legal_entity].values(), default=0)
    }
    if both:
        yield Finding("BOTH_HOLD_CLASS_I", {"class_i": both})


def _beyond(together: Sequence[Any]) -> Iterator[Finding]:
    """The banks at which the customers together hold more of something than one may."""
    for rule, counted in _COUNTED.items():
        held = {row.legal_entity: getattr(row, counted) for row in together}
        beyond = {entity: n for entity, n in held.items() if n > MOST[rule]}
        if beyond:
            yield Finding(rule, {counted: beyond, "most": MOST[rule]})


class Relations:
    """客户间关系: what a record says of others. A relation to oneself is not shown (see ``customers.relations``)."""

    kind = "relations"

    def held(self, session: Session, nos: Collection[str]) -> dict[str, Held]:
        """What these customers hold."""
        return _held(query(session, _RELATIONS, nos=list(nos)), ("type", "name"))

    def findings(self, session: Session, home: Mapping[int, str]) -> list[Finding]:
        """None of them blocks."""
        return []

    def move(self, session: Session, context: Context, moved: Mapping[RecordName, tuple[str, str]]) -> None:
        """They go with their records."""

    def since(self, session: Session, spans: Sequence[Span], limit: int) -> list[Item]:
        """Their records tell no date; what arrived of these is told with them."""
        return []


HOLDINGS: tuple[Holding, ...] = (Accounts(), Relations())
"""All kinds, in the order in which they are shown."""


def _held(rows: Sequence[Any], fields: Sequence[str]) -> dict[str, Held]:
    by_no: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_no[row.customer_no].append(row)
    return {no: Held(_items(those, fields), those[0].total) for no, those in by_no.items()}


def _items(rows: Sequence[Any], fields: Sequence[str]) -> list[Item]:
    return [Item((row.system, row.key), {name: getattr(row, name) for name in fields}) for row in rows]


def _times(spans: Sequence[Span]) -> dict[str, list[Any]]:
    return {
        "nos": [span.customer_no for span in spans],
        "sinces": [span.since for span in spans],
        "untils": [span.until for span in spans],
        "firsts": [bank_day(span.since) for span in spans],
        "lasts": [bank_day(span.until) for span in spans],
    }
