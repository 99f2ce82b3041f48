"""What of a source record is compared (比对特征): normalised, freed of placeholders, flat and comparable by value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from ecif.domain.addresses import NormalAddress, normalize_address
from ecif.domain.company_names import CompanyName, normalize_company_name
from ecif.domain.identifier_kinds import NumberSpace
from ecif.domain.identifiers import NormalIdentifier, Validity, org_code_of_uscc
from ecif.domain.names import PersonName, normalize_person_name
from ecif.domain.normal import (
    contradicted,
    identity_birth,
    identity_gender,
    normal_identifier,
    normal_identifiers,
    normal_phones,
)
from ecif.domain.phones import normalize_email, normalize_phone
from ecif.domain.placeholders import is_placeholder_employer, is_placeholder_name, is_test_name
from ecif.domain.records import Identifier, PartyRecord, PartyType, RelatedParty, RelationType


@dataclass(frozen=True, slots=True)
class Features:
    """The compared values of one record. Numbers are written ``SPACE:number``.

    ``strong`` numbers have a right check digit and belong to one party at most; ``documents`` are well formed but weak;
    ``broken`` fail their check; ``masked`` hide digits behind ``*``. ``unchecked`` are the strong ones that were written in
    the 15 digits of old cards, which have no check digit. ``contradicted`` names what the source states otherwise than
    its own number does. ``replaced`` numbers were the party's before others took their place, ``former_names`` its names.

    ``name``, ``same_as`` and ``not_same_as`` name records (``system:key``): what a person said of the record at its writing.
    """

    party_type: PartyType
    name: str = ""
    same_as: tuple[str, ...] = ()
    not_same_as: tuple[str, ...] = ()
    quarantined: bool = False
    strong: tuple[str, ...] = field(default=(), repr=False)
    documents: tuple[str, ...] = field(default=(), repr=False)
    broken: tuple[str, ...] = field(default=(), repr=False)
    masked: tuple[str, ...] = field(default=(), repr=False)
    unchecked: tuple[str, ...] = field(default=(), repr=False)
    replaced: tuple[str, ...] = field(default=(), repr=False)
    former_names: tuple[str, ...] = field(default=(), repr=False)
    person: PersonName | None = field(default=None, repr=False)
    latin: PersonName | None = field(default=None, repr=False)
    company: CompanyName | None = field(default=None, repr=False)
    birth: str = field(default="", repr=False)
    gender: str = ""
    contradicted: tuple[str, ...] = ()
    phones: tuple[str, ...] = field(default=(), repr=False)
    addresses: tuple[NormalAddress, ...] = field(default=(), repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)
    employer: str = field(default="", repr=False)
    legal_representative: PersonName | None = field(default=None, repr=False)
    legal_representative_number: str = field(default="", repr=False)

    @property
    def name_key(self) -> str:
        """The comparison form of the record's name, empty where it has none."""
        name = self.company or self.person or self.latin
        return name.key if name else ""


def identity(features: Features) -> tuple[object, ...]:
    """Of whom a record tells: its numbers, its name, its birth date."""
    return features.strong, features.documents, features.name_key, features.birth


def features_of(record: PartyRecord) -> Features:
    """Normalises a record for matching. The record's own business date is 'today', so that the result never changes."""
    return _person(record) if record.party_type is PartyType.PERSON else _organization(record)


def _stated(record: PartyRecord) -> dict[str, Any]:
    return {
        "party_type": record.party_type,
        "name": record_name(record.system, record.key),
        "same_as": tuple(sorted(record_name(*name) for name in record.same_as)),
        "not_same_as": tuple(sorted(record_name(*name) for name in record.not_same_as)),
        "quarantined": is_test_name(record.name),
        "former_names": record.former_names,
    }


def record_name(system: str, key: str) -> str:
    """The name of a record as one text."""
    return f"{system}:{key}"


def _person(record: PartyRecord) -> Features:
    numbers = _by_class(normal_identifiers(record))
    checked = tuple(n.partition(":")[2] for n in numbers["strong"])
    born, gender = identity_birth(record, checked), identity_gender(record, checked)
    return Features(
        **_stated(record),
        **numbers,
        person=_person_name(record.name),
        latin=_person_name(record.latin_name),
        birth=born.isoformat() if born else "",
        gender=gender.value if gender else "",
        contradicted=contradicted(record, checked),
        **_contacts(record),
        employer=_employing_company(record.employer),
    )


