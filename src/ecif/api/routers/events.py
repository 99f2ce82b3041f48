"""Change events (变更事件) by a durable cursor, under ``/v1/events``."""

from __future__ import annotations

from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Engine

from ecif.api.invalid import finding
from ecif.api.news import News, TooManyWait
from ecif.api.parameters import EventsQuery
from ecif.api.problems import PROBLEMS, Problem
from ecif.api.security import needs
from ecif.api.tokens import Caller
from ecif.db import transaction
from ecif.services import events
from ecif.services.events import NoSuchPosition, Page

Reader = Annotated[Caller, Depends(needs("events:read"))]

router = APIRouter(prefix="/v1/events", tags=["events"])


def news(engine: Engine | None) -> News:
    """What waiting readers ask."""

    def look() -> int:
        assert engine is not None
        with transaction(engine) as session:
            events.place(session)
            return events.newest(session)

    return News(look)


@router.get("", responses={status: PROBLEMS[status] for status in (401, 403, 422, 503)})
async def read_events(request: Request, who: Reader, asked: Annotated[EventsQuery, Query()]) -> dict[str, Any]:
    """变更事件 Events after a cursor, each once and in order; with wait_s the answer waits for the first."""
    state, after, deadline = request.app.state, asked.after, monotonic() + asked.wait_s
    try:
        while True:
            page = await run_in_threadpool(_page, state.engine, asked, after)
            after = page.next_after
            with state.meters.resting():
                done = page.items or page.more or not await state.news.beyond(after, deadline, request.is_disconnected)
            if done:
                return {"items": page.items, "next_after": page.next_after, "more": page.more}
    except NoSuchPosition as error:
        raise Problem.of("ECIF-1001", 422, errors=[finding("query.after", "beyond_every_event")]) from error
    except TooManyWait as error:
        raise Problem.of("ECIF-9003", 503) from error


def _page(engine: Engine, asked: EventsQuery, after: int) -> Page:
    with transaction(engine) as session:
        events.place(session)
        return events.read(session, after, asked.limit, asked.types, asked.customer_no)
