"""What has to be done after merges (合并后续事项): one open review of each customer, that names the rules and the merges.

A merge whose warnings leave something to do opens it, or adds to it. What a merge left follows the number that survived it,
into later merges and out of them again, until a steward says that it is done, or the merge is undone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.merge_policy import MERGE_RULES, Finding
from ecif.domain.review_policy import ReviewKind, ReviewState
from ecif.models import MergeReview
from ecif.services.assignment import Assignment
from ecif.services.context import Context
from ecif.services.reviews import close_outdated, note
from ecif.services.rows import insert_rows, query, update_rows

LEVEL = "MERGE"
"""In the place of the level of a pair."""

_OPEN = (
    "SELECT id, customer_lo, state, operation_id, evidence, version FROM merge_review WHERE closed_at IS NULL"
    f" AND kind = '{ReviewKind.FOLLOW_UP}' AND customer_lo = ANY(%(nos)b::text[]) ORDER BY id FOR UPDATE"
)
_LEAD_TO = (
    "SELECT o.id, coalesce(p.merged_into, p.customer_no) AS live FROM operation o JOIN party p USING (customer_no)"
    " WHERE o.id = ANY(%(ids)b::bigint[]) AND o.status <> 'REVERSED'"
)

Item = Mapping[str, Any]
"""One thing to do: the rule, its data, and the merge (``operation``) that left it."""


def leave(session: Session, context: Context, operation_id: int, survivor: str, findings: Sequence[Finding]) -> None:
    """Writes down what a merge leaves to be done; its customers are locked by the caller."""
    items = [
        {"operation": operation_id, "rule": finding.rule, "data": finding.data}
        for finding in findings
        if MERGE_RULES[finding.rule].follow_up_zh
    ]
    if items:
        refresh(session, context, [survivor], items)


def follow(session: Session, context: Context, assignment: Assignment) -> None:
    """Brings what is to be done to the numbers where it is to be done now, after numbers have retired or live again."""
    led = assignment.merged | assignment.resurrected
    if led:
        refresh(session, context, {*led, *led.values()})


def refresh(session: Session, context: Context, nos: Collection[str], new: Sequence[Item] = ()) -> None:
    """Opens, rebuilds and closes the reviews of these customers, so that each says what is to be done under its number."""
    current = {row.customer_lo: row for row in query(session, _OPEN, nos=list(nos))}
    told = [item for row in current.values() for item in orjson.loads(row.evidence)["follow_ups"]]
    wanted = _by_customer(session, [*told, *new])
    close_outdated(session, context, [row for no, row in current.items() if no not in wanted])
    changed = [(row, wanted[no]) for no, row in current.items() if no in wanted and row.evidence != wanted[no]]
    rows = [(row.id, evidence, row.version + 1, _state(row)) for row, evidence in changed]
    update_rows(session, MergeReview, "id", ("evidence", "version", "state"), rows)
    note(session, context, "REBUILT", [(row.id, row.state) for row, _ in changed])
    opened = [
        (no, no, ReviewKind.FOLLOW_UP.value, LEVEL, evidence, context.now)
        for no, evidence in wanted.items()
        if no not in current
    ]
    columns = ("customer_lo", "customer_hi", "kind", "level", "evidence", "opened_at")
    insert_rows(session, MergeReview, columns, opened)


def _state(row: Any) -> str:
    """Who waits for something to become known need wait no longer."""
    return ReviewState.OPEN.value if row.state == ReviewState.NEED_INFO else str(row.state)


def _by_customer(session: Session, items: Sequence[Item]) -> dict[str, str]:
    """The evidence of each customer's review: what is left of merges that stand, under the number they lead to."""
    if not items:
        return {}
    merges = sorted({item["operation"] for item in items})
    at = {row.id: row.live for row in query(session, _LEAD_TO, ids=merges)}
    found: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item["operation"]):
        if item["operation"] in at:
            found[at[item["operation"]]].append(item)
    return {
        no: orjson.dumps({"pairs": [], "more": 0, "follow_ups": those}).decode() for no, those in sorted(found.items())
    }