def _organization(record: PartyRecord) -> Features:
    numbers = _by_class(normal_identifiers(record))
    founded = identity_birth(record, ())
    named = bool(record.name) and not is_placeholder_name(record.name)
    return Features(
        **_stated(record),
        **numbers,
        company=normalize_company_name(record.name) if named else None,
        birth=founded.isoformat() if founded else "",
        **_contacts(record),
        **_representative(record, next((r for r in record.related if r.relation in _HEADS), None)),
    )


_HEADS = frozenset({RelationType.LEGAL_REPRESENTATIVE})


def _representative(record: PartyRecord, head: RelatedParty | None) -> dict[str, Any]:
    if head is None:
        return {}
    number = normal_identifier(record, head.identifier, person=True) if head.identifier else None
    return {
        "legal_representative": _person_name(head.name),
        "legal_representative_number": _spaced(number) if number and number.is_strong else "",
    }


_NUMBERS = ("strong", "documents", "broken", "masked", "unchecked", "replaced")


def _spaced(number: NormalIdentifier) -> str:
    return f"{number.space.value}:{number.number}"


def _by_class(numbers: Iterable[tuple[Identifier, NormalIdentifier]]) -> dict[str, Any]:
    classes: dict[str, set[str]] = {name: set() for name in _NUMBERS}
    for given, number in numbers:
        name = _class_of(number)
        if given.replaced:
            name = "replaced" if name == "strong" else ""
        if name:
            classes[name].add(_spaced(number))
        if number.reason == "UPGRADED_15" and not given.replaced:
            classes["unchecked"].add(_spaced(number))
        if number.is_strong and number.space is NumberSpace.USCC:
            code = org_code_of_uscc(number.number)
            if code:
                classes[name].add(f"{NumberSpace.ORG_CODE.value}:{code}")
    return {name: tuple(sorted(values)) for name, values in classes.items()}


def _class_of(number: NormalIdentifier) -> str:
    if number.space is NumberSpace.TAX_NO:
        return ""  # a bridge between owner and business: evidence of a relation, not of identity
    if number.is_strong:
        return "strong"
    if number.usable:
        return "documents"
    if number.validity is Validity.INVALID and len(number.number) >= 8:
        return "broken"
    return "masked" if number.validity is Validity.MASKED else ""


def _person_name(raw: str) -> PersonName | None:
    if not raw or is_placeholder_name(raw):
        return None
    name = normalize_person_name(raw)
    return None if name is None or name.several else name


def _employing_company(raw: str) -> str:
    """A company by its form; hospitals, schools and offices employ too many namesakes to tell anything."""
    if not raw or is_placeholder_employer(raw):
        return ""
    name = normalize_company_name(raw)
    return name.key if name and name.form else ""


def _contacts(record: PartyRecord) -> dict[str, Any]:
    addresses = dict.fromkeys(a for a in (normalize_address(x.text) for x in record.addresses) if a)
    emails = {e for e in map(normalize_email, record.emails) if e}
    mailboxes = (normalize_phone(e.partition("@")[0]) for e in emails)  # many are named after the mobile number
    return {
        "phones": tuple(
            sorted({p.number for _, p in normal_phones(record)} | {p.number for p in mailboxes if p and p.mobile})
        ),
        "emails": tuple(sorted(emails)),
        "addresses": tuple(addresses),
    }


def dump_features(features: Features) -> bytes:
    """Canonical JSON of the features, to be stored beside the record."""
    return orjson.dumps(features)


def load_features(document: str | bytes) -> Features:
    """The inverse of :func:`dump_features`."""
    raw = orjson.loads(document)
    for name in ("person", "latin", "legal_representative"):
        raw[name] = PersonName(**raw[name]) if raw[name] else None
    raw["company"] = CompanyName(**raw["company"]) if raw["company"] else None
    raw["addresses"] = tuple(NormalAddress(**a) for a in raw["addresses"])
    for name in (*_NUMBERS, "phones", "emails", "contradicted", "same_as", "not_same_as", "former_names"):
        raw[name] = tuple(raw.get(name, ()))
    raw["party_type"] = PartyType(raw["party_type"])
    return Features(**raw)
