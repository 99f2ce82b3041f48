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
from ecif.services.holdings import HOLDINGS
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

_TOGETHER = (
    "SELECT q.id, o.record_id, o.customer_no FROM unnest(%(ids)b::bigint[], %(nos)b::text[]) q(id, no)"
    " JOIN operation_record o ON o.operation_id = q.id"
    " JOIN link l ON l.record_id = o.record_id AND l.customer_no = q.no AND l.ended_at IS NULL"
)
"""The records that a merge made one customer's and that still are, each with the number under which it was before."""

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
    merged, parted = assignment.merged, assignment.parted
    nos = {*merged, *merged.values(), *parted, *parted.values()}
    if nos:
        refresh(session, context, nos, parted=bool(parted))


def refresh(
    session: Session, context: Context, nos: Collection[str], new: Sequence[Item] = (), *, parted: bool = False
) -> None:
    """Opens, rebuilds, moves and closes the reviews of these customers, so that each says what is to be done under its number.

    Args:
        parted: whether some have left a customer, so that what is to be done is to be reckoned anew.
    """
    current = {row.customer_lo: row for row in query(session, _OPEN, nos=list(nos))}
    told = [item for row in current.values() for item in _items(row)]
    wanted = _by_customer(session, [*told, *new])
    if parted and wanted:
        wanted = _reckoned(session, wanted)
    placed = _placed(current, wanted)
    kept = {row.id for row in placed.values()}
    close_outdated(session, context, [row for row in current.values() if row.id not in kept])
    documents = {no: _document(items) for no, items in wanted.items()}
    _rebuild(session, context, {no: (row, documents[no]) for no, row in placed.items()})
    opened = [
        (no, no, ReviewKind.FOLLOW_UP.value, LEVEL, evidence, context.now)
        for no, evidence in documents.items()
        if no not in placed
    ]
    columns = ("customer_lo", "customer_hi", "kind", "level", "evidence", "opened_at")
    insert_rows(session, MergeReview, columns, opened)


def _placed(current: Mapping[str, Any], wanted: Mapping[str, Sequence[Item]]) -> dict[str, Any]:
    """The review of each customer, if there is one: his own, or one that goes where what it names went."""
    placed = {no: row for no, row in current.items() if no in wanted}
    for row in (row for no, row in current.items() if no not in wanted):
        named = {item["operation"] for item in _items(row)}
        led = (no for no, items in wanted.items() if no not in placed and any(i["operation"] in named for i in items))
        placed.update((no, row) for no in list(led)[:1])
    return placed


def _rebuild(session: Session, context: Context, placed: Mapping[str, tuple[Any, str]]) -> None:
    """Writes where a review is and what it says. It stays as old as it is, and whoever holds it holds it."""
    changed = {no: row for no, (row, evidence) in placed.items() if row.evidence != evidence}
    moved = {no: row for no, (row, _) in placed.items() if row.customer_lo != no}
    rows = [
        (row.id, no, no, placed[no][1], row.version + 1, _state(row) if no in changed else row.state)
        for no, row in (changed | moved).items()
    ]
    columns = ("customer_lo", "customer_hi", "evidence", "version", "state")
    update_rows(session, MergeReview, "id", columns, rows)
    note(session, context, "REBUILT", [(row.id, row.state) for row in changed.values()])
    for no, row in moved.items():
        note(session, context, "FOLLOWED", [(row.id, row.state)], f"{row.customer_lo} → {no}")


def _state(row: Any) -> str:
    """Who waits for something to become known need wait no longer."""
    return ReviewState.OPEN.value if row.state == ReviewState.NEED_INFO else str(row.state)


def _items(row: Any) -> list[Item]:
    items: list[Item] = orjson.loads(row.evidence)["follow_ups"]
    return items


def _document(items: Sequence[Item]) -> str:
    return orjson.dumps({"pairs": [], "more": 0, "follow_ups": items}).decode()


def _by_customer(session: Session, items: Sequence[Item]) -> dict[str, list[Item]]:
    """What is to be done of merges that stand, under the number they lead to."""
    if not items:
        return {}
    merges = sorted({item["operation"] for item in items})
    at = {row.id: row.live for row in query(session, _LEAD_TO, ids=merges)}
    found: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item["operation"]):
        if item["operation"] in at:
            found[at[item["operation"]]].append(item)
    return dict(sorted(found.items()))


def _reckoned(session: Session, wanted: Mapping[str, Sequence[Item]]) -> dict[str, list[Item]]:
    """What is left to be done of it, by what those hold now who are still one by each merge."""
    at = {item["operation"]: no for no, items in wanted.items() for item in items}
    homes: dict[int, dict[int, str]] = defaultdict(dict)
    for row in query(session, _TOGETHER, ids=list(at), nos=list(at.values())):
        homes[row.id][row.record_id] = row.customer_no
    holding = ((merge, f) for merge, home in homes.items() for held in HOLDINGS for f in held.findings(session, home))
    found = {(merge, finding.rule): finding.data for merge, finding in holding}
    left: dict[str, list[Item]] = {
        no: [{**i, "data": found[key]} for i in items if (key := (i["operation"], i["rule"])) in found]
        for no, items in wanted.items()
    }
    return {no: items for no, items in left.items() if items}
