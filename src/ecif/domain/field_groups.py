"""How each field of a customer may be changed by a call (字段分组与控制): a table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class FieldGroup(StrEnum):
    """字段分组."""

    KEY_IDENTITY = "KEY_IDENTITY"
    """关键身份: two persons, evidence, and matched again."""
    CONTACT = "CONTACT"
    """联系方式: may authenticate the customer, so that only the counter and strong channels change a mobile number."""
    ORDINARY = "ORDINARY"
    """一般."""
    DERIVED = "DERIVED"
    """派生: computed, never written."""
    SOURCE_OWNED = "SOURCE_OWNED"
    """源系统所有: only the source says it, in its own record."""


_G = FieldGroup
FIELD_GROUPS: Mapping[str, FieldGroup] = {
    **dict.fromkeys(("name", "identifiers", "birth_date", "nationality"), _G.KEY_IDENTITY),
    **dict.fromkeys(("phones",), _G.CONTACT),
    **dict.fromkeys(
        ("gender", "latin_name", "addresses", "emails", "postcode", "employer", "occupation", "education", "marital_status"),
        _G.ORDINARY,
    ),
    **dict.fromkeys(
        ("customer_no", "party_type", "status", "version", "policy_version", "aliases", "legal_entities", "branches",
         "source_records", "opened_on", "open_branch", "closed_on", "deceased_on"),
        _G.DERIVED,
    ),
    **dict.fromkeys(("accounts", "relations", "sources"), _G.SOURCE_OWNED),
}  # fmt: skip


def fields_of(*groups: FieldGroup) -> tuple[str, ...]:
    """The fields of these groups."""
    return tuple(name for name, group in FIELD_GROUPS.items() if group in groups)


CHANGEABLE = fields_of(_G.KEY_IDENTITY, _G.CONTACT, _G.ORDINARY)
"""What a call may state of a customer."""
