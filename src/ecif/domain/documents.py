"""Canonical JSON of source records: one record has exactly one text, so that equal content has equal hashes."""

from __future__ import annotations

from datetime import date, datetime
from hashlib import blake2b
from typing import Any

import orjson

from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import (
    Account,
    AccountClass,
    AccountStatus,
    Address,
    AddressKind,
    CustomerStatus,
    Finding,
    Gender,
    Identifier,
    PartyRecord,
    PartyType,
    Phone,
    PhoneKind,
    RecordStatus,
    RelatedParty,
    RelationType,
)


def dump_record(record: PartyRecord) -> bytes:
    """The record as JSON, fields in their declared order."""
    return orjson.dumps(record, option=orjson.OPT_UTC_Z)


def content_hash(document: bytes) -> bytes:
    """16 bytes that stand for a document's content."""
    return blake2b(document, digest_size=16).digest()


def load_record(document: str | bytes) -> PartyRecord:
    """The inverse of :func:`dump_record`."""
    raw = orjson.loads(document)
    raw["party_type"] = PartyType(raw["party_type"])
    raw["business_time"] = datetime.fromisoformat(raw["business_time"])
    raw["identifiers"] = tuple(map(_identifier, raw["identifiers"]))
    raw["former_names"] = tuple(raw.get("former_names", ()))
    raw["birth_date"] = _date(raw["birth_date"])
    raw["gender"] = Gender(raw["gender"]) if raw["gender"] else None
    raw["phones"] = tuple(Phone(PhoneKind(p["kind"]), p["number"]) for p in raw["phones"])
    raw["addresses"] = tuple(Address(AddressKind(a["kind"]), a["text"]) for a in raw["addresses"])
    raw["emails"] = tuple(raw["emails"])
    raw["related"] = tuple(map(_related, raw["related"]))
    raw["accounts"] = tuple(map(_account, raw["accounts"]))
    raw["opened_on"] = _date(raw["opened_on"])
    raw["status"] = RecordStatus(raw["status"])
    raw["customer_status"] = CustomerStatus(said) if (said := raw.get("customer_status")) else None
    raw["customer_status_on"] = _date(raw.get("customer_status_on"))
    raw["said_at"] = tuple((field, datetime.fromisoformat(at)) for field, at in raw.get("said_at", ()))
    for names in ("same_as", "not_same_as", "customer_status_over"):
        raw[names] = tuple((system, key) for system, key in raw.get(names, ()))
    raw["findings"] = tuple(Finding(**f) for f in raw["findings"])
    return PartyRecord(**raw)


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _identifier(raw: dict[str, Any]) -> Identifier:
    kind = IdentifierKind(raw["kind"]) if raw["kind"] else None
    return Identifier(kind, raw["number"], _date(raw["valid_to"]), raw.get("replaced", False))


def _related(raw: dict[str, Any]) -> RelatedParty:
    identifier = _identifier(raw["identifier"]) if raw["identifier"] else None
    return RelatedParty(RelationType(raw["relation"]), raw["name"], identifier)


def _account(raw: dict[str, Any]) -> Account:
    account_class = AccountClass(said) if (said := raw.get("account_class")) else None
    return Account(raw["number"], raw["kind"], AccountStatus(raw["status"]), _date(raw["opened_on"]), account_class)
