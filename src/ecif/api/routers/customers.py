"""The unified record and what stands behind it, under ``/v1/customers``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.orm import Session

from ecif.api.parameters import (
    CustomerNo,
    CustomerQuery,
    HistoryQuery,
    PartsQuery,
    Purpose,
    SearchQuery,
    SourcesQuery,
    View,
)
from ecif.api.problems import PROBLEMS, Problem
from ecif.api.security import needs
from ecif.api.tokens import Caller
from ecif.api.views import SECTIONS, customer_view
from ecif.db import transaction
from ecif.domain.masking import mask_account, mask_name
from ecif.services import customers
from ecif.services.customers import Golden, Resolved


def _session(request: Request) -> Iterator[Session]:
    with transaction(request.app.state.engine) as session:
        yield session


SessionIn = Annotated[Session, Depends(_session, scope="function")]
Reader = Annotated[Caller, Depends(needs("customers:read"))]
AccountReader = Annotated[Caller, Depends(needs("accounts:read"))]

Item = dict[str, Any]

router = APIRouter(prefix="/v1/customers", tags=["customers"])


def _page(found: Resolved, items: list[Item], limit: int, place: Callable[[Item], str]) -> Item:
    """A page of a list of which one item more than the page holds was read, to know whether another page follows."""
    shown = items[:limit]
    return _head(found) | {"items": shown, "next_after": place(shown[-1]) if len(items) > limit else None}


def _head(found: Resolved) -> Item:
    return {"requested_no": found.requested_no, "customer_no": found.customer_no, "redirected": found.redirected}


def _golden(session: Session, no: str, response: Response) -> tuple[Resolved, Golden]:
    found = customers.resolve(session, no)
    (golden,) = customers.golden_records(session, [found.customer_no])
    response.headers["ETag"] = f'"v{golden.version}"'
    return found, golden


@router.get("", responses={status: PROBLEMS[status] for status in (401, 403, 422, 503)})
def search_customers(
    request: Request, session: SessionIn, who: Reader, asked: Annotated[SearchQuery, Query()], purpose: Purpose = None
) -> Item:
    """查询客户 Customers that meet every criterion given, by index look-ups only."""
    criteria = customers.search_keys(
        identifier=asked.identifier or "",
        kind=asked.identifier_kind,
        name=asked.name or "",
        phone=asked.phone or "",
        account=asked.account or "",
    )
    if not (criteria or asked.source):
        raise Problem.of("ECIF-1002", 422)
    clear = asked.shows_clear(who, purpose)
    nos = customers.find(
        session,
        request.app.state.digests,
        criteria,
        source=asked.source,
        after=asked.after,
        limit=asked.limit + 1,
    )
    shown = nos[: asked.limit]
    items = [
        customer_view(golden.document, sections=["fields"], provenance=False, clear=clear)
        for golden in customers.golden_records(session, shown)
    ]
    return {"items": items, "next_after": shown[-1] if len(nos) > asked.limit else None}


@router.get("/{no}", responses=PROBLEMS)
def get_customer(
    no: CustomerNo,
    session: SessionIn,
    who: Reader,
    response: Response,
    asked: Annotated[CustomerQuery, Query()],
    purpose: Purpose = None,
) -> Item:
    """统一视图 The golden record; a merged number answers with its survivor and says so."""
    clear = asked.shows_clear(who, purpose)
    found, golden = _golden(session, no, response)
    sections = list(dict.fromkeys(map(str, asked.sections)))
    view = customer_view(golden.document, sections=sections, provenance=asked.provenance, clear=clear)
    return _head(found) | {"version": golden.version} | view


@router.get("/{no}/lineage", responses=PROBLEMS)
def get_lineage(
    no: CustomerNo,
    session: SessionIn,
    who: Reader,
    response: Response,
    asked: Annotated[View, Query()],
    purpose: Purpose = None,
) -> Item:
    """血缘 Where every value comes from, what lost to it, and why."""
    clear = asked.shows_clear(who, purpose)
    found, golden = _golden(session, no, response)
    view = customer_view(golden.document, sections=list(SECTIONS), provenance=True, clear=clear)
    return _head(found) | {"version": golden.version} | view


@router.get("/{no}/accounts", responses=PROBLEMS)
def get_accounts(
    no: CustomerNo,
    session: SessionIn,
    who: AccountReader,
    asked: Annotated[PartsQuery, Query()],
    purpose: Purpose = None,
) -> Item:
    """账户索引 Accounts over all source records."""
    clear = asked.shows_clear(who, purpose)
    found = customers.resolve(session, no)
    rows = customers.accounts(session, found.customer_no, after=asked.place, limit=asked.limit + 1)
    items = [r._asdict() | {"number": r.number if clear else mask_account(r.number)} for r in rows]
    return _page(found, items, asked.limit, _part)


@router.get("/{no}/relations", responses=PROBLEMS)
def get_relations(
    no: CustomerNo,
    session: SessionIn,
    who: Reader,
    asked: Annotated[PartsQuery, Query()],
    purpose: Purpose = None,
) -> Item:
    """客户间关系 Whom the customer's records name, with the numbers of those who are customers too."""
    clear = asked.shows_clear(who, purpose)
    found = customers.resolve(session, no)
    rows = customers.relations(session, found.customer_no, after=asked.place, limit=asked.limit + 1)
    items = [r._asdict() | {"name": r.name if clear else mask_name(r.name)} for r in rows]
    return _page(found, items, asked.limit, _part)


def _part(item: Item) -> str:
    return f"{item['system']}:{item['key']}:{item['position']}"


@router.get("/{no}/sources", responses=PROBLEMS)
def get_sources(no: CustomerNo, session: SessionIn, who: Reader, asked: Annotated[SourcesQuery, Query()]) -> Item:
    """交叉索引 Source records, each with the rule that brought it here."""
    found = customers.resolve(session, no)
    rows = customers.sources(session, found.customer_no, after=asked.place, limit=asked.limit + 1)
    return _page(found, [r._asdict() for r in rows], asked.limit, lambda item: f"{item['system']}:{item['key']}")


@router.get("/{no}/history", responses=PROBLEMS)
def get_history(
    no: CustomerNo,
    session: SessionIn,
    who: Reader,
    asked: Annotated[HistoryQuery, Query()],
    purpose: Purpose = None,
) -> Item:
    """历史版本 Versions of the golden record and of those merged into it, newest first."""
    clear = asked.shows_clear(who, purpose)
    found = customers.resolve(session, no)
    rows = customers.history(session, found.customer_no, after=asked.place, limit=asked.limit + 1)
    items = [
        {
            "customer_no": row.customer_no,
            "version": row.version,
            "recorded_at": row.recorded_at,
            "record": customer_view(orjson.loads(row.document), sections=list(SECTIONS), provenance=False, clear=clear),
        }
        for row in rows
    ]
    return _page(found, items, asked.limit, lambda item: f"{item['customer_no']}:{item['version']}")
