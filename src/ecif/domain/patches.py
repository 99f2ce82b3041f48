"""Changes of a customer by a call (修改): what a patch says that is new, and how it is written into a source record.

A patch is never written over the golden record. It goes into the channel's own record, and survivorship decides. Here a
patch is a record that holds the new values alone, beside the names of the fields it touches: an empty one takes the
channel's value away (RFC 7396: null).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import orjson

from ecif.domain.existence import Fault, number_faults
from ecif.domain.field_groups import CHANGEABLE, FIELD_GROUPS, FieldGroup
from ecif.domain.golden import golden_record, shown_name
from ecif.domain.identifier_kinds import ONE_PER_PARTY, IdentifierKind
from ecif.domain.normal import normal_identifiers
from ecif.domain.phones import normalize_email, normalize_phone
from ecif.domain.placeholders import is_placeholder_address
from ecif.domain.records import Identifier, PartyRecord

LISTS: Mapping[str, tuple[str, ...]] = {
    "identifiers": ("space", "number", "valid_to"),
    "phones": ("kind", "number"),
    "addresses": ("kind", "text"),
    "emails": ("address",),
}
"""Fields of several values, and what tells their entries apart."""


def said(record: PartyRecord) -> dict[str, Any]:
    """A record's values of the changeable fields, in the normal form of golden records."""
    document = orjson.loads(golden_record("", [record]))
    return {field: value_in(document, field) for field in CHANGEABLE}


def value_in(document: Mapping[str, Any], field: str) -> Any:
    """A golden record's value of a field; of a list, what tells its entries apart, without numbers that were replaced."""
    if field not in LISTS:
        return document["fields"].get(field, {}).get("value")
    return [[entry[k] for k in LISTS[field]] for entry in document[field] if not entry.get("replaced")]


def news(patch: PartyRecord, touched: Collection[str], own: PartyRecord, golden: Mapping[str, Any]) -> list[str]:
    """The touched fields in which a patch says something new.

    Nothing new is what the golden record shows already (of a list: shows first), where the channel itself says nothing else.

    Args:
        own: the channel's record of the customer, perhaps one that says nothing yet.
    """
    wanted, had = said(patch), said(own)
    return [field for field in touched if _new(field, wanted[field], had[field], value_in(golden, field))]


def _new(field: str, wanted: Any, had: Any, shown: Any) -> bool:
    if not wanted:
        return bool(had)
    if field not in LISTS:
        return bool(wanted != shown)
    first = sorted(map(str, shown[: len(wanted)])) == sorted(map(str, wanted))
    return not first or any(value not in wanted for value in had)


def touches_identity(patch: PartyRecord, touched: Collection[str], golden: Mapping[str, Any]) -> bool:
    """Whether key identity changes. A document that is renewed under its number is none."""
    fields = {field for field in touched if FIELD_GROUPS[field] is FieldGroup.KEY_IDENTITY}
    if fields == {"identifiers"}:
        return _numbers(value_in(orjson.loads(golden_record("", [patch])), "identifiers")) != _numbers(
            value_in(golden, "identifiers")
        )
    return bool(fields)


def _numbers(identifiers: Collection[Sequence[Any]]) -> set[tuple[Any, ...]]:
    return {(space, number) for space, number, _ in identifiers}


def unusable(patch: PartyRecord, touched: Collection[str]) -> list[Fault]:
    """What a patch states that could never be shown: placeholders, masks that a caller sends back, wrong numbers."""
    wanted = said(patch)
    faults = [*(fault for fault in number_faults(patch) if fault.stops)] if "identifiers" in touched else []
    for field in touched:
        given = getattr(patch, field)
        if field in _FIT:
            faults.extend(Fault(f"{field}.{n}", UNUSABLE) for n, value in enumerate(given) if not _FIT[field](value))
        elif field not in LISTS and given and (not wanted[field] or _hides(patch, field)):
            faults.append(Fault(field, UNUSABLE))
    return faults


UNUSABLE = "UNUSABLE"
_FIT: Mapping[str, Callable[[Any], bool]] = {
    "phones": lambda phone: normalize_phone(phone.number) is not None,
    "addresses": lambda address: "*" not in address.text and not is_placeholder_address(address.text),
    "emails": lambda email: "*" not in email and bool(normalize_email(email)),
}


def _hides(patch: PartyRecord, field: str) -> bool:
    return "*" in str(getattr(patch, field)) or (field == "name" and shown_name(patch)[1] > 1)


def restated(own: PartyRecord, at: datetime, touched: Collection[str]) -> PartyRecord:
    """The channel's record as of a later time, at which these of its fields are said; the others keep their time.

    Else a phone that is changed would make a newer statement of an occupation that has long been another.
    """
    kept = (field for field in (*CHANGEABLE, "opened_on", "customer_status") if field not in touched)
    apart = tuple((field, own.when(field)) for field in kept if getattr(own, field))
    return replace(own, business_time=at, said_at=apart)


def apply(
    own: PartyRecord, patch: PartyRecord, touched: Collection[str], golden: Mapping[str, Any], at: datetime
) -> PartyRecord:
    """The channel's record with the patch in it. What the customer was called and numbered before stays said: of a record
    that holds nothing but a new number, whose it is."""
    changed = replace(restated(own, at, touched), **{field: getattr(patch, field) for field in touched})
    if "identifiers" in touched:
        changed = replace(changed, identifiers=(*changed.identifiers, *_replaced(changed, golden)))
    if "identifiers" in touched or ("name" in touched and changed.name):
        former = dict.fromkeys((*own.former_names, *filter(None, (value_in(golden, "name"),))))
        changed = replace(changed, former_names=tuple(name for name in former if name != changed.name))
    return changed


def _replaced(changed: PartyRecord, golden: Mapping[str, Any]) -> list[Identifier]:
    """The customer's numbers that the new ones take the place of: others in a space where a party has one."""
    numbers = [n for given, n in normal_identifiers(changed) if n.space in ONE_PER_PARTY]
    held, spaces = {(n.space.value, n.number) for n in numbers}, {n.space.value for n in numbers}
    return [
        Identifier(
            IdentifierKind(entry["kind"]) if entry["kind"] else None, entry["number"], _date(entry["valid_to"]), True
        )
        for entry in golden["identifiers"]
        if entry["space"] in spaces and (entry["space"], entry["number"]) not in held
    ]


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
