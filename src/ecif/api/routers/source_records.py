"""Source records in real time (实时上送): what e-banking calls instead of writing a file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, SkipValidation, ValidationError
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ecif.api.bodies import SourceKey, SourceRecordBody
from ecif.api.by_hand import ByHand
from ecif.api.calls import CallHeaders, Edge, EdgeIn, answer, edge_of, now_by
from ecif.api.invalid import finding
from ecif.api.parameters import NO_QUERY, Asked, NoQuery
from ecif.api.problems import PROBLEMS, Problem, invalid
from ecif.api.security import Scoped, needs
from ecif.api.times import Moment
from ecif.api.together import Together
from ecif.api.tokens import Caller
from ecif.db import is_away, is_busy, run_transaction
from ecif.domain.records import PartyRecord
from ecif.services import source_records
from ecif.services.answers import Answer
from ecif.services.context import Call, Context, KeyDigests
from ecif.services.ingest import Fate
from ecif.services.source_records import BATCH_MAX, Delivered

_SCOPE = "records:write"
_MAY = Depends(needs(_SCOPE))

router = APIRouter(prefix="/v1/source-records", tags=["source records"])

TOGETHER_MAX = 64
"""Calls that share a transaction, at most."""

SystemCode = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]
System = Annotated[str, Path(pattern="^[a-z][a-z0-9_]{0,39}$", description="源系统")]
Key = Annotated[SourceKey, Path(description="源系统客户键")]


AHEAD = timedelta(days=1)
"""By how much a business time may be in the future: one far off would make every later word of the source mere history."""


def _fits(edge: Edge, system: str, business_time: datetime | None, place: str) -> None:
    """Whether the caller may write the system's records, as of that time.

    Raises:
        Problem: 403, he may not; 422, the time has not come.
    """
    if not edge.who.may_write(system):
        raise Problem.of("ECIF-5004", 403, detail=system)
    if business_time and business_time > edge.now() + AHEAD:
        raise Problem.of("ECIF-1001", 422, errors=[finding(place, "future_time")])


def _view(delivered: Delivered) -> dict[str, Any]:
    (system, key), place = delivered.name, delivered.place
    return {
        "system": system,
        "key": key,
        "fate": delivered.fate.value,
        "record_version": place.record_version,
        "customer_no": place.customer_no,
        "version": place.version,
    }


class _Name(BaseModel):
    system: SystemCode = Field(description="源系统")
    key: SourceKey = Field(description="源系统客户键")


class RecordPut(BaseModel):
    """All that an upsert says, by the place where it says it."""

    path: _Name
    query: NoQuery
    header: CallHeaders
    body: SourceRecordBody


_PUT = ByHand(RecordPut)


@router.put("/{system}/{key:path}", responses=PROBLEMS, openapi_extra=_PUT.contract)
async def put_source_record(request: Request, who: Annotated[Caller, Depends(Scoped(_SCOPE))]) -> Response:
    """实时上送 The system's newest word on a party; an older business time becomes history, the same again changes nothing."""
    told = _PUT.take(request, await request.body())
    edge, body, name = edge_of(request, who, told.header), told.body, told.path
    _fits(edge, name.system, body.business_time, "body.business_time")
    record = body.record(name.system, name.key)
    if edge.key is None:  # the same record again changes nothing, so that calls may share a transaction
        together: Upserts = edge.app.upserts
        return edge.answered(_put(edge, await together((record, edge.call))))

    def work(session: Session, context: Context) -> Answer:
        (delivered,) = source_records.deliver(session, context, [record])
        return _put(edge, delivered)

    return await run_in_threadpool(edge.run, body, work)


def _put(edge: Edge, delivered: Delivered) -> Answer:
    edge.decisions.append(("source_record", delivered.fate.value))
    return answer(201 if delivered.fate is Fate.CREATED else 200, _view(delivered))


Upserts = Together[tuple[PartyRecord, Call], Delivered]


def upserts(engine: Engine | None, digests: KeyDigests) -> Upserts:
    """The line of calls that bring one record each."""

    def work(sent: Sequence[tuple[PartyRecord, Call]]) -> list[Delivered]:
        assert engine is not None
        return run_transaction(engine, lambda s: source_records.deliver_together(s, now_by("upserts", digests), sent))

    return Together(work, TOGETHER_MAX, lambda error: is_busy(error) or is_away(error))


class EndQuery(Asked):
    """When the source deleted its record."""

    business_time: Moment | None = Field(None, description="源系统业务时间; 不给则为当前时间")


@router.delete("/{system}/{key:path}", dependencies=[_MAY], responses=PROBLEMS, response_model=None)
def end_source_record(system: System, key: Key, edge: EdgeIn, asked: Annotated[EndQuery, Query()]) -> Response:
    """源记录终止 Ends a record that the source has deleted; nothing is deleted here."""
    _fits(edge, system, asked.business_time, "query.business_time")

    def work(session: Session, context: Context) -> Answer:
        at = asked.business_time.astimezone(UTC) if asked.business_time else context.now
        return answer(200, _view(source_records.end(session, context, (system, key), at)))

    return edge.run(asked, work)


class NamedRecord(SourceRecordBody):
    """A source record with its name."""

    system: SystemCode
    key: SourceKey


class BatchBody(Asked):
    """Records of one or several systems."""

    records: list[SkipValidation[NamedRecord]] = Field(
        min_length=1,
        max_length=BATCH_MAX,
        description="each as in PUT, with system and key; checked one by one 每条同 PUT, 另加 system 与 key",
    )


@router.post(":batch", dependencies=[_MAY, NO_QUERY], responses=PROBLEMS, response_model=None)
def put_source_records(body: BatchBody, edge: EdgeIn) -> Response:
    """批量实时上送 Up to 500 in one transaction, with a result for each: one that is not valid does not stop the others."""
    parsed = [_parsed(given, edge, n) for n, given in enumerate(body.records)]

    def work(session: Session, context: Context) -> Answer:
        good = [record for record in parsed if isinstance(record, NamedRecord)]
        taken = source_records.deliver(session, context, [r.record(r.system, r.key) for r in good]) if good else []
        edge.decisions.extend(("source_record", each.fate.value) for each in taken)
        delivered = iter(taken)
        shown = [_view(next(delivered)) if isinstance(r, NamedRecord) else {"problem": r.body} for r in parsed]
        return answer(200, {"results": [{"index": n} | result for n, result in enumerate(shown)]})

    return edge.run(body, work)


def _parsed(given: Any, edge: Edge, n: int) -> NamedRecord | Problem:
    try:
        record = NamedRecord.model_validate(given)
        _fits(edge, record.system, record.business_time, "business_time")
    except ValidationError as error:
        return invalid([e | {"loc": ("body", "records", n, *e["loc"])} for e in error.errors()])
    except Problem as problem:
        return problem
    return record
