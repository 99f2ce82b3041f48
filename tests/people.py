"""Records in the domain's language: ``record("core", "1", name="张三", id=ID_A)``. Nobody real: districts end in 99."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import Engine, text

from ecif.db import run_transaction
from ecif.domain.checks import citizen_check_digit
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import Address, AddressKind, Gender, Identifier, PartyRecord, PartyType, Phone, PhoneKind
from ecif.services.context import Context, KeyDigests
from ecif.services.ingest import Delivery, Result, ingest

DAY = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 7, 1, tzinfo=UTC)
_seconds = count()


def citizen(seq: int = 1, born: str = "19900101", area: str = "440399") -> str:
    """A citizen number with a right check digit."""
    stem = f"{area}{born}{seq:03d}"
    return stem + citizen_check_digit(stem)


def record(
    system: str,
    key: str,
    name: str = "",
    *,
    id: str = "",
    kind: IdentifierKind | None = IdentifierKind.CITIZEN_ID,
    phone: str = "",
    born: date | None = None,
    address: str = "",
    male: bool | None = None,
    day: int = 0,
    until: date | None = None,
    **more: Any,
) -> PartyRecord:
    """A person's record; ``day`` counts business days from :data:`DAY`, ``until`` is the last day of the identifier."""
    return PartyRecord(
        system=system,
        key=key,
        party_type=more.pop("party_type", PartyType.PERSON),
        business_time=DAY + timedelta(days=day),
        name=name,
        identifiers=more.pop("identifiers", (Identifier(kind, id, until),) if id else ()),
        phones=more.pop("phones", (Phone(PhoneKind.MOBILE, phone),) if phone else ()),
        addresses=(Address(AddressKind.HOME, address),) if address else (),
        birth_date=born,
        gender=None if male is None else Gender.MALE if male else Gender.FEMALE,
        legal_entity="001",
        **more,
    )


def deliver(engine: Engine, digests: KeyDigests, *records: PartyRecord, now: datetime | None = None) -> Result:
    """Takes records in, in one transaction, a second after those before, or then."""
    context = Context(now or NOW + timedelta(seconds=next(_seconds)), "test", digests)
    return run_transaction(engine, lambda s: ingest(s, context, [Delivery(r) for r in records]))


def parties(engine: Engine) -> set[frozenset[str]]:
    """Who is one with whom: sets of ``system:key``."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT array_agg(r.system || ':' || r.key) FROM link l JOIN source_record r ON r.id = l.record_id"
                " WHERE l.ended_at IS NULL GROUP BY l.customer_no"
            )
        )
        return {frozenset(row[0]) for row in rows}


def golden(engine: Engine) -> dict[frozenset[str], str]:
    """Golden documents by their records, the customer number taken out."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT array_agg(r.system || ':' || r.key), max(g.document), max(p.customer_no) FROM link l"
                " JOIN source_record r ON r.id = l.record_id JOIN party p ON p.customer_no = l.customer_no"
                " JOIN golden_record g ON g.customer_no = p.customer_no AND g.version = p.version"
                " WHERE l.ended_at IS NULL GROUP BY l.customer_no"
            )
        )
        return {frozenset(n): d.replace(f'"customer_no":"{no}"', "") for n, d, no in rows}


def scalar(engine: Engine, query: str) -> Any:
    """One value."""
    with engine.connect() as connection:
        return connection.execute(text(query)).scalar()


def state(engine: Engine) -> dict[str, Any]:
    """All that a load leaves behind and that does not depend on when and how often it was begun, numbers taken out."""
    with engine.connect() as connection:
        members: dict[str, frozenset[str]] = {
            no: frozenset(names)
            for no, names in connection.execute(
                text(
                    "SELECT l.customer_no, array_agg(r.system || ':' || r.key) FROM link l"
                    " JOIN source_record r ON r.id = l.record_id WHERE l.ended_at IS NULL GROUP BY 1"
                )
            )
        }
        reviews = connection.execute(
            text("SELECT customer_lo, customer_hi, level FROM merge_review WHERE closed_at IS NULL AND kind = 'PAIR'")
        )
        rejects = connection.execute(text("SELECT system, file_name, line, code, field, raw FROM reject"))
        gaps = "SELECT customer_no FROM outbox_event GROUP BY 1 HAVING max(seq) <> count(*) OR min(seq) <> 1"
        silent = (
            "SELECT customer_no FROM party p WHERE event_seq IS DISTINCT FROM"
            " (SELECT max(seq) FROM outbox_event e WHERE e.customer_no = p.customer_no)"
        )
        return {
            "golden": golden(engine),
            "reviews": {(frozenset({members[lo], members[hi]}), level) for lo, hi, level in reviews},
            "rejects": sorted(tuple(row) for row in rejects),
            "versions": connection.execute(text("SELECT count(*) FROM source_record_version")).scalar(),
            "gaps": connection.execute(text(gaps)).all() + connection.execute(text(silent)).all(),
        }
