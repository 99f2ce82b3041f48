"""Keeps one open review (疑似合并审核) for each question: may two customers be one, and is a record where it belongs?

Whatever is asked is found anew whenever a customer's records change: a review is opened, rebuilt, or closed by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.review_policy import ReviewKind, ReviewState, Stake, risk_class, risks_of
from ecif.models import MergeReview, ReviewEntry
from ecif.services.assignment import JUDGED_OTHER_RULE
from ecif.services.context import Context
from ecif.services.judgements import NEWEST
from ecif.services.lane import keep
from ecif.services.questions import PAIRS_MAX, Ends, Move, Question, shown_pair
from ecif.services.rematch import ask_of_moves
from ecif.services.rows import insert_rows, query, send, update_rows

_PAIRS = (
    "WITH mine AS (SELECT record_id FROM link WHERE ended_at IS NULL AND customer_no = ANY(%(nos)b::text[])),"
    " pairs AS (SELECT d.* FROM doubtful_pair d JOIN mine ON mine.record_id = d.record_lo"
    "  UNION SELECT d.* FROM doubtful_pair d JOIN mine ON mine.record_id = d.record_hi),"
    " between_two AS (SELECT least(a.customer_no, b.customer_no) lo, greatest(a.customer_no, b.customer_no) hi,"
    "  pairs.record_lo, pairs.record_hi, pairs.held, pairs.level, pairs.rule, pairs.evidence, pairs.policy_version"
    "  FROM pairs JOIN link a ON a.record_id = record_lo AND a.ended_at IS NULL"
    "  JOIN link b ON b.record_id = record_hi AND b.ended_at IS NULL WHERE a.customer_no <> b.customer_no"
    f"  AND pairs.rule <> '{JUDGED_OTHER_RULE}')"
    " SELECT * FROM (SELECT *, count(*) OVER (PARTITION BY lo, hi) AS total,"
    "  row_number() OVER (PARTITION BY lo, hi ORDER BY held DESC, level, record_lo, record_hi) AS place FROM between_two) s"
    f" WHERE place <= {PAIRS_MAX} ORDER BY lo, hi, place"
)
_STAKES = (
    "WITH held AS (SELECT customer_no, coalesce(away::text, 'all') AS part, count(*) AS accounts,"
    "  count(*) FILTER (WHERE system = 'loan') AS loans FROM (SELECT l.customer_no, r.system,"
    "   l.record_id = ANY(%(away)b::bigint[]) AS away FROM link l JOIN account a ON a.owner_id = l.record_id"
    "   JOIN source_record r ON r.id = a.record_id WHERE l.customer_no = ANY(%(los)b::text[] || %(his)b::text[])"
    "   AND l.ended_at IS NULL AND a.status <> 'CLOSED') s GROUP BY GROUPING SETS ((customer_no), (customer_no, away)))"
    " SELECT q.n, a.accounts, a.loans, b.accounts AS other_accounts, b.loans AS other_loans,"
    "  EXISTS (SELECT FROM party p JOIN party o ON o.customer_no = q.hi JOIN judgement j"
    "   ON j.record_lo = least(p.anchor_id, o.anchor_id) AND j.record_hi = greatest(p.anchor_id, o.anchor_id)"
    f"   WHERE p.customer_no = q.lo AND j.verdict = 'NOT_SAME' AND {NEWEST}) AS apart"
    " FROM unnest(%(los)b::text[], %(his)b::text[]) WITH ORDINALITY q(lo, hi, n)"
    " LEFT JOIN held a ON a.customer_no = q.lo AND a.part = CASE WHEN q.lo = q.hi THEN 'false' ELSE 'all' END"
    " LEFT JOIN held b ON b.customer_no = q.hi AND b.part = CASE WHEN q.lo = q.hi THEN 'true' ELSE 'all' END"
    " ORDER BY q.n"
)
"""What is at stake on each side: all that either customer holds; within one, what the others hold, and the records in question."""
_OPEN = (
    "SELECT id, customer_lo, customer_hi, kind, evidence, state, risk, version, operation_id FROM merge_review"
    f" WHERE closed_at IS NULL AND kind <> '{ReviewKind.FOLLOW_UP}'"
    " AND (customer_lo = ANY(%(nos)b::text[]) OR customer_hi = ANY(%(nos)b::text[])) ORDER BY id FOR UPDATE"
)
_CLOSE = (
    "UPDATE merge_review SET closed_at = %(now)b, state = 'CLOSED', version = version + 1,"
    " outcome = CASE WHEN operation_id = %(operation)b::bigint THEN outcome ELSE 'OUTDATED' END"
    " WHERE id = ANY(%(ids)b::bigint[])"
)
_REOPEN = (
    "UPDATE merge_review SET state = 'OPEN', outcome = NULL, operation_id = NULL, version = version + 1"
    " WHERE operation_id = %(operation)b AND closed_at IS NULL RETURNING id"
)
NOBODY: Mapping[int, datetime] = {}
_ENTRY = ("review_id", "action", "state_before", "person", "text", "evidence", "claimed_at", "bulk_id", "made_at")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question as its review holds it: the strongest pair's level and rule, all pairs, and what is at stake."""

    level: str
    rule: str
    policy_version: str
    risk: int
    evidence: str = field(repr=False)


