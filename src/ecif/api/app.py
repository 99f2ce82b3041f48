"""The application: what every request goes through, health, and the routes under ``/v1``."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from sqlalchemy import Engine

from ecif import __version__
from ecif.api import problems
from ecif.api.problems import PROBLEM_SCHEMA, PROBLEMS, Problem
from ecif.api.routers import customers, events
from ecif.api.tokens import Verifier
from ecif.migrate import is_current
from ecif.services.context import KeyDigests

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def create_app(engine: Engine | None, digests: KeyDigests, verifier: Verifier) -> FastAPI:
    """The application on a database; without one only its contract can be read."""
    app = FastAPIOffline(
        title="ecif", version=__version__, description="企业级客户信息系统 customer master data of a bank"
    )
    app.state.engine, app.state.digests, app.state.verifier = engine, digests, verifier
    app.state.news = events.news(engine)
    problems.install(app)

    @app.middleware("http")
    async def request_id(request: Request, call_next: Any) -> Response:
        given = request.headers.get("X-Request-Id", "")
        request.state.request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        try:
            response: Response = await call_next(request)
        except Exception as error:
            response = problems.unexpected(request, error)
        response.headers["X-Request-Id"] = request.state.request_id
        return response

    _health(app)
    app.include_router(customers.router)
    app.include_router(events.router)
    _document(app)
    return app


def _health(app: FastAPI) -> None:
    @app.get("/healthz", tags=["health"])
    def healthz() -> dict[str, str]:
        """存活检查 The process is alive."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"], responses={503: PROBLEMS[503]})
    def readyz(request: Request) -> dict[str, str]:
        """就绪检查 The database answers and has this version's schema."""
        if not is_current(request.app.state.engine):
            raise Problem.of("ECIF-9002", 503, detail="migrations")
        return {"status": "ready"}


def _document(app: FastAPI) -> None:
    """Adds the schema of problem documents, to which every route refers, and names routes by what they are for."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document["components"]["schemas"]["Problem"] = PROBLEM_SCHEMA
        for operation in (operation for path in document["paths"].values() for operation in path.values()):
            operation["summary"] = operation["description"]
        return document

    app.openapi = openapi  # type: ignore[method-assign]
