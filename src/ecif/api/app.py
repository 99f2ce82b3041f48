"""The application: what every request goes through, and the routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from ecif import __version__
from ecif.api import refusals as refusals
from ecif.api.document import complete
from ecif.api.metrics import Meters
from ecif.api.middleware import front
from ecif.api.problems import framework_error
from ecif.api.routers import (
    codes,
    customers,
    events,
    health,
    judgements,
    maintenance,
    merge_reviews,
    merges,
    opening,
    operations,
    source_records,
)
from ecif.api.tokens import Verifier
from ecif.db import THREADS, Readers
from ecif.services.context import KeyDigests


def create_app(engine: Engine | None, digests: KeyDigests, verifier: Verifier, *, home: Path = Path()) -> FastAPI:
    """The application on a database; without one only its contract can be read.

    Args:
        home: a folder whose disk must have room for the service to be ready.
    """
    meters = Meters(engine)
    app = FastAPIOffline(
        title="ecif",
        version=__version__,
        description="企业级客户信息系统 customer master data of a bank",
        generate_unique_id_function=lambda route: route.name,
        middleware=[Middleware(front, meters)],
        exception_handlers={HTTPException: framework_error, RequestValidationError: framework_error},
        lifespan=_resources,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # paths and queries name people
    )
    app.state.engine, app.state.digests, app.state.verifier = engine, digests, verifier
    app.state.home, app.state.meters, app.state.beside = home, meters, CapacityLimiter(health.THREADS)
    app.state.upserts = source_records.upserts(engine, digests)
    app.state.news = events.news(engine)
    for router in (
        customers.router,  # the most frequent call is looked for first
        health.router,
        opening.router,
        maintenance.router,
        source_records.router,
        events.router,
        codes.router,
        merges.router,
        operations.router,
        judgements.router,
        merge_reviews.router,
    ):
        app.include_router(router)
    _document(app)
    return app


@asynccontextmanager
async def _resources(app: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    app.state.readers = Readers(app.state.engine)
    yield
    await app.state.readers.close()


def _document(app: FastAPI) -> None:
    """The contract, completed, and made once."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(plain())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
