"""The application: routes under ``/v1``, health, and nothing that decides anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, FastAPI, Header, Path, Query, Request, Response
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from ecif import __version__
from ecif.api import problems
from ecif.api.problems import Problem
from ecif.api.security import Caller, needs
from ecif.api.views import SECTIONS, customer_view
from ecif.db import transaction
from ecif.domain.identifiers import IdentifierKind
from ecif.domain.masking import mask_account, mask_name
from ecif.migrate import is_current
from ecif.services import customers
from ecif.services.context import KeyDigests

CustomerNo = Annotated[
    str, Path(pattern="^[0-9]{12}$", description="客户号 customer number", examples=["100000000016"])
]
Limit = Annotated[int, Query(ge=1, le=100)]
Purpose = Annotated[str | None, Header(alias="X-Purpose", max_length=200, description="查看明文的用途")]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": what,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, what in (
        (401, "no valid token"),
        (403, "scope missing"),
        (404, "not found"),
        (422, "not valid"),
        (503, "try again"),
    )
}


def _session(request: Request) -> Iterator[Session]:
    with transaction(request.app.state.engine) as session:
        yield session


SessionIn = Annotated[Session, Depends(_session, scope="function")]
Reader = Annotated[Caller, Depends(needs("customers:read"))]
AccountReader = Annotated[Caller, Depends(needs("accounts:read"))]


def _clear(who: Caller, wanted: bool, purpose: str | None) -> bool:
    """Clear values are shown to callers with the scope who ask for them and say why."""
    if not wanted:
        return False
    if "pii:clear" not in who.scopes:
        raise Problem.of("ECIF-5003", 403, detail="pii:clear")
    if not purpose:
        raise Problem.of("ECIF-1003", 422)
    return True


def create_app(engine: Engine | None, digests: KeyDigests, token_secret: bytes) -> FastAPI:
    """The application on a database; without one only its contract can be read."""
    app = FastAPI(title="ecif", version=__version__, description="企业级客户信息系统 customer master data of a bank")
    app.state.engine, app.state.digests, app.state.token_secret = engine, digests, token_secret
    problems.install(app)

    @app.middleware("http")
    async def request_id(request: Request, call_next: Any) -> Response:
        request.state.request_id = request.headers.get("X-Request-Id", "")[:64] or uuid4().hex
        response: Response = await call_next(request)
        response.headers["X-Request-Id"] = request.state.request_id
        return response

    _health(app)
    _customers(app)
    _sections(app)
    return app


def _health(app: FastAPI) -> None:
    @app.get("/healthz", tags=["health"])
    def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"], responses={503: PROBLEMS[503]})
    def readyz(request: Request) -> dict[str, str]:
        """The database answers and has this version's schema."""
        with request.app.state.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        if not is_current(request.app.state.engine):
            raise Problem.of("ECIF-9002", 503, detail="migrations")
        return {"status": "ready"}


def _customers(app: FastAPI) -> None:
    @app.get("/v1/customers/{no}", tags=["customers"], responses=PROBLEMS)
    def get_customer(
        no: CustomerNo,
        session: SessionIn,
        who: Reader,
        response: Response,
        sections: Annotated[list[str] | None, Query(description="|".join(SECTIONS))] = None,
        provenance: bool = False,
        clear: bool = False,
        purpose: Purpose = None,
    ) -> dict[str, Any]:
        """统一视图 The golden record; a merged number answers with its survivor and says so."""
        unknown = sorted(set(sections or ()) - set(SECTIONS))
        if unknown:
            raise Problem.of("ECIF-1001", 422, errors=[{"field": "sections", "rule": f"one of {', '.join(SECTIONS)}"}])
        found = customers.resolve(session, no)
        golden = customers.golden_records(session, [found.customer_no])[0]
        response.headers["ETag"] = f'"v{golden.version}"'
        view = customer_view(
            golden.document,
            sections=sections or list(SECTIONS),
            provenance=provenance,
            clear=_clear(who, clear, purpose),
        )
        return {"requested_no": no, "redirected": found.redirected, "version": golden.version, **view}

    @app.get("/v1/customers", tags=["customers"], responses=PROBLEMS)
    def search_customers(
        request: Request,
        session: SessionIn,
        who: Reader,
        identifier: Annotated[str | None, Query(max_length=64, description="证件号码")] = None,
        identifier_kind: IdentifierKind | None = None,
        name: Annotated[str | None, Query(max_length=200, description="姓名或名称")] = None,
        phone: Annotated[str | None, Query(max_length=32, description="电话")] = None,
        account: Annotated[str | None, Query(max_length=64, description="账号")] = None,
        source_system: Annotated[str | None, Query(max_length=40)] = None,
        source_key: Annotated[str | None, Query(max_length=64)] = None,
        after: Annotated[str, Query(max_length=12, description="last customer number of the page before")] = "",
        limit: Limit = 20,
    ) -> dict[str, Any]:
        """查询客户 Customers that meet every criterion given, by index look-ups only."""
        criteria = customers.search_keys(
            identifier=identifier or "", kind=identifier_kind, name=name or "", phone=phone or "", account=account or ""
        )
        if source_system and source_key:
            nos = customers.find_by_source(session, source_system, source_key, after=after, limit=limit)
        elif criteria:
            nos = customers.find(session, request.app.state.digests, criteria, after=after, limit=limit)
        else:
            raise Problem.of("ECIF-1002", 422)
        shown = [
            customer_view(g.document, sections=["fields"], provenance=False, clear=False)
            for g in customers.golden_records(session, nos)
        ]
        return {"items": shown, "next_after": nos[-1] if len(nos) == limit else None}


