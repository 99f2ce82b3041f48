"""How merges, splits, undoes and judgements are shown: what each number showed before and would show after, masked or clear."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from ecif.api.views import SECTIONS, Mask, clear_fields, customer_view
from ecif.domain.masking import FieldClass, mask_account, mask_name
from ecif.domain.merge_policy import MERGE_RULES, Finding
from ecif.domain.records import RecordName
from ecif.domain.survivorship import POLICIES
from ecif.services.customers import Golden
from ecif.services.holdings import SHOWN_MAX, Held, Item
from ecif.services.operations import Operation
from ecif.services.outcomes import Preview, Regrouped
from ecif.services.reversals import SINCE_MAX, Since

MOVED_MAX = 100
"""Source records that are listed of those that move."""
ENTRIES_MAX = 50
"""Values of a list that are shown for a customer."""

CREATED_MAX = 20
"""Customers who would get a number, and whose values are shown."""

View = dict[str, Any]
Value = TypeVar("Value")
Goldens = Mapping[str, View]
"""Golden records, as they are shown, by number."""

_HELD_MASKS: Mapping[str, tuple[FieldClass, str, Mask]] = {
    "accounts": (FieldClass.ACCOUNT, "number", mask_account),
    "relations": (FieldClass.IDENTITY, "name", mask_name),
}
"""By kind of holding: the field that names somebody or something of his."""


def name_view(name: RecordName) -> View:
    """A source record by its name."""
    return {"system": name[0], "key": name[1]}


def finding_view(finding: Finding) -> View:
    """A rule that holds, in two languages, with what would lift it."""
    rule = MERGE_RULES[finding.rule]
    data = {k: v[:MOVED_MAX] if isinstance(v, list) else v for k, v in finding.data.items()}
    return {
        "rule": rule.id,
        "level": rule.level.value,
        "lift": rule.lift.value,
        "message_zh": rule.message_zh,
        "message_en": rule.message_en,
        "follow_up_zh": rule.follow_up_zh or None,
        "follow_up_en": rule.follow_up_en or None,
        "data": data,
    }


def heads(live: Mapping[str, str]) -> list[View]:
    """Numbers that were asked for, each with the one it leads to."""
    return [{"requested_no": no, "customer_no": to, "redirected": no != to} for no, to in live.items()]


# Operations


def operation_view(operation: Operation) -> View:
    """An operation: what was asked for by whom, what became of it, and what it did."""
    return {
        "id": operation.id,
        "kind": operation.kind.value,
        "status": operation.status.value,
        "customer_no": operation.customer_no,
        "request": _request(operation),
        **{
            name: getattr(operation, name)
            for name in (
                "reason", "evidence", "override", "maker", "caller", "made_at", "checker", "note", "decided_at", "reverses",
                "reversed_at",
            )
        },
        "outcome": operation.outcome and _regrouped(operation.outcome, str),
    }  # fmt: skip


def _request(operation: Operation) -> View:
    request = dict(operation.request)
    if "source_records" in request:
        named = request["source_records"]
        request |= {"source_records": [name_view(n) for n in named[:MOVED_MAX]], "total": len(named)}
    if "accounts" in request:  # by whose record; their numbers are nobody's business here
        request["accounts"] = [name_view(account[:2]) for account in request["accounts"]]
    return request


def _regrouped(outcome: Mapping[str, Any], called: Callable[[str], str]) -> View:
    moved = [m | {"from": called(m["from"]), "to": called(m["to"])} for m in outcome["moved"][:MOVED_MAX]]
    return {
        "survivor": called(outcome["survivor"]),
        **{part: sorted(map(called, outcome[part])) for part in ("retired", "resurrected", "created")},
        "moved": {"items": moved, "total": len(outcome["moved"])},
    }


def judgement_view(row: Any) -> View:
    """A judgement; it stands until a later one on the same records."""
    return {
        "id": row.id,
        "records": [name_view((row.system_lo, row.key_lo)), name_view((row.system_hi, row.key_hi))],
        **{name: getattr(row, name) for name in ("verdict", "standing", "reason", "person", "operation_id", "made_at")},
    }


# Previews


def shown_clear(clear: Collection[str]) -> list[str]:
    """What a caller who may see these classes clear sees clear of a preview."""
    held = [kind for kind, (field_class, *_) in _HELD_MASKS.items() if field_class in clear]
    return clear_fields(SECTIONS, clear) + held


def customers_of(preview: Preview) -> list[str]:
    """The numbers whose values a preview shows; those that it would issue are nobody's yet."""
    return sorted({*preview.before, *preview.after} - set(preview.regrouped.created))


def _unless(left_out: Collection[str], by_no: Mapping[str, Value]) -> dict[str, Value]:
    return {no: value for no, value in by_no.items() if no not in left_out}


