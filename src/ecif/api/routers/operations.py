"""Operations (归并操作): merges, splits, undoes and judgements that were asked for, and the second person who decides."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy.orm import Session

from ecif.api import reading
from ecif.api.bodies import NoteBody
from ecif.api.calls import EdgeIn, answer
from ecif.api.merge_views import heads, operation_view
from ecif.api.parameters import NO_QUERY, OperationsQuery
from ecif.api.problems import PROBLEMS
from ecif.api.reading import Reader, reads
from ecif.api.security import needs
from ecif.services import approvals, operations
from ecif.services.answers import Answer
from ecif.services.context import Context
from ecif.services.regrouping import live_numbers

router = APIRouter(prefix="/v1/operations", tags=["operations"])

Reading = Annotated[Reader, Depends(reads("merges:read"))]
Steward, Approver = Depends(needs("merges:write")), Depends(needs("merges:approve"))
OperationId = Annotated[int, Path(ge=1, le=2**63 - 1, description="归并操作号")]


@router.get("", responses=PROBLEMS, response_model=None)
def list_operations(who: Reading, asked: Annotated[OperationsQuery, Query()]) -> Response:
    """归并操作 What was asked for, oldest first; of a customer under each of his numbers."""
    with who.transaction() as session:
        (head,) = heads(live_numbers(session, [asked.customer_no])) if asked.customer_no else [{}]
        found = operations.listing(
            session, status=asked.status or "", kind=asked.kind or "", customer_no=asked.customer_no,
            after=asked.after, limit=asked.limit + 1,
        )  # fmt: skip
    shown = [operation_view(operation) for operation in found[: asked.limit]]
    return reading.answer(head | {"items": shown, "next_after": shown[-1]["id"] if len(found) > asked.limit else None})


@router.get("/{operation_id}", dependencies=[NO_QUERY], responses=PROBLEMS, response_model=None)
def get_operation(operation_id: OperationId, who: Reading) -> Response:
    """归并操作 One of them, with what it did."""
    with who.transaction() as session:
        return reading.answer(operation_view(operations.get(session, operation_id)))


@router.post("/{operation_id}:approve", dependencies=[Approver, NO_QUERY], responses=PROBLEMS, response_model=None)
def approve_operation(operation_id: OperationId, body: NoteBody, edge: EdgeIn) -> Response:
    """复核通过 Carries out what another person asked for, if the customers are as he saw them."""

    def work(session: Session, context: Context) -> Answer:
        return answer(200, operation_view(approvals.approve(session, context, operation_id, note=body.note or "")))

    return edge.run(body, work)


@router.post("/{operation_id}:reject", dependencies=[Approver, NO_QUERY], responses=PROBLEMS, response_model=None)
def reject_operation(operation_id: OperationId, body: NoteBody, edge: EdgeIn) -> Response:
    """复核拒绝 Turns it down; nothing changes."""

    def work(session: Session, context: Context) -> Answer:
        return answer(200, operation_view(approvals.reject(session, context, operation_id, note=body.note or "")))

    return edge.run(body, work)


@router.post("/{operation_id}:withdraw", dependencies=[Steward, NO_QUERY], responses=PROBLEMS, response_model=None)
def withdraw_operation(operation_id: OperationId, body: NoteBody, edge: EdgeIn) -> Response:
    """撤回申请 Takes back what one has asked for oneself; nothing changes."""

    def work(session: Session, context: Context) -> Answer:
        return answer(200, operation_view(approvals.withdraw(session, context, operation_id, note=body.note or "")))

    return edge.run(body, work)
