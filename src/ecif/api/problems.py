"""Problem documents (RFC 9457) in two languages: every error of the API is one of this table."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from ecif.db import is_away
from ecif.services.customers import CustomerNotFound

_log = logging.getLogger("ecif.api")

MESSAGES: dict[str, tuple[str, str]] = {
    "ECIF-1001": ("请求参数有误", "the request is not valid"),
    "ECIF-1002": ("至少需要一个查询条件", "give at least one search criterion"),
    "ECIF-1003": ("查看明文须用 X-Purpose 说明用途", "clear values need the header X-Purpose"),
    "ECIF-1004": ("请求的路径或方法不存在", "no such path or method"),
    "ECIF-2001": ("客户号不存在", "no such customer number"),
    "ECIF-5001": ("缺少访问令牌", "a bearer token is missing"),
    "ECIF-5002": ("访问令牌无效或已过期", "the bearer token is not valid, or has expired"),
    "ECIF-5003": ("权限不足", "the token lacks a scope"),
    "ECIF-5004": ("该源系统或渠道不属于调用方", "the system or channel is not one of the caller's"),
    "ECIF-9001": ("系统错误", "internal error"),
    "ECIF-9002": ("数据库暂不可用, 请稍后重试", "the database is not available, try again later"),
    "ECIF-9003": ("系统繁忙, 请稍后重试", "too many calls at once, try again later"),
    "ECIF-9004": ("令牌公钥暂不可用, 请稍后重试", "the keys of tokens are not available, try again later"),
}


_TEXT = {"type": "string"}
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem document 错误说明",
    "type": "object",
    "required": ["type", "title", "status", "code", "message_zh", "message_en", "request_id"],
    "properties": {
        **{name: _TEXT for name in ("type", "title", "code", "message_zh", "message_en", "detail", "request_id")},
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": {"type": "object", "properties": {"field": _TEXT, "rule": _TEXT}}},
    },
}
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
"""What the contract says of a route that reads one customer."""


class Problem(Exception):
    """An answer other than success."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body["code"])
        self.status, self.body = status, body

    @classmethod
    def of(cls, code: str, status: int, *, detail: str = "", errors: list[dict[str, str]] | None = None) -> Problem:
        """A problem of the table."""
        zh, en = MESSAGES[code]
        body: dict[str, Any] = {
            "type": f"urn:ecif:problem:{code.lower()}",
            "title": en,
            "status": status,
            "code": code,
            "message_zh": zh,
            "message_en": en,
        }
        if detail:
            body["detail"] = detail
        if errors:
            body["errors"] = errors
        return cls(status, body)


def _answer(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    added = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(problem.status, {})
    body = problem.body | {"request_id": getattr(request.state, "request_id", "")}
    return JSONResponse(body, problem.status, {**(headers or {}), **added}, media_type="application/problem+json")


def unexpected(request: Request, error: BaseException) -> JSONResponse:
    """The answer to a fault of the program. Neither it nor the log quotes the error's text: it may name a person."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f"{last[0].filename}:{last[0].lineno}" if last else ""
    _log.error("request %s: %s at %s", getattr(request.state, "request_id", ""), type(error).__name__, place)
    return _answer(request, Problem.of("ECIF-9001", 500))


def _invalid(error: RequestValidationError) -> Problem:
    errors = [{"field": ".".join(map(str, e["loc"])), "rule": str(e["msg"])} for e in error.errors()]
    return Problem.of("ECIF-1001", 422, errors=errors)


def install(app: FastAPI) -> None:
    """Turns every exception into its problem document."""

    @app.exception_handler(Problem)
    def _problem(request: Request, error: Problem) -> JSONResponse:
        return _answer(request, error)

    @app.exception_handler(RequestValidationError)
    def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return _answer(request, _invalid(error))

    @app.exception_handler(CustomerNotFound)
    def _not_found(request: Request, error: CustomerNotFound) -> JSONResponse:
        return _answer(request, Problem.of("ECIF-2001", 404))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        return _answer(request, Problem.of("ECIF-1004", error.status_code), error.headers)

    @app.exception_handler(SQLAlchemyError)
    @app.exception_handler(psycopg.Error)
    def _database(request: Request, error: Exception) -> JSONResponse:
        return _answer(request, Problem.of("ECIF-9002", 503)) if is_away(error) else unexpected(request, error)
