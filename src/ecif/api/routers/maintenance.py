"""Changes of a customer: patches, decisions on his status, and the requests that wait for a second person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy.orm import Session

from ecif.api import reading
from ecif.api.bodies import DeceasedBody, NoteBody, PatchBody, StatusBody
from ecif.api.calls import EdgeIn, NoRedirect, answer, must_be_live
from ecif.api.etags import etag
from ecif.api.parameters import NO_QUERY, CustomerNo, RequestsQuery, View
from ecif.api.problems import PROBLEMS
from ecif.api.reading import Reader, reads
from ecif.api.security import needs
from ecif.api.tokens import Caller
from ecif.api.views import SECTIONS, clear_fields, request_view
from ecif.services import change_requests, maintenance
from ecif.services.answers import Answer
from ecif.services.change_requests import Request as Asked
from ecif.services.change_requests import RequestStatus
from ecif.services.context import Context
from ecif.services.maintenance import Changed

router = APIRouter(prefix="/v1", tags=["maintenance"])
Writer = Depends(needs("customers:write"))
Checker = Annotated[Reader, Depends(reads("changes:approve"))]
Approver = Annotated[Caller, Depends(needs("changes:approve"))]
RequestId = Annotated[int, Path(ge=1, le=2**63 - 1, description="复核申请号")]


def _changed(changed: Changed, no_redirect: bool = False) -> Answer:
    if no_redirect:
        must_be_live(changed.requested_no, changed.customer_no)
    shown: dict[str, Any] = {
        "requested_no": changed.requested_no,
        "customer_no": changed.customer_no,
        "redirected": changed.requested_no != changed.customer_no,
        "version": changed.version,
        "changed": changed.changed,
        "not_applied": [
            {"field": n.field, "reason": n.reason, "system": n.system, "key": n.key} for n in changed.not_applied
        ],
    }
    if changed.request is not None:
        waits = {"change_request": changed.request, "status": RequestStatus.PENDING.value}
        return answer(202, shown | waits, Location=f"/v1/change-requests/{changed.request}")
    return answer(200, shown, ETag=etag(changed.version))


@router.patch("/customers/{no}", dependencies=[Writer, NO_QUERY], responses=PROBLEMS, response_model=None)
def change_customer(no: CustomerNo, body: PatchBody, edge: EdgeIn, no_redirect: NoRedirect = False) -> Response:
    """修改客户 Changes what the channel says of a customer; key identity waits for a second person (202)."""
    expected = edge.must_expect()

    def work(session: Session, context: Context) -> Answer:
        changed = maintenance.change(
            session, context, no, body.patch(), body.fields,
            expected=expected, reason=body.reason, evidence=body.evidence or "",
        )  # fmt: skip
        return _changed(changed, no_redirect)

    return edge.run(body, work)


@router.post("/customers/{no}:close", dependencies=[Writer, NO_QUERY], responses=PROBLEMS, response_model=None)
def close_customer(no: CustomerNo, body: StatusBody, edge: EdgeIn, no_redirect: NoRedirect = False) -> Response:
    """客户销户 Closes a customer as a whole, unless something is still open; the number stays for ever."""
    return _decide(maintenance.close, no, body, edge, no_redirect)


@router.post("/customers/{no}:restrict", dependencies=[Writer, NO_QUERY], responses=PROBLEMS, response_model=None)
def restrict_customer(no: CustomerNo, body: StatusBody, edge: EdgeIn, no_redirect: NoRedirect = False) -> Response:
    """限制处理 Keeps a customer from all use but being kept, until he is reactivated."""
    return _decide(maintenance.restrict, no, body, edge, no_redirect)


@router.post("/customers/{no}:mark-deceased", dependencies=[Writer, NO_QUERY], responses=PROBLEMS, response_model=None)
def mark_customer_deceased(
    no: CustomerNo, body: DeceasedBody, edge: EdgeIn, no_redirect: NoRedirect = False
) -> Response:
    """客户死亡 Says that a customer has died, and when; by a reactivation it is taken back."""
    return _decide(
        maintenance.mark_deceased, no, body, edge, no_redirect, deceased_on=body.deceased_on, evidence=body.evidence
    )


@router.post("/customers/{no}:reactivate", dependencies=[Writer, NO_QUERY], responses=PROBLEMS, response_model=None)
def reactivate_customer(no: CustomerNo, body: StatusBody, edge: EdgeIn, no_redirect: NoRedirect = False) -> Response:
    """重新激活 Lifts a closing, a restriction or a mark of death, under the same number."""
    return _decide(maintenance.reactivate, no, body, edge, no_redirect)


def _decide(
    act: Callable[..., Changed], no: str, body: StatusBody, edge: EdgeIn, no_redirect: bool, **said: Any
) -> Response:
    """What is decided of a customer's status, answered."""

    def work(session: Session, context: Context) -> Answer:
        return _changed(act(session, context, no, expected=edge.expected(), reason=body.reason, **said), no_redirect)

    return edge.run(body, work)


@router.get("/change-requests", responses=PROBLEMS, response_model=None)
def list_change_requests(who: Checker, asked: Annotated[RequestsQuery, Query()]) -> Response:
    """复核申请 Changes that wait for a second person, or waited."""
    clear = who.clear(asked.clear)
    with who.transaction() as session:
        found = change_requests.listing(
            session, asked.status, customer_no=asked.customer_no, after=asked.after, limit=asked.limit + 1
        )
        shown = _shown(session, who, found[: asked.limit], clear)
    return reading.answer({"items": shown, "next_after": shown[-1]["id"] if len(found) > asked.limit else None})


@router.get("/change-requests/{request_id}", responses=PROBLEMS, response_model=None)
def get_change_request(request_id: RequestId, who: Checker, asked: Annotated[View, Query()]) -> Response:
    """复核申请 One of them."""
    clear = who.clear(asked.clear)
    with who.transaction() as session:
        (shown,) = _shown(session, who, [change_requests.get(session, request_id)], clear)
    return reading.answer(shown)


def _shown(session: Session, who: Reader, found: Sequence[Asked], clear: Collection[str]) -> list[dict[str, Any]]:
    """The requests as the checker may see them; on record, where he sees what they would write."""
    fields = {f for request in found for f in request.touched} & set(clear_fields(SECTIONS, clear))
    who.log(session, (request.row.customer_no for request in found), fields)
    return [request_view(request, clear) for request in found]


@router.post("/change-requests/{request_id}:approve", dependencies=[NO_QUERY], responses=PROBLEMS, response_model=None)
def approve_change(request_id: RequestId, who: Approver, body: NoteBody, edge: EdgeIn) -> Response:
    """复核通过 Carries out what another person asked for; the customer is matched again."""

    def work(session: Session, context: Context) -> Answer:
        return _changed(maintenance.approve(session, context, request_id, note=body.note or ""))

    return edge.run(body, work)


@router.post("/change-requests/{request_id}:reject", dependencies=[NO_QUERY], responses=PROBLEMS, response_model=None)
def reject_change(request_id: RequestId, who: Approver, body: NoteBody, edge: EdgeIn) -> Response:
    """复核拒绝 Turns it down; nothing changes."""

    def work(session: Session, context: Context) -> Answer:
        maintenance.reject(session, context, request_id, note=body.note or "")
        return answer(200, {"change_request": request_id, "status": RequestStatus.REJECTED.value})

    return edge.run(body, work)
