"""Code tables (代码表) under ``/v1/codes``: they change with the program alone, so that a caller may keep them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Path, Response

from ecif.api.parameters import NO_QUERY
from ecif.api.problems import PROBLEMS
from ecif.api.security import caller
from ecif.api.tokens import SCOPES
from ecif.domain import codes
from ecif.services.ingest import Fate

_FATES = {"CREATED": "新增", "UPDATED": "更新", "UNCHANGED": "无变化", "HISTORY": "旧版本, 仅存历史"}
_TWO_LANGUAGES = re.compile("([ -~]+) (.+)")


def _scope(name: str, text: str) -> codes.Row:
    english, chinese = _TWO_LANGUAGES.fullmatch(text).groups()  # type: ignore[union-attr]
    return {"code": name, "name_zh": chinese, "name_en": english}


TABLES: Mapping[str, codes.Table] = {
    **codes.TABLES,
    "record_fates": codes.table(Fate, _FATES),
    "scopes": tuple(_scope(name, text) for name, text in SCOPES.items()),
}
TableName = StrEnum("TableName", [(name.upper(), name) for name in TABLES])  # type: ignore[misc]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=200, description="an ETag of before")]

router = APIRouter(
    prefix="/v1/codes",
    tags=["codes"],
    dependencies=[Depends(caller), NO_QUERY],
    responses={**{status: PROBLEMS[status] for status in (401, 422, 503)}, 304: {"description": "unchanged 未变化"}},
)


def _answer(body: dict[str, Any], known: str | None) -> Response:
    content = orjson.dumps(body)
    etag = f'"{blake2b(content, digest_size=8).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, max-age=3600"}
    if known and etag in known:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="application/json")


@router.get("", response_model=dict[str, Any])
def get_code_tables(known: IfNoneMatch = None) -> Response:
    """代码表 All code tables: every code that bodies and answers use, with its Chinese name."""
    return _answer({"tables": TABLES}, known)


@router.get("/{table}", response_model=dict[str, Any])
def get_code_table(
    table: Annotated[TableName, Path(description="代码表", examples=["identifier_kinds"])], known: IfNoneMatch = None
) -> Response:
    """代码表 One code table."""
    return _answer({"table": table, "items": TABLES[table]}, known)
