"""The unified record and what stands behind it, under ``/v1/customers``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from ecif.api.by_hand import ByHand
from ecif.api.etags import etag, named
from ecif.api.parameters import (
    BatchQuery,
    CustomerNo,
    CustomerRead,
    HistoryQuery,
    PartsQuery,
    SearchQuery,
    SourcesQuery,
    View,
)
from ecif.api.problems import PROBLEMS, Problem
from ecif.api.reading import PERSONAL, Reader, answer, reader_of, reads
from ecif.api.security import Scoped
from ecif.api.tokens import Caller
from ecif.api.views import SECTIONS, clear_fields, customer_view
from ecif.domain.masking import FieldClass, mask_account, mask_name
from ecif.services import customers
from ecif.services.customers import Golden, Resolved
from ecif.services.past import golden_as_of, golden_valid_at

Reading = Annotated[Reader, Depends(reads("customers:read"))]
AccountReading = Annotated[Reader, Depends(reads("accounts:read"))]

Item = dict[str, Any]

router = APIRouter(prefix="/v1/customers", tags=["customers"])

_READ = ByHand(CustomerRead)
_OF_MANY: dict[int | str, Item] = {status: PROBLEMS[status] for status in (401, 403, 422, 503)}
_NOT_MODIFIED: dict[int | str, Item] = {304: {"description": "the version named by If-None-Match is the current one"}}


def _page(found: Resolved, items: list[Item], limit: int, place: Callable[[Item], str]) -> Response:
    """A page of a list of which one item more than the page holds was read, to know whether another page follows."""
    shown = items[:limit]
    return answer(_head(found) | {"items": shown, "next_after": place(shown[-1]) if len(items) > limit else None})


def _head(found: Resolved) -> Item:
    return {"requested_no": found.requested_no, "customer_no": found.customer_no, "redirected": found.redirected}


@router.get("", responses=_OF_MANY)
def search_customers(request: Request, who: Reading, asked: Annotated[SearchQuery, Query()]) -> Response:
    """查询客户 Customers that meet every criterion given, by index look-ups only."""
    if asked.account and "accounts:read" not in who.caller.scopes:
        raise Problem.of("ECIF-5003", 403, detail="accounts:read")
    criteria = customers.search_keys(
        identifier=asked.identifier or "",
        kind=asked.identifier_kind,
        name=asked.name or "",
        phone=asked.phone or "",
        account=asked.account or "",
    )
    if not (criteria or asked.source):
        raise Problem.of("ECIF-1002", 422)
    clear = who.clear(asked.clear)
    digests, source, limit = request.app.state.digests, asked.source, asked.limit
    with who.transaction() as session:
        nos = customers.find(session, digests, criteria, source=source, after=asked.after, limit=limit + 1)
        shown = nos[:limit]
        found = customers.golden_records(session, shown)
        if found:
            who.log(session, found, clear_fields(["fields"], clear))
    items = [customer_view(found[no].document, sections=["fields"], clear=clear) for no in shown]
    return answer({"items": items, "next_after": shown[-1] if len(nos) > limit else None})


@router.get(":batch", responses=_OF_MANY)
def get_customers(who: Reading, asked: Annotated[BatchQuery, Query()]) -> Response:
    """批量读取 Golden records of up to a hundred numbers, in the order asked; numbers never issued are named apart."""
    clear = who.clear(asked.clear)
    with who.transaction() as session:
        found = customers.golden_records(session, asked.no)
        if found:
            who.log(session, (golden.customer_no for golden in found.values()), clear_fields(asked.sections, clear))
    items = [_shown(found[no], asked.sections, asked.provenance, clear) for no in asked.no if no in found]
    return answer({"items": items, "missing": [no for no in asked.no if no not in found]})


def _shown(golden: Golden, sections: Iterable[str], provenance: bool, clear: Collection[str]) -> Item:
    version = {"version": golden.version} if golden.version else {}
    view = customer_view(golden.document, sections=sections, provenance=provenance, clear=clear)
    return _head(golden) | version | view


def _held(who: Reader, golden: Golden) -> bool:
    """Whether the caller has this version already. A merged number can come to lead elsewhere, to the same version of another."""
    return golden.version > 0 and not golden.redirected and named(who.known, golden.version)


def _answer(who: Reader, golden: Golden, clear: Collection[str], sections: Iterable[str], provenance: bool) -> Response:
    headers = {"ETag": etag(golden.version)} if golden.version else {}
    if _held(who, golden):
        return Response(status_code=304, headers=PERSONAL | headers)
    if golden.redirected:
        headers["Cache-Control"] = "no-store"
    return answer(_shown(golden, sections, provenance, clear), headers)


def _logged(who: Reader, clear: Collection[str], sections: Iterable[str], read: Callable[[Session], Golden]) -> Golden:
    """A golden record that is about to be shown, which is written down as far as it is clear."""
    with who.transaction() as session:
        golden = read(session)
        if not _held(who, golden):
            who.log(session, [golden.customer_no], clear_fields(sections, clear))
    return golden


@router.get("/{no}", responses=PROBLEMS | _NOT_MODIFIED, openapi_extra=_READ.contract)
async def get_customer(request: Request, caller: Annotated[Caller, Depends(Scoped("customers:read"))]) -> Response:
    """统一视图 The golden record, of now or of another time; a merged number answers with its survivor and says so."""
    told = _READ.take(request)
    no, asked, who = told.path.no, told.query, reader_of(request, caller, told.header)
    clear = who.clear(asked.clear)

    def read(session: Session) -> Golden:
        if asked.valid_at:
            return golden_valid_at(session, no, asked.valid_at, asked.as_of)
        return golden_as_of(session, no, asked.as_of) if asked.as_of else customers.golden(session, no)

    if clear or asked.as_of or asked.valid_at:
        golden = await run_in_threadpool(_logged, who, clear, asked.sections, read)
    else:
        async with who.alone() as connection:
            golden = await customers.golden_alone(connection, no)
    return _answer(who, golden, clear, asked.sections, asked.provenance)


@router.get("/{no}/lineage", responses=PROBLEMS | _NOT_MODIFIED)
def get_lineage(no: CustomerNo, who: Reading, asked: Annotated[View, Query()]) -> Response:
    """血缘 Where every value comes from, what lost to it, and why."""
    clear = who.clear(asked.clear)
    golden = _logged(who, clear, SECTIONS, lambda session: customers.golden(session, no))
    return _answer(who, golden, clear, SECTIONS, True)


@router.get("/{no}/accounts", responses=PROBLEMS)
def get_accounts(no: CustomerNo, who: AccountReading, asked: Annotated[PartsQuery, Query()]) -> Response:
    """账户索引 Accounts over all source records."""
    clear = FieldClass.ACCOUNT in who.clear(asked.clear)
    with who.transaction() as session:
        found = customers.resolve(session, no)
        rows = customers.accounts(session, found.customer_no, after=asked.place, limit=asked.limit + 1)
        who.log(session, [found.customer_no], ["accounts"] if clear else [])
    items = [r._asdict() | {"number": r.number if clear else mask_account(r.number)} for r in rows]
    return _page(found, items, asked.limit, _part)


@router.get("/{no}/relations", responses=PROBLEMS)
def get_relations(no: CustomerNo, who: Reading, asked: Annotated[PartsQuery, Query()]) -> Response:
    """客户间关系 Whom the customer's records name, each once and never himself, with the numbers of those who are customers."""
    clear = FieldClass.IDENTITY in who.clear(asked.clear)
    with who.transaction() as session:
        found = customers.resolve(session, no)
        rows = customers.relations(session, found.customer_no, after=asked.place, limit=asked.limit + 1)
        who.log(session, [found.customer_no], ["relations"] if clear else [])
    items = [r._asdict() | {"name": r.name if clear else mask_name(r.name)} for r in rows]
    return _page(found, items, asked.limit, _part)