def refresh_reviews(
    session: Session,
    context: Context,
    customers: Collection[str],
    misfits: Iterable[Question] = (),
    moved: Collection[Move] = (),
) -> int:
    """Opens, rebuilds and closes the reviews of these customers; returns how many were opened.

    Two customers whose anchors were judged not to be the same have no review until that is withdrawn. One that is closed by
    the merge that was asked for in it says what was decided; any other says that it is outdated.

    Args:
        misfits: what is to be asked of records that a person placed, of these customers and perhaps of others.
        moved: records that have left a customer for another just now; both are held locked.
    """
    asks = _doubts(session, customers)
    current = {(row.customer_lo, row.customer_hi, row.kind): row for row in query(session, _OPEN, nos=list(customers))}
    asks += [question for question in misfits if question.ends[0] in customers]
    asks += ask_of_moves(session, context, customers, _known_moves(current.values()), moved)
    asked = _asked(session, asks)
    close_outdated(session, context, [row for key, row in current.items() if key not in asked])
    _rebuild(session, context, [(current[key], now) for key, now in asked.items() if key in current])
    opened = [
        (*key, now.level, now.rule, now.policy_version, now.evidence, now.risk, context.now)
        for key, now in asked.items()
        if key not in current
    ]
    columns = ("customer_lo", "customer_hi", "kind", "level", "rule", "policy_version", "evidence", "risk", "opened_at")
    insert_rows(session, MergeReview, columns, opened)
    return len(opened)


def _doubts(session: Session, customers: Collection[str]) -> list[Question]:
    """The doubtful pairs of these customers with others, who are kept from being linked anew until ours are seen."""
    kept = set(customers)
    while True:
        found: dict[Ends, list[Any]] = defaultdict(list)
        for row in query(session, _PAIRS, nos=list(customers)):
            found[row.lo, row.hi].append(row)
        others = {no for ends in found for no in ends} - kept
        if not others:
            return [_doubt(ends, rows) for ends, rows in found.items()]
        keep(session, others)
        kept |= others


def _doubt(ends: Ends, rows: Sequence[Any]) -> Question:
    pairs = [shown_pair(r.record_lo, r.record_hi, orjson.loads(r.evidence), held=r.held) for r in rows]
    return Question(ReviewKind.PAIR, ends, rows[0].policy_version, rows[0].total, pairs)


def _known_moves(rows: Iterable[Any]) -> list[Move]:
    return [
        Move(told["record"], told["from"], told["to"], (row.customer_lo, row.customer_hi))
        for row in rows
        if row.kind == ReviewKind.MOVED
        for told in orjson.loads(row.evidence)["records"]
    ]


