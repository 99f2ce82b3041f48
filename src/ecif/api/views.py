"""How a golden record is shown: which sections, with or without provenance, masked or clear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ecif.domain.golden import golden_record
from ecif.domain.masking import mask_address, mask_birth_date, mask_email, mask_name, mask_number, mask_phone
from ecif.services.change_requests import Request

SECTIONS = ("fields", "identifiers", "aliases", "phones", "addresses", "emails")
Mask = Callable[[str], str]

_FIELD_MASKS: dict[str, Mask] = {
    "name": mask_name,
    "latin_name": mask_name,
    "birth_date": mask_birth_date,
    "employer": mask_name,
}
_LIST_MASKS: dict[str, tuple[str, Mask]] = {
    "identifiers": ("number", mask_number),
    "aliases": ("name", mask_name),
    "phones": ("number", mask_phone),
    "addresses": ("text", mask_address),
    "emails": ("address", mask_email),
}


def customer_view(document: dict[str, Any], *, sections: list[str], provenance: bool, clear: bool) -> dict[str, Any]:
    """The part of a golden record that a caller asked for and may see. Organisations' names are public."""
    shown = {key: value for key, value in document.items() if key not in SECTIONS}
    public_name = document["party_type"] == "ORGANIZATION"
    for section in () if "merged_into" in document else sections:
        value = document[section]
        if section == "fields":
            shown[section] = {
                n: _field(n, v, provenance, clear or (public_name and n == "name")) for n, v in value.items()
            }
        else:
            keep = clear or (public_name and section == "aliases")
            shown[section] = [_entry(section, entry, provenance, keep) for entry in value]
    return shown


def _field(name: str, value: dict[str, Any], provenance: bool, clear: bool) -> dict[str, Any] | Any:
    mask = _FIELD_MASKS.get(name)
    hide = (lambda v: v) if clear or mask is None else (lambda v: mask(str(v)))
    if not provenance:
        return hide(value["value"])
    lost = [entry | {"value": hide(entry["value"])} for entry in value.get("lost", ())]
    return value | {"value": hide(value["value"])} | ({"lost": lost} if lost else {})


def _entry(section: str, entry: dict[str, Any], provenance: bool, clear: bool) -> dict[str, Any]:
    field, mask = _LIST_MASKS[section]
    shown = entry if provenance else {k: v for k, v in entry.items() if k != "sources"}
    return shown if clear else shown | {field: mask(str(entry[field]))}


def request_view(request: Request) -> dict[str, Any]:
    """A change request, its values masked: what a field shows now, and what it would say."""
    row = request.row
    wanted = orjson.loads(golden_record(row.customer_no, [request.wanted]))
    after = customer_view(wanted, sections=list(SECTIONS), provenance=False, clear=False)
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