def _part(item: Item) -> str:
    return f"{item['system']}:{item['key']}:{item['position']}"


@router.get("/{no}/sources", responses=PROBLEMS)
def get_sources(no: CustomerNo, who: Reading, asked: Annotated[SourcesQuery, Query()]) -> Response:
    """交叉索引 Source records, each with the rule that brought it here."""
    with who.transaction() as session:
        found = customers.resolve(session, no)
        rows = customers.sources(session, found.customer_no, after=asked.place, limit=asked.limit + 1)
    return _page(found, [r._asdict() for r in rows], asked.limit, lambda item: f"{item['system']}:{item['key']}")


@router.get("/{no}/history", responses=PROBLEMS)
def get_history(no: CustomerNo, who: Reading, asked: Annotated[HistoryQuery, Query()]) -> Response:
    """历史版本 Versions of the golden record and of those merged into it, newest first, and who changed what why."""
    clear = who.clear(asked.clear)
    with who.transaction() as session:
        found = customers.resolve(session, no)
        rows = customers.history(session, found.customer_no, after=asked.place, limit=asked.limit + 1)
        shown = (found.customer_no, *(row.customer_no for row in rows[: asked.limit]))
        who.log(session, shown, clear_fields(SECTIONS, clear))
    items = [
        {
            "customer_no": row.customer_no,
            "version": row.version,
            "recorded_at": row.recorded_at,
            "change": row.change,
            "record": customer_view(orjson.loads(row.document), clear=clear),
        }
        for row in rows
    ]
    return _page(found, items, asked.limit, lambda item: f"{item['customer_no']}:{item['version']}")
