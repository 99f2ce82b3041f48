"""The values of a source record that can be used: normalised, placeholders dropped. Matching and survivorship share them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from ecif.domain.identifier_kinds import IdentifierKind, NumberSpace
from ecif.domain.identifiers import NormalIdentifier, birth_date_of, gender_of, normalize_identifier
from ecif.domain.phones import NormalPhone, normalize_phone
from ecif.domain.placeholders import is_placeholder_date
from ecif.domain.records import Gender, Identifier, PartyRecord, PartyType, Phone


def normal_identifier(record: PartyRecord, given: Identifier, *, person: bool | None = None) -> NormalIdentifier:
    """One identifier in canonical form. The record's own business date is 'today', so that the result never changes."""
    if person is None:
        person = record.party_type is PartyType.PERSON
    return normalize_identifier(given.kind, given.number, as_of=record.business_time.date(), party_is_person=person)


def normal_identifiers(record: PartyRecord) -> tuple[tuple[Identifier, NormalIdentifier], ...]:
    """The record's identifiers, as given and in canonical form, each number once."""
    seen: dict[tuple[NumberSpace | None, str], tuple[Identifier, NormalIdentifier]] = {}
    for given in (*record.identifiers, *_misplaced(record)):
        found = normal_identifier(record, given)
        seen.setdefault((found.space, found.number), (given, found))
    return tuple(seen.values())


def _misplaced(record: PartyRecord) -> Iterator[Identifier]:
    """Citizen numbers with a right check digit that were typed into the field of a phone."""
    for phone in record.phones:
        if len(phone.number) >= 18:
            given = Identifier(IdentifierKind.CITIZEN_ID, phone.number)
            if normal_identifier(record, given).is_strong:
                yield given


def normal_phones(record: PartyRecord) -> tuple[tuple[Phone, NormalPhone], ...]:
    """The record's phones that can be rung, as given and in canonical form."""
    pairs = ((given, normalize_phone(given.number)) for given in record.phones)
    return tuple((given, found) for given, found in pairs if found)


def identity_birth(record: PartyRecord, strong: tuple[str, ...]) -> date | None:
    """The birth date inside a valid number, else the stated one unless it is a placeholder (GB 11643 beats a form)."""
    for number in strong:
        born = birth_date_of(number)
        if born:
            return born
    stated = record.birth_date
    return None if stated is None or is_placeholder_date(stated) else stated


def contradicted(record: PartyRecord, strong: tuple[str, ...]) -> tuple[str, ...]:
    """What the source states against its own valid number: ``birth``, ``gender``. The number may be a relative's."""
    stated = record.birth_date
    born = next(filter(None, map(birth_date_of, strong)), None)
    gender = next(filter(None, map(gender_of, strong)), None)
    found = {
        "birth": born and stated and not is_placeholder_date(stated) and stated != born,
        "gender": gender and record.gender and record.gender.value != gender,
    }
    return tuple(name for name, differs in found.items() if differs)


def identity_gender(record: PartyRecord, strong: tuple[str, ...]) -> Gender | None:
    """The gender inside a valid number, else the stated one."""
    for number in strong:
        derived = gender_of(number)
        if derived:
            return Gender(derived)
    return record.gender
