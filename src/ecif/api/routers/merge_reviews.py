"""The queue of reviews (疑似合并审核) under ``/v1/merge-reviews``: claimed, decided one by one or in bulk, and their history."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy.orm import Session

from ecif.api import reading
from ecif.api.calls import EdgeIn, answer, now_by
from ecif.api.cursors import cursor
from ecif.api.etags import etag
from ecif.api.merge_views import heads
from ecif.api.parameters import NO_QUERY, EntriesQuery, View
from ecif.api.problems import PROBLEMS
from ecif.api.reading import Reader, reads
from ecif.api.review_bodies import BulkBody, BulkPreviewBody, CommentBody, DecideBody, ReviewsQuery, UndoBody
from ecif.api.review_views import review_view, whole_view
from ecif.api.security import needs
from ecif.api.views import SECTIONS, clear_fields
from ecif.services import review_bulk, review_decisions, review_queue
from ecif.services.answers import Answer
from ecif.services.context import Context
from ecif.services.regrouping import live_numbers
from ecif.services.review_bulk import Bulk
from ecif.services.review_queue import Place

router = APIRouter(prefix="/v1", tags=["merge reviews"])

Reading = Annotated[Reader, Depends(reads("reviews:read"))]
Steward = Depends(needs("reviews:write"))
ReviewId = Annotated[int, Path(ge=1, le=2**63 - 1, description="审核号")]
BulkId = Annotated[int, Path(ge=1, le=2**63 - 1, description="批量裁决号")]
SHOWN = 20
"""Reviews that the preview of a decision on many shows."""


@router.get("/merge-reviews", responses=PROBLEMS, response_model=None)
def list_merge_reviews(request: Request, who: Reading, asked: Annotated[ReviewsQuery, Query()]) -> Response:
    """审核队列 Reviews, the most urgent first: risk × age. A page goes on where the one before ended, whatever came since."""
    now = now_by(who.call.caller, request.app.state.digests).now
    with who.transaction() as session:
        (head,) = heads(live_numbers(session, [asked.filter.customer])) if asked.filter.customer else [{}]
        found = review_queue.listing(session, asked.filter, asked.sort, asked.place or Place(now), limit=asked.limit)
    items = [review_view(row, now) for row in found.reviews]
    return reading.answer(head | {"items": items, "next_after": cursor(asked.sort, found.next) or None})


@router.get("/merge-reviews/{review_id}", responses=PROBLEMS, response_model=None)
def get_merge_review(request: Request, review_id: ReviewId, who: Reading, asked: Annotated[View, Query()]) -> Response:
    """审核详情 One review: what agrees, what conflicts, how rare the names are, both golden records, and what to do."""
    clear, digests = who.clear(asked.clear), request.app.state.digests
    with who.transaction() as session:
        review = review_queue.get(session, digests, review_id)
        who.log(session, review.golden, clear_fields(SECTIONS, clear))
    shown = whole_view(review, now_by(who.call.caller, digests).now, clear)
    return reading.answer(shown, {"ETag": etag(review.row.version)})


@router.get("/merge-reviews/{review_id}/history", responses=PROBLEMS, response_model=None)
def get_review_history(review_id: ReviewId, who: Reading, asked: Annotated[EntriesQuery, Query()]) -> Response:
    """审核记录 Who claimed, released, commented and decided, when and why; and what new data changed."""
    with who.transaction() as session:
        rows = review_queue.history(session, review_id, after=asked.after, limit=asked.limit + 1)
    items = [row._asdict() for row in rows[: asked.limit]]
    return reading.answer({"items": items, "next_after": items[-1]["id"] if len(rows) > asked.limit else None})


def _changed(context: Context, row: Any, **more: Any) -> Answer:
    return answer(200, review_view(row, context.now), ETag=etag(row.version), **more)


@router.post(
    "/merge-reviews/{review_id}:claim", dependencies=[Steward, NO_QUERY], responses=PROBLEMS, response_model=None
)
def claim_review(review_id: ReviewId, edge: EdgeIn) -> Response:
    """认领 Takes a review for oneself, for eight hours; another's is refused with his name (409)."""
    expected = edge.expected()

    def work(session: Session, context: Context) -> Answer:
        return _changed(context, review_decisions.claim(session, context, review_id, expected=expected))

    return edge.run(None, work)


