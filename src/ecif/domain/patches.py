"""Changes of a customer by a call (修改): what a patch says that is new, and how it is written into a source record.

A patch is never written over the golden record. It goes into the channel's own record, and survivorship decides. Here a
patch is a record that holds the new values alone, beside the names of the fields it touches: an empty one takes the
channel's value away (RFC 7396: null).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import orjson

from ecif.domain.field_groups import CHANGEABLE
from ecif.domain.golden import golden_record
from ecif.domain.identifier_kinds import ONE_PER_PARTY, IdentifierKind
from ecif.domain.normal import normal_identifiers
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

    Nothing new is what the golden record shows already (of a list: shows first), and the removal of what the channel itself
    never said.

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
    return sorted(map(str, shown[: len(wanted)])) != sorted(map(str, wanted)) or len(had) > len(wanted)


def apply(own: PartyRecord, patch: PartyRecord, touched: Collection[str], golden: Mapping[str, Any]) -> PartyRecord:
    """The channel's record with the patch in it. What the customer was called and numbered before stays said."""
    changed = replace(own, **{field: getattr(patch, field) for field in touched})
    if "identifiers" in touched:
        changed = replace(changed, identifiers=(*changed.identifiers, *_replaced(changed, golden)))
    if "name" in touched and changed.name:
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
