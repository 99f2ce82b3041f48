"""Code tables (代码表) under ``/v1/codes``: they change with the program alone, so that a caller may keep them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Path, Response

from ecif.api.existing import FAULTS, FLAGS
from ecif.api.parameters import NO_QUERY
from ecif.api.problems import MESSAGES, PROBLEMS
from ecif.api.refusals import BLOCKS
from ecif.api.security import caller
from ecif.api.tokens import SCOPES
from ecif.domain import codes
from ecif.domain.judgements import Verdict
from ecif.domain.merge_policy import MERGE_RULES
from ecif.domain.review_policy import RISKS, Recommended, ReviewDecision, ReviewKind, ReviewState
from ecif.matching.types import Field
from ecif.services.change_requests import RequestStatus
from ecif.services.ingest import Fate
from ecif.services.operations import Kind, Status
from ecif.services.review_bulk import Result

_FATES = {"CREATED": "新增", "UPDATED": "更新", "UNCHANGED": "无变化", "HISTORY": "旧版本, 仅存历史"}
_TWO_LANGUAGES = re.compile("([ -~]+) (.+)")


_REQUESTS = {"PENDING": "待复核", "APPROVED": "已通过", "REJECTED": "已拒绝"}
_VERDICTS = {"SAME": "同一客户", "NOT_SAME": "非同一客户", "WITHDRAWN": "已撤回", "UNDECIDED": "待裁决, 不自动归并"}
_KINDS = {"MERGE": "合并", "SPLIT": "拆分", "REVERSE": "撤销合并", "JUDGEMENT": "人工裁决"}
_STATUSES = {"PENDING": "待复核", "DONE": "已完成", "REJECTED": "已拒绝", "WITHDRAWN": "已撤回", "REVERSED": "已撤销"}
_REVIEW_KINDS = {
    "PAIR": "疑似同一客户", "MOVED": "源记录自动转移", "MISFIT": "源记录与客户不符", "FOLLOW_UP": "合并后续事项",
}  # fmt: skip
_REVIEW_STATES = {
    "OPEN": "待处理", "NEED_INFO": "待补充资料", "ESCALATED": "已上报", "WAITING": "合并待复核", "CLOSED": "已关闭",
}  # fmt: skip
_DECISIONS = {
    "SAME": "同一客户", "NOT_SAME": "非同一客户", "RENAME": "同一客户, 已更名", "TYPO_FIX": "同一客户, 录入有误",
    "DONE": "已办理", "NEED_INFO": "补充资料", "ESCALATE": "上报",
}  # fmt: skip
_RECOMMENDED = {
    "MERGE": "建议合并", "NOT_SAME": "建议判为非同一客户", "RENAME": "建议核实更名", "TYPO_FIX": "建议更正录入",
    "NEED_INFO": "建议补充资料", "SPLIT": "建议拆分", "KEEP": "建议确认现归属", "FOLLOW_UP": "办理合并后续事项",
}  # fmt: skip
_RESULTS = {
    "DECIDED": "已裁决", "CLAIMED": "由他人认领, 未处理", "WAITS": "合并待复核, 未处理", "UNFIT": "不适用, 未处理",
    "REOPENED": "已恢复", "CHANGED": "已另行处理或已无疑问, 未恢复",
}  # fmt: skip
_COMPARED = {
    "STATED": "人工认定", "IDENTIFIER": "强证件号", "DOCUMENT": "其他证件", "BROKEN_NUMBER": "校验不符的号码",
    "MASKED_NUMBER": "有遮盖的号码", "NAME": "姓名或名称", "BIRTH": "出生或成立日期", "GENDER": "性别", "PHONE": "电话",
    "ADDRESS": "地址", "EMAIL": "电子邮箱", "EMPLOYER": "工作单位", "LEGAL_REPRESENTATIVE": "法定代表人",
    "KIND": "总分机构",
}  # fmt: skip
_LOSSES = {
    "LOWER_QUALITY": ("质量较低", "of lower quality"),
    "LOWER_SOURCE_PRIORITY": ("来源优先级较低", "from a source of lower priority"),
    "OLDER": ("较早", "older"),
    "LATER": ("较晚", "later"),
    "NOT_DERIVED": ("非由证件号码推出", "not derived from the number"),
}
_NOT_APPLIED = {"SAID_BY_OTHERS": "其他来源仍有此值"}


def _told(texts: Mapping[str, tuple[str, str]]) -> codes.Table:
    return tuple({"code": code, "name_zh": zh, "name_en": en} for code, (zh, en) in texts.items())


def _scope(text: str) -> tuple[str, str]:
    english, chinese = _TWO_LANGUAGES.fullmatch(text).groups()  # type: ignore[union-attr]
    return chinese, english


TABLES: Mapping[str, codes.Table] = {
    **codes.TABLES,
    "lost_reasons": _told(_LOSSES),
    "not_applied_reasons": (
        *codes.TABLES["survivorship_rules"],
        *({"code": code, "name_zh": zh} for code, zh in _NOT_APPLIED.items()),
    ),
    "compared_fields": codes.table(Field, _COMPARED),
    "number_faults": _told(FAULTS),
    "customer_flags": _told(FLAGS),
    "closing_blocks": _told(BLOCKS),
    "change_request_statuses": codes.table(RequestStatus, _REQUESTS),
    "merge_rules": tuple(
        {
            "code": r.id,
            "name_zh": r.message_zh,
            "name_en": r.message_en,
            "level": r.level.value,
            "lift": r.lift.value,
            "follow_up_zh": r.follow_up_zh or None,
            "follow_up_en": r.follow_up_en or None,
        }
        for r in MERGE_RULES.values()
    ),
    "verdicts": codes.table(Verdict, _VERDICTS),
    "operation_kinds": codes.table(Kind, _KINDS),
    "operation_statuses": codes.table(Status, _STATUSES),
    "review_kinds": codes.table(ReviewKind, _REVIEW_KINDS),
    "review_states": codes.table(ReviewState, _REVIEW_STATES),
    "review_decisions": codes.table(ReviewDecision, _DECISIONS),
    "review_recommendations": codes.table(Recommended, _RECOMMENDED),
    "review_results": codes.table(Result, _RESULTS),
    "review_risks": tuple(
        {"code": r.id, "name_zh": r.message_zh, "name_en": r.message_en, "points": r.points} for r in RISKS.values()
    ),
    "record_fates": codes.table(Fate, _FATES),
    "scopes": _told({name: _scope(text) for name, text in SCOPES.items()}),
    "problems": _told(MESSAGES),
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


@router.get("/{table}", response_model=dict[str, Any], responses={404: PROBLEMS[404]})
def get_code_table(
    table: Annotated[TableName, Path(description="代码表", examples=["identifier_kinds"])], known: IfNoneMatch = None
) -> Response:
    """代码表 One code table."""
    return _answer({"table": table, "items": TABLES[table]}, known)
