"""How reviews are shown: a line of the queue, and one with its evidence item by item. No evidence holds a personal value."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from ecif.api.merge_views import finding_view
from ecif.api.views import customer_view
from ecif.domain.merge_policy import Finding
from ecif.domain.records import RecordName
from ecif.domain.review_policy import RISKS, Recommended, ReviewKind, holder, recommended
from ecif.matching.decision import SHARE, WEIGHTS
from ecif.matching.rules import RULES, SEPARATE_BY_DEFAULT
from ecif.matching.types import Field, Level
from ecif.services.review_queue import BEARERS_MAX, Review, priority

MEANINGS = {rule.id: rule.meaning for rule in RULES} | {
    SEPARATE_BY_DEFAULT: "无规则可认定为同一客户 no rule makes them one"
}
SAYS_NOTHING = frozenset({Field.KIND.value})
"""That neither of two is a branch says nothing for them; that one is says much against."""
RECORDS_MAX = 100
"""Records in question that a review shows. What it holds is whole: nothing else knows which have moved."""
View = dict[str, Any]


def review_view(row: Any, now: datetime) -> View:
    """A line of the queue; ``priority`` is risk × age in seconds."""
    held = holder(row.claimed_by, row.claimed_at, now)
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "customers": [row.customer_lo, row.customer_hi],
        "level": row.level,
        "rule": row.rule,
        "policy_version": row.policy_version,
        "risk": row.risk,
        "priority": None if row.closed_at else max(priority(row, now), 0) // 1_000_000,
        "version": row.version,
        "claimed_by": held or None,
        "claimed_at": row.claimed_at if held else None,
        "opened_at": row.opened_at,
        "closed_at": row.closed_at,
        "outcome": row.outcome,
        "operation": row.operation_id,
    }


def whole_view(review: Review, now: datetime, clear: Collection[str]) -> View:
    """A review with its evidence, the golden records, masked or clear, and what to do."""
    evidence = review.evidence
    pairs = [_pair(pair, review.names) for pair in evidence["pairs"]]
    records = evidence.get("records", ())
    return review_view(review.row, now) | {
        "recommended": _recommended(review.row, pairs).value,
        "follow_ups": [_follow_up(item) for item in evidence.get("follow_ups", ())],
        "risks": [_risk(name) for name in evidence.get("risks", ())],
        "pairs": pairs,
        "more_pairs": evidence["more"],
        "records": [_record(told, review.names) for told in records[:RECORDS_MAX]],
        "more_records": max(len(records) - RECORDS_MAX, 0),
        "names": [_bearers(no, n) for no, n in sorted(review.bearers.items())],
        "golden": [
            {"customer_no": no, "version": golden.version, "record": customer_view(golden.document, clear=clear)}
            for no, golden in sorted(review.golden.items())
        ],
    }


def _recommended(row: Any, pairs: Sequence[View]) -> Recommended:
    if row.kind == ReviewKind.FOLLOW_UP:
        return Recommended.FOLLOW_UP
    if not pairs or pairs[0]["held"]:
        return Recommended.NEED_INFO
    first = pairs[0]
    return recommended(ReviewKind(row.kind), row.rule, _fields(first["agrees"]), _fields(first["conflicts"]))


def _pair(pair: Mapping[str, Any], names: Mapping[int, RecordName]) -> View:
    items = [_item(item) for item in pair["items"]]
    return {
        "source_records": [
            {"system": system, "key": key}
            for system, key in (names[pair[end]] for end in ("record_lo", "record_hi") if pair[end] in names)
        ],
        "level": pair["level"],
        "rule": pair["rule"],
        "meaning": MEANINGS.get(pair["rule"], ""),
        "score": pair["score"],
        "held": pair["held"],
        "agrees": [i for i in items if Level[i["level"]] >= Level.PARTIAL and i["field"] not in SAYS_NOTHING],
        "conflicts": [i for i in items if Level.MISSING < Level[i["level"]] < Level.PARTIAL],
        "missing": [i["field"] for i in items if Level[i["level"]] is Level.MISSING],
    }


def _item(item: Mapping[str, str]) -> View:
    points = WEIGHTS[Field(item["field"])] * SHARE[Level[item["level"]]]
    return {**item, "points": round(points, 1)}


def _fields(items: Collection[Mapping[str, Any]]) -> set[str]:
    return {item["field"] for item in items}


def _risk(name: str) -> View:
    risk = RISKS[name]
    return {
        "rule": risk.id,
        "points": risk.points,
        "message_zh": risk.message_zh,
        "message_en": risk.message_en,
    }


def _record(told: Mapping[str, Any], names: Mapping[int, RecordName]) -> View:
    system, key = names[told["record"]]
    return {"system": system, "key": key, "from": told["from"], "to": told["to"]}


def _follow_up(item: Mapping[str, Any]) -> View:
    return finding_view(Finding(item["rule"], item["data"])) | {"operation": item["operation"]}


def _bearers(no: str, records: int) -> View:
    return {"customer_no": no, "records": min(records, BEARERS_MAX), "more": records > BEARERS_MAX}
