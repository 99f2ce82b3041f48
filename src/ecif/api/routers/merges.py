"""Merges, their undo, and splits (合并, 撤销合并, 拆分): previewed, and asked for; another person approves the operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy.orm import Session

from ecif.api import reading
from ecif.api.calls import EdgeIn, NoRedirect, answer, must_be_live, now_by
from ecif.api.merge_bodies import MergeBody, MergePreviewBody, ReverseBody, SplitBody, SplitPreviewBody
from ecif.api.merge_views import customers_of, heads, operation_view, preview_view, shown_clear, since_view
from ecif.api.parameters import NO_QUERY, CustomerNo, View
from ecif.api.problems import PROBLEMS
from ecif.api.reading import Reader, reads
from ecif.api.security import needs
from ecif.db import run_transaction
from ecif.services import merges, reversals, splits
from ecif.services.answers import Answer
from ecif.services.context import Context
from ecif.services.operations import Operation, Status
from ecif.services.outcomes import Preview
from ecif.services.regrouping import live_numbers

router = APIRouter(prefix="/v1", tags=["merges"])

Previewing = Annotated[Reader, Depends(reads("merges:read"))]
Steward = Depends(needs("merges:write"))
MergeId = Annotated[int, Path(ge=1, le=2**63 - 1, description="合并操作号 the operation's number")]
Seen = Annotated[View, Query()]
Tried = Callable[[Session, Context], tuple[Preview, Mapping[str, Any]]]


def asked(operation: Operation, **more: Any) -> Answer:
    """An operation that waits (202), or the same one, done before (200)."""
    status = 202 if operation.status is Status.PENDING else 200
    return answer(status, operation_view(operation) | more, Location=f"/v1/operations/{operation.id}")


def _tried(request: Request, who: Reader, seen: View, work: Tried) -> Response:
    """Shows what would come of it. What it tries is taken back; who sees whose values clear is on record."""
    clear, app = who.clear(seen.clear), request.app.state

    def attempt(session: Session) -> dict[str, Any]:
        preview, more = work(session, now_by(who.call.caller, app.digests, who.call))
        who.log(session, customers_of(preview), shown_clear(clear))
        return preview_view(preview, clear) | dict(more)

    return reading.answer(run_transaction(app.engine, attempt))


@router.post("/merges:preview", responses=PROBLEMS, response_model=None)
def preview_merge(request: Request, body: MergePreviewBody, who: Previewing, seen: Seen) -> Response:
    """合并预览 What a merge would do: every field before and after, what moves, what blocks it. Nothing is changed."""

    def work(session: Session, context: Context) -> tuple[Preview, Mapping[str, Any]]:
        preview = merges.preview_merge(session, context, body.members, body.survivor or "")
        return preview, {"members": heads(live_numbers(session, body.members))}

    return _tried(request, who, seen, work)


@router.post("/merges", dependencies=[Steward, NO_QUERY], responses=PROBLEMS, response_model=None)
def ask_merge(body: MergeBody, edge: EdgeIn) -> Response:
    """申请合并 Asks for a merge, which another person approves (202); the same again is the same merge (200 once done)."""
    edge.expects_none()

    def work(session: Session, context: Context) -> Answer:
        operation = merges.ask_merge(
            session, context, body.members, body.survivor or "",
            reason=body.reason, evidence=body.evidence or "", override=body.override,
        )  # fmt: skip
        return asked(operation, members=heads(live_numbers(session, body.members)))

    return edge.run(body, work)


@router.post("/merges/{merge_id}:preview-reverse", dependencies=[], responses=PROBLEMS, response_model=None)
def preview_reverse(request: Request, merge_id: MergeId, who: Previewing, seen: Seen) -> Response:
    """撤销预览 What an undo would touch (影响范围): where each thing goes, and all that was done under the number since."""

    def work(session: Session, context: Context) -> tuple[Preview, Mapping[str, Any]]:
        preview, since = reversals.preview_reverse(session, context, merge_id)
        return preview, {"since": since_view(since, who.clear(seen.clear))}

    return _tried(request, who, seen, work)


@router.post("/merges/{merge_id}:reverse", dependencies=[Steward, NO_QUERY], responses=PROBLEMS, response_model=None)
def ask_reverse(merge_id: MergeId, body: ReverseBody, edge: EdgeIn) -> Response:
    """申请撤销合并 Asks for the undo of a merge, which another person approves: the retired numbers live again."""

    def work(session: Session, context: Context) -> Answer:
        return asked(
            reversals.ask_reverse(session, context, merge_id, reason=body.reason, evidence=body.evidence or "")
        )

    return edge.run(body, work)


@router.post("/customers/{no}:preview-split", responses=PROBLEMS, response_model=None)
def preview_split(request: Request, no: CustomerNo, body: SplitPreviewBody, who: Previewing, seen: Seen) -> Response:
    """拆分预览 What it would do to take source records from a customer. Nothing is changed."""

    def work(session: Session, context: Context) -> tuple[Preview, Mapping[str, Any]]:
        preview = splits.preview_split(session, context, no, body.names, body.given)
        return preview, {"members": heads(live_numbers(session, [no]))}

    return _tried(request, who, seen, work)


@router.post("/customers/{no}:split", dependencies=[Steward, NO_QUERY], responses=PROBLEMS, response_model=None)
def ask_split(no: CustomerNo, body: SplitBody, edge: EdgeIn, no_redirect: NoRedirect = False) -> Response:
    """申请拆分 Asks for a split (多人一证), which another person approves: these records leave for a number of their own."""
    expected = edge.expected()

    def work(session: Session, context: Context) -> Answer:
        operation = splits.ask_split(
            session, context, no, body.names, body.given,
            reason=body.reason, evidence=body.evidence or "", expected=expected,
        )  # fmt: skip
        live = live_numbers(session, [no])
        if no_redirect:
            must_be_live(no, live[no])
        return asked(operation, members=heads(live))

    return edge.run(body, work)
