"""Judgements (人工裁决): what stewards say of two source records. It beats any score, and is only ever added to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy.orm import Session

from ecif.api import reading
from ecif.api.calls import EdgeIn, answer
from ecif.api.merge_bodies import JudgementBody
from ecif.api.merge_views import judgement_view
from ecif.api.parameters import NO_QUERY, JudgementsQuery
from ecif.api.problems import PROBLEMS
from ecif.api.reading import Reader, reads
from ecif.api.routers.merges import asked as waits
from ecif.api.security import needs
from ecif.services import judgements, judging, source_records
from ecif.services.answers import Answer
from ecif.services.context import Context

router = APIRouter(prefix="/v1/judgements", tags=["judgements"])

Reading = Annotated[Reader, Depends(reads("merges:read"))]


@router.post("", dependencies=[Depends(needs("merges:write")), NO_QUERY], responses=PROBLEMS, response_model=None)
def judge(body: JudgementBody, edge: EdgeIn) -> Response:
    """人工裁决 Says SAME or NOT_SAME, or takes it back: holds at once (201), or moves records and waits for another (202)."""
    one, other = (record.name for record in body.records)

    def work(session: Session, context: Context) -> Answer:
        operation = judging.judge(
            session, context, one, other, body.verdict,
            reason=body.reason, evidence=body.evidence or "", override=body.override,
        )  # fmt: skip
        if operation:
            return waits(operation)
        return answer(201, judgement_view(judgements.history(session, one, limit=1)[0]))

    return edge.run(body, work)


@router.get("", responses=PROBLEMS, response_model=None)
def list_judgements(who: Reading, asked: Annotated[JudgementsQuery, Query()]) -> Response:
    """裁决历史 All that was ever judged of a source record, newest first; ``standing`` marks what holds."""
    with who.transaction() as session:
        source_records.must_exist(session, asked.name)
        found = judgements.history(session, asked.name, before=asked.after or 2**63 - 1, limit=asked.limit + 1)
    shown = [judgement_view(row) for row in found[: asked.limit]]
    return reading.answer({"items": shown, "next_after": shown[-1]["id"] if len(found) > asked.limit else None})
