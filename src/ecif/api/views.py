"""How a golden record is shown: which sections, with or without provenance, masked or clear."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal, get_args

import orjson

from ecif.domain.golden import golden_record
from ecif.domain.masking import (
    FieldClass,
    mask_address,
    mask_birth_date,
    mask_email,
    mask_name,
    mask_number,
    mask_phone,
)
from ecif.services.change_requests import Request

Section = Literal["fields", "identifiers", "aliases", "phones", "addresses", "emails"]
SECTIONS: tuple[Section, ...] = get_args(Section)
Mask = Callable[[str], str]

_FIELD_MASKS: dict[str, tuple[FieldClass, Mask]] = {
    "name": (FieldClass.IDENTITY, mask_name),
    "latin_name": (FieldClass.IDENTITY, mask_name),
    "birth_date": (FieldClass.IDENTITY, mask_birth_date),
    "employer": (FieldClass.CONTACT, mask_name),
}
_LIST_MASKS: dict[str, tuple[FieldClass, str, Mask]] = {
    "identifiers": (FieldClass.IDENTITY, "number", mask_number),
    "aliases": (FieldClass.IDENTITY, "name", mask_name),
    "phones": (FieldClass.CONTACT, "number", mask_phone),
    "addresses": (FieldClass.CONTACT, "text", mask_address),
    "emails": (FieldClass.CONTACT, "address", mask_email),
}


def clear_fields(sections: Iterable[str], clear: Collection[str]) -> list[str]:
    """What a caller who may see these classes clear would see clear of a golden record."""
    asked = set(sections)
    fields = [name for name, (kind, _) in _FIELD_MASKS.items() if kind in clear and "fields" in asked]
    return fields + [name for name, (kind, *_) in _LIST_MASKS.items() if kind in clear and name in asked]


def customer_view(
    document: dict[str, Any],
    *,
    sections: Iterable[str] = SECTIONS,
    provenance: bool = False,
    clear: Collection[str] = (),
) -> dict[str, Any]:
    """The part of a golden record that a caller asked for and may see. Organisations' names are public.

    Args:
        clear: the field classes that he may see clear.
    """
    shown = {key: value for key, value in document.items() if key not in SECTIONS}
    public = ("name", "aliases") if document["party_type"] == "ORGANIZATION" else ()
    for section in () if "merged_into" in document else sections:
        value = document[section]
        if section == "fields":
            masks = {n: mask for n, (kind, mask) in _FIELD_MASKS.items() if kind not in clear and n not in public}
            shown[section] = {n: _field(v, provenance, masks.get(n)) for n, v in value.items()}
        else:
            kind, field, mask = _LIST_MASKS[section]
            hide = None if kind in clear or section in public else mask
            shown[section] = [_entry(entry, provenance, field, hide) for entry in value]
    return shown


def _field(value: dict[str, Any], provenance: bool, mask: Mask | None) -> Any:
    if not provenance:
        return mask(str(value["value"])) if mask else value["value"]
    if mask is None:
        return value
    lost = [entry | {"value": mask(str(entry["value"]))} for entry in value.get("lost", ())]
    return value | {"value": mask(str(value["value"]))} | ({"lost": lost} if lost else {})


def _entry(entry: dict[str, Any], provenance: bool, field: str, mask: Mask | None) -> dict[str, Any]:
    shown = entry if provenance else {k: v for k, v in entry.items() if k != "sources"}
    return shown | {field: mask(str(entry[field]))} if mask else shown


def request_view(request: Request, clear: Collection[str] = ()) -> dict[str, Any]:
    """A change request, and what each field would say, masked or clear."""
    row = request.row
    wanted = orjson.loads(golden_record(row.customer_no, [request.wanted]))
    after = customer_view(wanted, clear=clear)
    return {
        "id": row.id,
        "customer_no": row.customer_no,
        "status": row.status,
        "fields": list(request.touched),
        "after": {
            f: after["fields"].get(f) if f in wanted["fields"] or f not in after else after[f] for f in request.touched
        },
        "reason": row.reason,
        "evidence": row.evidence,
        **{
            name: getattr(row, name)
            for name in ("maker", "channel", "branch", "made_at", "checker", "note", "decided_at")
        },
    }
