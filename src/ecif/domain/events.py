"""What events tell of a change (变更事件): which type it is, and which parts of the golden record it touched.

An event names paths and never a personal value: who reads it asks the API with rights of his own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ecif.domain.field_groups import FieldGroup, fields_of
from ecif.domain.records import CustomerStatus, PhoneKind

SCHEMA_VERSION = 1
"""Of the published contract of events (``contracts/events``): additive changes keep it."""

COOL_DOWN = timedelta(hours=24)
"""How long a new mobile number (签约手机) is to be trusted with nothing, counted from its change (冷静期)."""

KEY_IDENTITY = frozenset(fields_of(FieldGroup.KEY_IDENTITY))
"""What asks for screening and verification anew when it changes (关键身份信息)."""

Golden = Mapping[str, Any]
"""A golden record, parsed."""


class EventType(StrEnum):
    """事件类型."""

    CREATED = "customer.created"
    UPDATED = "customer.updated"
    KEY_IDENTITY_CHANGED = "customer.key_identity_changed"
    STATUS_CHANGED = "customer.status_changed"
    CLOSED = "customer.closed"
    RESTRICTED = "customer.restricted"
    MERGED = "customer.merged"
    UNMERGED = "customer.unmerged"
    SPLIT = "customer.split"
    DOCUMENT_EXPIRING = "document.expiring"
    DOCUMENT_EXPIRED = "document.expired"
    DOCUMENT_RESTRICTED = "document.restricted"


STATUS_EVENTS: Mapping[str, EventType] = {
    CustomerStatus.CLOSED: EventType.CLOSED,
    CustomerStatus.RESTRICTED: EventType.RESTRICTED,
}
"""Statuses that are told by an event of their own."""


@dataclass(frozen=True, slots=True)
class Regrouping:
    """Records and numbers that moved together (归并变动): the one logical event that every number of it tells.

    Attributes:
        retired: numbers that were merged, with the one they lead to now.
        moved: records by name (``system:key``), with the numbers they left and went to.
        operation: kind and number of the operation behind it; None where the engine decided.
    """

    retired: Mapping[str, str]
    resurrected: tuple[str, ...]
    created: tuple[str, ...]
    moved: tuple[tuple[str, str, str], ...]
    operation: tuple[str, int] | None = None

    @property
    def told_as(self) -> EventType | None:
        """The type of the event, on each of its numbers; None where records moved and no number did."""
        if self.operation and self.operation[0] == "SPLIT":
            return EventType.SPLIT
        if self.resurrected:
            return EventType.UNMERGED
        if self.retired:
            return EventType.MERGED
        return EventType.SPLIT if self.operation and self.moved else None

    @property
    def data(self) -> dict[str, Any]:
        """What the events tell of it, the same on all of its numbers."""
        moved = [(*name.partition(":")[::2], left, to) for name, left, to in self.moved]
        kept = {left for _, left, _ in self.moved if left not in self.retired}
        return {
            "survivors": sorted({*self.retired.values(), *kept}),
            "retired": sorted(self.retired),
            "resurrected": list(self.resurrected),
            "created": list(self.created),
            "moved": [{"system": s, "key": k, "from": left, "to": to} for s, k, left, to in moved],
            "operation": self.operation[1] if self.operation else None,
        }


def event_type(
    *, new: bool, regrouped: EventType | None, changed: Collection[str], old_status: str, new_status: str
) -> EventType:
    """What a new version of a golden record is told as: the first that fits. ``changed`` always names all of it.

    Args:
        regrouped: what a regrouping that the customer is part of is told as.
    """
    if regrouped:
        return regrouped
    if new:
        return EventType.CREATED
    if old_status != new_status and new_status in STATUS_EVENTS:
        return STATUS_EVENTS[new_status]
    if any(path.removeprefix("fields.") in KEY_IDENTITY for path in changed):
        return EventType.KEY_IDENTITY_CHANGED
    return EventType.UPDATED if old_status == new_status else EventType.STATUS_CHANGED


def change_data(version: int, before: Golden | None, after: Golden, now: datetime) -> dict[str, Any]:
    """The data of a new version's event. No path at all: only who says so has changed.

    Args:
        before: the version before, None where there was none; that of a merged number holds no values.
    """
    data: dict[str, Any] = {"version": version, "changed": changed_paths(before or {}, after)}
    if before and "phones" in before and _mobiles(before) != _mobiles(after):
        data["cool_down_until"] = (now + COOL_DOWN).isoformat()
    return data


def changed_paths(before: Golden, after: Golden) -> list[str]:
    """Where two versions of a golden record hold other values, whoever says so and in whatever order."""
    old, new = _values(before), _values(after)
    return sorted(path for path in old.keys() | new.keys() if (old.get(path) or None) != (new.get(path) or None))


def _values(document: Golden) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part, value in document.items():
        if part == "fields":
            found.update((f"fields.{name}", field["value"]) for name, field in value.items())
        elif part == "identifiers":
            found |= _identifiers(value)
        elif isinstance(value, list):
            found[part] = {_content(entry) for entry in value}
        elif part != "customer_no":
            found[part] = value
    return found


def _identifiers(entries: list[Golden]) -> dict[str, Any]:
    """The numbers apart from what stands beside them: a renewed document is no change of identity."""
    numbers = [(e["space"], e["number"], e.get("replaced", False)) for e in entries]  # older versions did not say
    beside = {
        f"identifiers.{name}": {(n, e[name]) for n, e in zip(numbers, entries, strict=True) if e[name]}
        for name in ("kind", "valid_to")
    }
    return {"identifiers": set(numbers), **beside}


def _content(entry: Any) -> Any:
    return tuple(v for k, v in sorted(entry.items()) if k != "sources") if isinstance(entry, dict) else entry


def _mobiles(document: Golden) -> set[str]:
    return {phone["number"] for phone in document["phones"] if phone["kind"] == PhoneKind.MOBILE}