@router.post(
    "/merge-reviews/{review_id}:release", dependencies=[Steward, NO_QUERY], responses=PROBLEMS, response_model=None
)
def release_review(review_id: ReviewId, edge: EdgeIn) -> Response:
    """放回 Gives it back to the queue."""
    expected = edge.expected()

    def work(session: Session, context: Context) -> Answer:
        return _changed(context, review_decisions.release(session, context, review_id, expected=expected))

    return edge.run(None, work)


@router.post(
    "/merge-reviews/{review_id}:comment", dependencies=[Steward, NO_QUERY], responses=PROBLEMS, response_model=None
)
def comment_review(review_id: ReviewId, body: CommentBody, edge: EdgeIn) -> Response:
    """备注 Adds a remark to the history."""

    def work(session: Session, context: Context) -> Answer:
        return _changed(context, review_decisions.comment(session, context, review_id, body.text))

    return edge.run(body, work)


@router.post(
    "/merge-reviews/{review_id}:decide", dependencies=[Steward, NO_QUERY], responses=PROBLEMS, response_model=None
)
def decide_review(review_id: ReviewId, body: DecideBody, edge: EdgeIn) -> Response:
    """裁决 Decides what was seen (If-Match). That two are one asks for a merge, which another person approves (202)."""
    expected = edge.must_expect()

    def work(session: Session, context: Context) -> Answer:
        row = review_decisions.decide(
            session, context, review_id, body.decision, expected=expected,
            reason=body.reason, survivor=body.survivor or "", evidence=body.evidence or "", override=body.override,
        )  # fmt: skip
        edge.decisions.append(("merge_review", body.decision.value))
        if row.operation_id is None:
            return _changed(context, row)
        headers = {"ETag": etag(row.version), "Location": f"/v1/operations/{row.operation_id}"}
        return answer(202, review_view(row, context.now), **headers)

    return edge.run(body, work)


@router.post("/merge-reviews:preview-bulk", responses=PROBLEMS, dependencies=[NO_QUERY], response_model=None)
def preview_bulk(request: Request, body: BulkPreviewBody, who: Reading) -> Response:
    """批量裁决预览 What a decision on many reviews would touch; `seen` names them for the decision. Nothing is changed."""
    context = now_by(who.call.caller, request.app.state.digests, who.call)
    with who.transaction() as session:
        preview = review_bulk.preview_bulk(session, context, body.filter.filter, body.decision)
    shown = [
        review_view(row, context.now) | {"result": preview.results[row.id].value} for row in preview.reviews[:SHOWN]
    ]
    counts = Counter(result.value for result in preview.results.values())
    return reading.answer(
        {
            "decision": body.decision,
            "count": len(preview.results),
            "results": counts,
            "seen": preview.seen,
            "items": shown,
        }
    )


@router.post("/merge-reviews:decide-bulk", dependencies=[Steward, NO_QUERY], responses=PROBLEMS, response_model=None)
def decide_bulk(body: BulkBody, edge: EdgeIn) -> Response:
    """批量裁决 Decides all reviews that the preview named, up to 200, each with its result; undone as one."""

    def work(session: Session, context: Context) -> Answer:
        bulk = review_bulk.decide_bulk(
            session, context, body.filter.filter, body.decision, reason=body.reason, seen=body.seen
        )
        return answer(200, _bulk(bulk))

    return edge.run(body, work)


@router.post(
    "/bulk-decisions/{bulk_id}:undo", dependencies=[Steward, NO_QUERY], responses=PROBLEMS, response_model=None
)
def undo_bulk(bulk_id: BulkId, body: UndoBody, edge: EdgeIn) -> Response:
    """撤回批量裁决 Takes a decision on many reviews back: its judgements are withdrawn, the reviews are open as they were."""

    def work(session: Session, context: Context) -> Answer:
        return answer(200, _bulk(review_bulk.undo_bulk(session, context, bulk_id, reason=body.reason)))

    return edge.run(body, work)


def _bulk(bulk: Bulk) -> dict[str, Any]:
    results = [{"review": review, "result": result.value} for review, result in bulk.results.items()]
    return {"bulk_decision": bulk.id, "results": results}