def preview_view(preview: Preview, clear: Collection[str] = ()) -> View:
    """What an operation would do. Numbers that it would issue are called ``new-1``: which they will be, nobody knows yet."""
    issued = {no: f"new-{n}" for n, no in enumerate(preview.regrouped.created, 1)}

    def called(no: str) -> str:
        return issued.get(no, no)

    others = set(preview.regrouped.created[CREATED_MAX:])
    before, after = (_goldens(_unless(others, found), called, clear) for found in (preview.before, preview.after))
    holdings = {kind: _unless(others, held) for kind, held in preview.holdings.items()}
    return {
        **_regrouped(preview.regrouped.outcome, called),
        "fields": _fields(before, after),
        "parts": [_part(section, before, after) for section in SECTIONS if section != "fields"],
        "holdings": [_holding(kind, held, preview.regrouped, called, clear) for kind, held in holdings.items()],
        "blockers": [finding_view(finding) for finding in preview.findings if finding.blocks],
        "warnings": [finding_view(finding) for finding in preview.findings if not finding.blocks],
    }


def _goldens(found: Mapping[str, Golden], called: Callable[[str], str], clear: Collection[str]) -> Goldens:
    shown = ((no, customer_view(golden.document, provenance=True, clear=clear)) for no, golden in found.items())
    return {called(no): view for no, view in shown if "fields" in view}


def _fields(before: Goldens, after: Goldens) -> list[View]:
    """Every field that a customer has, before and after: its value, who says it, and what lost to it."""

    def told(goldens: Goldens, field: str) -> list[View]:
        return [{"customer_no": no, **g["fields"][field]} for no, g in goldens.items() if field in g["fields"]]

    def standing(goldens: Goldens) -> list[View]:
        return [{"customer_no": no, "value": golden["status"]} for no, golden in goldens.items()]

    rows = [{"field": field, "before": told(before, field), "after": told(after, field)} for field in POLICIES]
    status = {"field": "status", "before": standing(before), "after": standing(after)}
    return [status, *(row for row in rows if row["before"] or row["after"])]


def _part(section: str, before: Goldens, after: Goldens) -> View:
    def told(goldens: Goldens) -> list[View]:
        lists = ((no, golden[section]) for no, golden in goldens.items())
        return [{"customer_no": no, "items": found[:ENTRIES_MAX], "total": len(found)} for no, found in lists]

    return {"part": section, "before": told(before), "after": told(after)}


def _holding(
    kind: str, held: Mapping[str, Held], regrouped: Regrouped, called: Callable[[str], str], clear: Collection[str]
) -> View:
    """What moves of a kind of thing that customers hold, and how much each would hold."""
    to = {name: (left, went) for name, left, went in regrouped.moved}
    ends = {no: (no, regrouped.survivor) for no in regrouped.retired}
    ends |= {no: (regrouped.survivor, no) for no in (*regrouped.resurrected, *regrouped.created)}
    moving = {no: held[no] for no in ends if no in held}
    items = []
    for no, item in ((no, item) for no, those in moving.items() for item in those.items):
        left, went = to.get(item.record, ends[no])  # an account may leave a record that stays
        items.append({**_item(kind, item, clear), "from": called(left), "to": called(went)})
    totals = (
        {"customer_no": called(no), "total": those.total} for no, those in held.items() if no not in regrouped.retired
    )
    return {
        "kind": kind,
        "moves": {"items": items[:SHOWN_MAX], "total": sum(those.total for those in moving.values())},
        "after": list(totals),
    }


def _item(kind: str, item: Item, clear: Collection[str]) -> View:
    field_class, named, mask = _HELD_MASKS.get(kind, (None, "", str))
    hidden = {named: mask(item.data[named])} if field_class and field_class not in clear else {}
    return {**name_view(item.record), **item.data, **hidden}


def since_view(since: Since, clear: Collection[str] = ()) -> View:
    """What happened on a merged number since, list by list; ``more`` says that a list was cut off."""
    return {
        "numbers": _listed(map(asdict, since.spans)),
        "arrived": _listed(
            {**name_view(a.name), "new": a.new, "versions": a.versions, "received_at": a.received_at, "to": a.to}
            for a in since.arrived
        ),
        "events": _rows(since.events),
        "checks": _rows(since.checks),
        "clear_reads": _rows(since.clear_reads),
        "change_requests": _rows(since.change_requests),
        "operations": _listed(
            {
                name: getattr(o, name)
                for name in ("id", "kind", "status", "customer_no", "maker", "made_at", "decided_at")
            }
            for o in since.operations
        ),
        **{kind: _listed(_item(kind, item, clear) for item in items) for kind, items in since.holdings.items()},
    }


def _rows(rows: Sequence[Any]) -> View:
    return _listed(row._asdict() for row in rows)


def _listed(items: Iterable[View]) -> View:
    found = list(items)
    return {"items": found[:SINCE_MAX], "more": len(found) > SINCE_MAX}
