"""Tells whether what is derived was derived with this program's policies and this digest key (派生依据).

Rules of two versions beside each other would give results that no rebuild gives, and under another key nobody would ever
be found again. So the first use of a database writes down with what it is filled, and a rebuild does so anew.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from ecif.domain import placeholders, survivorship
from ecif.matching import rules
from ecif.matching.keys import KeyKind
from ecif.models import Derivation
from ecif.services.context import KeyDigests
from ecif.services.rows import insert_rows, query

POLICIES = "policies"
DIGEST_KEY = "digest_key"

_STORED = "SELECT name, value FROM derivation"
_FILLED = "SELECT EXISTS (SELECT FROM source_record) AS filled"


def _program(digests: KeyDigests) -> dict[str, str]:
    return {  # rules, survivorship, placeholders
        POLICIES: f"{rules.POLICY_VERSION}, {survivorship.POLICY_VERSION}, {placeholders.VERSION}",
        DIGEST_KEY: digests.of((KeyKind.IDENTIFIER, "")).hex,
    }


def unlike(session: Session, digests: KeyDigests) -> set[str]:
    """What differs between the database and the program; an empty database is marked with the program's."""
    stored = _stored(session)
    if not stored and not query(session, _FILLED)[0].filled:
        _write(session, digests, "ON CONFLICT DO NOTHING")
        stored = _stored(session)  # of two that are first at once, one is
    return {name for name, value in _program(digests).items() if stored.get(name) != value}


def mark(session: Session, digests: KeyDigests) -> None:
    """Writes down that everything is derived with the program's policies and this key."""
    _write(session, digests, "ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value")


def _stored(session: Session) -> dict[str, str]:
    return dict(query(session, _STORED))


def _write(session: Session, digests: KeyDigests, otherwise: str) -> None:
    insert_rows(session, Derivation, ("name", "value"), list(_program(digests).items()), otherwise)