def _sections(app: FastAPI) -> None:
    @app.get("/v1/customers/{no}/accounts", tags=["customers"], responses=PROBLEMS)
    def get_accounts(
        no: CustomerNo,
        session: SessionIn,
        who: AccountReader,
        clear: bool = False,
        purpose: Purpose = None,
        offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """账户索引 Accounts over all source records."""
        live, show = customers.resolve(session, no).customer_no, _clear(who, clear, purpose)
        rows = customers.accounts(session, live, offset=offset, limit=limit)
        items = [r._asdict() | {"number": r.number if show else mask_account(r.number)} for r in rows]
        return {"customer_no": live, "items": items, "next_offset": offset + limit if len(items) == limit else None}

    @app.get("/v1/customers/{no}/sources", tags=["customers"], responses=PROBLEMS)
    def get_sources(
        no: CustomerNo,
        session: SessionIn,
        who: Reader,
        after_system: Annotated[str, Query(max_length=40)] = "",
        after_key: Annotated[str, Query(max_length=64)] = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """交叉索引 Source records, each with the rule that brought it here."""
        live = customers.resolve(session, no).customer_no
        rows = customers.sources(session, live, after=(after_system, after_key), limit=limit)
        return {"customer_no": live, "items": [r._asdict() for r in rows]}

    @app.get("/v1/customers/{no}/lineage", tags=["customers"], responses=PROBLEMS)
    def get_lineage(
        no: CustomerNo, session: SessionIn, who: Reader, clear: bool = False, purpose: Purpose = None
    ) -> dict[str, Any]:
        """血缘 Where every value comes from, what lost to it, and why."""
        live = customers.resolve(session, no).customer_no
        golden = customers.golden_records(session, [live])[0]
        return customer_view(
            golden.document, sections=list(SECTIONS), provenance=True, clear=_clear(who, clear, purpose)
        )

    @app.get("/v1/customers/{no}/history", tags=["customers"], responses=PROBLEMS)
    def get_history(
        no: CustomerNo,
        session: SessionIn,
        who: Reader,
        before: Annotated[int, Query(ge=1, le=2**31 - 1)] = 2**31 - 1,
        limit: Limit = 20,
    ) -> dict[str, Any]:
        """历史版本 Versions of the golden record, newest first, masked."""
        import orjson

        live = customers.resolve(session, no).customer_no
        rows = customers.history(session, live, before=before, limit=limit)
        items = [
            {
                "version": r.version,
                "recorded_at": r.recorded_at.isoformat(),
                "record": customer_view(
                    orjson.loads(r.document), sections=list(SECTIONS), provenance=False, clear=False
                ),
            }
            for r in rows
        ]
        return {"customer_no": live, "items": items}

    @app.get("/v1/customers/{no}/relations", tags=["customers"], responses=PROBLEMS)
    def get_relations(no: CustomerNo, session: SessionIn, who: Reader) -> dict[str, Any]:
        """客户间关系 Whom the customer's records name, with the number where that is a customer too."""
        live = customers.resolve(session, no).customer_no
        rows = customers.relations(session, live)
        return {"customer_no": live, "items": [r._asdict() | {"name": mask_name(r.name)} for r in rows]}