def _asked(session: Session, asks: Sequence[Question]) -> dict[tuple[str, str, str], _Asked]:
    if not asks:
        return {}
    away = {told["record"] for question in asks for told in question.records}
    los, his = [question.ends[0] for question in asks], [question.ends[1] for question in asks]
    stakes = query(session, _STAKES, los=los, his=his, away=list(away))
    return {
        question.key: _weighed(question, stake)
        for question, stake in zip(asks, stakes, strict=True)
        if not (stake.apart and question.kind is ReviewKind.PAIR)
    }


def _weighed(question: Question, stake: Any) -> _Asked:
    first = question.pairs[0]
    names = risks_of(
        question.kind,
        first["level"],
        Stake(stake.accounts or 0, stake.loans or 0),
        Stake(stake.other_accounts or 0, stake.other_loans or 0),
    )
    evidence = {"pairs": question.pairs, "more": question.total - len(question.pairs), "risks": names}
    told = evidence | ({"records": question.records} if question.records else {})
    text = orjson.dumps(told).decode()
    return _Asked(first["level"], first["rule"], question.policy_version, risk_class(names), text)


def close_outdated(session: Session, context: Context, rows: Sequence[Any]) -> None:
    """Closes reviews that have nothing to ask any more; of one in which the merge was asked for, as it was decided."""
    if not rows:
        return
    operation = context.operation and context.operation[1]
    send(session, _CLOSE, ids=[row.id for row in rows], now=context.now, operation=operation)
    ours = [row for row in rows if operation and row.operation_id == operation]
    note(session, context, "APPROVED", [(row.id, row.state) for row in ours])
    note(session, context, "OUTDATED", [(row.id, row.state) for row in rows if row not in ours])


def _rebuild(session: Session, context: Context, both: Iterable[tuple[Any, _Asked]]) -> None:
    """Writes new evidence. What it changes materially is told; who waited for it need wait no longer."""
    rows, told = [], []
    for row, now in both:
        anew, material = row.evidence != now.evidence, _material(row.evidence, now.evidence)
        if not (anew or row.risk != now.risk):
            continue
        state = ReviewState.OPEN if material and row.state == ReviewState.NEED_INFO else row.state
        rows.append(
            (row.id, now.level, now.rule, now.policy_version, now.evidence, now.risk, row.version + anew, str(state))
        )
        if material:
            told.append((row.id, row.state))
    columns = ("level", "rule", "policy_version", "evidence", "risk", "version", "state")
    update_rows(session, MergeReview, "id", columns, rows)
    note(session, context, "REBUILT", told)


def _material(before: str, after: str) -> bool:
    """Whether a steward would look at other records, other pairs, or pairs that compare otherwise."""
    return before != after and _seen(before) != _seen(after)


def _seen(evidence: str) -> Any:
    told = orjson.loads(evidence)
    pairs = {
        (p["record_lo"], p["record_hi"], p["rule"], *((i["field"], i["level"]) for i in p["items"]))
        for p in told["pairs"]
    }
    return pairs, told.get("records")


def reopen(session: Session, context: Context, operation_id: int, text: str, action: str = "REJECTED") -> None:
    """Gives a review back to the queue, whose merge was turned down or taken back."""
    rows = query(session, _REOPEN, operation=operation_id)
    note(session, context, action, [(row.id, ReviewState.WAITING) for row in rows], text)


def note(
    session: Session,
    context: Context,
    action: str,
    reviews: Iterable[tuple[int, str]],
    text: str = "",
    bulk_id: int | None = None,
    *,
    evidence: str = "",
    held: Mapping[int, datetime] = NOBODY,
) -> None:
    """Adds an entry to the history of reviews, each given with the state that it had.

    Args:
        held: since when this person had held those that he has given away by it.
    """
    person, now = context.person, context.now
    rows = [
        (review, action, str(state), person, text, evidence, held.get(review), bulk_id, now)
        for review, state in reviews
    ]
    insert_rows(session, ReviewEntry, _ENTRY, rows)
