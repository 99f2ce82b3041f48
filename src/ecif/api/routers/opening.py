"""Is this person our customer, and give me the number: the existence check, and opening."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Response
from sqlalchemy.orm import Session

from ecif.api.bodies import ExistsBody, OpenBody, related
from ecif.api.calls import EdgeIn, answer, now_by
from ecif.api.etags import etag
from ecif.api.existing import found_view
from ecif.api.invalid import finding
from ecif.api.parameters import NO_QUERY
from ecif.api.problems import PROBLEMS, Problem
from ecif.api.security import needs
from ecif.db import reading
from ecif.domain.channels import CHANNELS, system_of
from ecif.domain.records import PartyRecord
from ecif.services import check_answers
from ecif.services.answers import Answer
from ecif.services.check_answers import Check
from ecif.services.context import Call, Context
from ecif.services.existence import check
from ecif.services.maintenance import OWN_KEY
from ecif.services.opening import Opened, OpeningRefused, open_customer

router = APIRouter(prefix="/v1/customers", tags=["opening"])


@router.post(
    ":exists", dependencies=[Depends(needs("customers:check")), NO_QUERY], responses=PROBLEMS, response_model=None
)
def check_existence(body: ExistsBody, edge: EdgeIn) -> Response:
    """客户存在性检查 Whether this party is a customer, and what to do. It guarantees nothing: opening checks again."""
    context = now_by(edge.call.caller, edge.app.digests, edge.call)
    with reading(edge.app.engine) as connection:
        found = check(connection, context, body.record(context.now), body.mode)
        check_answers.keep(connection, context, Check.EXISTENCE, found.result, found.told)
    edge.decisions.append(("existence", found.result.value))
    return edge.answered(answer(200, found_view(found, context.day)))


@router.post("", dependencies=[Depends(needs("customers:open")), NO_QUERY], responses=PROBLEMS, response_model=None)
def open_new_customer(body: OpenBody, edge: EdgeIn) -> Response:
    """开立客户 Opens a customer and gives the number; for one who exists, with on_exists=return, the number he has."""
    channel = CHANNELS[edge.call.channel]
    verdicts = {v.customer_no: v.same for v in body.suspects}
    if verdicts and not channel.confirms:
        raise Problem.of("ECIF-5006", 403, errors=[finding("body.suspects", "not_confirming_channel")])
    key = body.source_key or f"{OWN_KEY}{uuid4().hex}"

    def work(session: Session, context: Context) -> Answer:
        opened = open_customer(
            session,
            context,
            _record(body, edge.call, context, key),
            profile=channel.profile,
            verdicts=verdicts,
            return_existing=body.on_exists == "return",
            reason=body.reason or "",
        )
        edge.decisions.append(("opening", "CREATED" if opened.created else opened.found.result.value))
        if not opened.created:
            check_answers.keep(session, context, Check.EXISTENCE, opened.found.result, opened.found.told)
        return _opened(opened, context)

    try:
        return edge.run(body, work)
    except OpeningRefused as refused:  # whose transaction is no more
        context = now_by(edge.call.caller, edge.app.digests, edge.call)
        with reading(edge.app.engine) as connection:
            check_answers.keep(connection, context, Check.EXISTENCE, refused.found.result, refused.found.told)
        raise


def _record(body: OpenBody, call: Call, context: Context, key: str) -> PartyRecord:
    return PartyRecord(
        system_of(call.channel),
        key,
        body.party_type,
        context.now.astimezone(UTC),
        **body.facts(),
        related=tuple(map(related, body.related)),
        branch=call.branch,
        opened_on=context.day,
    )


def _opened(opened: Opened, context: Context) -> Answer:
    shown: dict[str, Any] = {"customer_no": opened.customer_no, "version": opened.version, "created": opened.created}
    if not opened.created:
        shown |= found_view(opened.found, context.day) | shown
    headers = {"ETag": etag(opened.version), "Location": f"/v1/customers/{opened.customer_no}"}
    return answer(201 if opened.created else 200, shown, **headers)
