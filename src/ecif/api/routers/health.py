"""Whether the process lives, whether it can work, and how it does: for those who keep it running, without a token."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from shutil import disk_usage
from typing import Any, TypeVar

import psycopg
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ecif.api.problems import PROBLEMS, Problem
from ecif.db import transaction
from ecif.migrate import is_current
from ecif.services.figures import figures

THREADS = 2
"""Threads of their own, so that a service whose threads all hang still says so."""
DISK_BYTES_MIN = 256 * 1024 * 1024
"""Free room below which a service should get no more work: the database's log of changes grows by as much in minutes."""

T = TypeVar("T")
Check = dict[str, Any]

_AWAY = ("数据库不可用", "the database does not answer")
_UNLIKE = ("数据库结构与程序版本不符, 请运行 ecif migrate", "the schema is of another version: run ecif migrate")
_FULL = ("磁盘空间不足", "the disk has too little room")

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """存活检查 The process is alive."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: PROBLEMS[503]})
async def readyz(request: Request) -> dict[str, Any]:
    """就绪检查 The database answers and has this version's schema, and there is room on the disk."""
    state = request.app.state
    checks = await _beside(request, lambda: _checks(state.engine, state.home))
    if not all(check["ok"] for check in checks.values()):
        raise Problem.of("ECIF-9005", 503, checks=checks)
    return {"status": "ready", "checks": checks}


def _checks(engine: Engine, home: Path) -> dict[str, Check]:
    current = _attempt(lambda: is_current(engine))
    full = disk_usage(home).free < DISK_BYTES_MIN
    wrong = {
        "database": _AWAY if current is None else None,
        "migrations": None if current else _UNLIKE,
        "disk": _FULL if full else None,
    }
    return {
        name: {"ok": False, "message_zh": told[0], "message_en": told[1]} if told else {"ok": True}
        for name, told in wrong.items()
    }


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """运行指标 Figures in the text format of Prometheus; of this process, where several serve."""
    state = request.app.state
    now = datetime.now(UTC)

    def read() -> dict[str, float]:
        with transaction(state.engine) as session:
            return figures(session, now)

    text = await _beside(request, lambda: state.meters.text(_attempt(read)))
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _beside(request: Request, work: Callable[[], T]) -> T:
    return await run_sync(work, limiter=request.app.state.beside)


def _attempt(work: Callable[[], T]) -> T | None:
    """What the database answers, or nothing."""
    try:
        return work()
    except (SQLAlchemyError, psycopg.Error):
        return None
