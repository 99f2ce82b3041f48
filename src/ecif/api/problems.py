"""Problem documents (RFC 9457) in two languages: every error of the API is one of this table."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

import psycopg
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ecif.api.invalid import Finding, findings
from ecif.db import DatabaseError, is_away, is_busy, sqlstate

MESSAGES: dict[str, tuple[str, str]] = {
    "ECIF-1001": ("请求参数有误", "the request is not valid"),
    "ECIF-1002": ("至少需要一个查询条件", "give at least one search criterion"),
    "ECIF-1003": ("查看明文须用 X-Purpose 说明用途", "clear values need the header X-Purpose"),
    "ECIF-1004": ("请求的路径或方法不存在", "no such path or method"),
    "ECIF-1005": ("请求正文过大, 最多 1 MiB", "the body is too large: at most 1 MiB is allowed"),
    "ECIF-1006": (
        "请求正文须为 UTF-8 的 application/json 或 application/merge-patch+json",
        "a body must be application/json or application/merge-patch+json, in UTF-8",
    ),
    "ECIF-1007": ("请求正文不是有效的 JSON, 或嵌套过深", "the body is not valid JSON, or is nested too deeply"),
    "ECIF-1008": ("请求正文未在限时内到达", "the body did not arrive in time"),
    "ECIF-1010": ("同一幂等键已用于其他请求", "the idempotency key stands for another request"),
    "ECIF-1012": ("须用 If-Match 指明所见版本", "If-Match has to name the version you have seen"),
    "ECIF-1013": ("客户信息不完整", "elements of identity are missing"),
    "ECIF-1014": ("关键身份变更须注明证明材料", "a change of key identity has to name its evidence"),
    "ECIF-1030": ("派生字段不可修改", "derived fields can't be written"),
    "ECIF-1031": ("该字段仅由源系统维护", "only the source system writes this field"),
    "ECIF-2001": ("客户号不存在", "no such customer number"),
    "ECIF-2002": ("源记录不存在", "no such source record"),
    "ECIF-2003": ("客户信息已被他人更新, 请刷新后重试", "the customer has changed since you saw him"),
    "ECIF-2004": ("复核申请不存在", "no such change request"),
    "ECIF-2005": ("该时点尚无此客户的信息", "nothing is known of this customer at that time"),
    "ECIF-2006": (
        "该客户的源记录过多, 不能按业务时间查询",
        "this customer has too many source records to ask for a business time",
    ),
    "ECIF-2007": ("归并操作不存在", "no such operation"),
    "ECIF-2008": ("审核项不存在", "no such merge review"),
    "ECIF-2009": ("批量裁决不存在", "no such decision on many reviews"),
    "ECIF-2010": ("客户号已合并, 且请求不接受转向", "the number was merged, and the request takes no redirect"),
    "ECIF-2011": ("复核申请已处理", "the change request has been decided"),
    "ECIF-2012": ("客户信息已变化, 请重新申请", "the customer has changed since it was asked for: ask again"),
    "ECIF-2013": ("归并操作已处理", "the operation has been decided"),
    "ECIF-2014": (
        "客户的源记录已变化, 请核对后重新申请",
        "the customers' records have changed since it was asked for: look again, and ask anew",
    ),
    "ECIF-2015": ("客户号刚被合并, 请刷新后重试", "a number was merged meanwhile: look again"),
    "ECIF-3001": ("客户已存在", "the customer exists"),
    "ECIF-3002": ("客户已存在且已销户, 请重新激活", "the customer exists and was closed: reactivate"),
    "ECIF-3003": ("同号不同名, 请核实", "the number is known under another name: verify"),
    "ECIF-3004": ("命中多个客户, 请确认", "several customers are meant: let one be chosen"),
    "ECIF-3005": ("存在疑似客户, 请逐一确认", "there are suspects: say of each whether it is the same"),
    "ECIF-3006": ("证件号码不正确", "the identity number is not right"),
    "ECIF-3007": ("证件号码为占位值", "the identity number is a placeholder"),
    "ECIF-3008": ("该客户键已属于其他客户", "this source key stands for another customer"),
    "ECIF-3009": (
        "所确认的客户持有另一有效证件号码, 请先办理号码变更",
        "the customer who was confirmed holds another valid number: change that first",
    ),
    "ECIF-3030": ("合并规则不允许合并", "a rule keeps these customers from being merged"),
    "ECIF-3031": (
        "各客户号已是同一客户, 无可合并",
        "the numbers are one customer's already: there is nothing to merge",
    ),
    "ECIF-3032": ("存续客户号不在合并范围内", "the number that is to survive is not one of those that are merged"),
    "ECIF-3033": ("源记录不属于该客户", "a source record is not this customer's"),
    "ECIF-3034": ("拆分须至少留下一条源记录", "a split has to leave at least one source record"),
    "ECIF-3035": ("源记录过多, 不能一次处理", "the customers have too many source records for one operation"),
    "ECIF-3036": (
        "账户不属于留下的源记录, 或账号被掩码",
        "an account of no record that stays, or its number is hidden",
    ),
    "ECIF-3037": (
        "留下的均为被合并客户的源记录, 请改为撤销合并",
        "only records of merged numbers would stay: undo the merge instead",
    ),
    "ECIF-3040": (
        "其后的操作挡住了撤销: 须先撤销其后的合并; 已被拆分的, 其余部分也用拆分",
        "later operations stand in the way: undo later merges first; where one was a split, part the rest by a split too",
    ),
    "ECIF-3041": ("不是有效的合并, 不能撤销", "not a merge that stands: it can't be undone"),
    "ECIF-3042": ("与其他人工裁决矛盾, 须先撤回", "other judgements say the opposite: withdraw them first"),
    "ECIF-3043": (
        "将牵动其他客户的源记录, 请先处理与其相关的审核",
        "records of other customers would be led elsewhere: decide on their reviews first",
    ),
    "ECIF-3050": ("审核项已由他人认领", "another person holds the review"),
    "ECIF-3051": ("审核项已关闭", "the review is closed"),
    "ECIF-3052": ("已申请合并, 待他人复核", "a merge was asked for, and waits for another person"),
    "ECIF-3053": ("该审核项不适用此裁决", "this can't be decided of such a review"),
    "ECIF-3054": ("审核项过多, 一次最多 200 项, 请缩小范围", "too many reviews: at most 200 at once, ask for fewer"),
    "ECIF-3055": ("批量裁决已撤回", "the decision was taken back before"),
    "ECIF-3056": (
        "数据已变化, 撤回将移动源记录, 请逐项处理",
        "the data has changed: to take it back would move source records, so do it one by one",
    ),
    "ECIF-3057": ("审核项已变化, 请刷新后重试", "the review has changed since you saw it"),
    "ECIF-3058": (
        "其他客户的源记录将因此转入, 请先处理与这些客户的审核, 或以人工裁决申请复核",
        "source records of others would move: decide the reviews with these customers first, or ask for a judgement",
    ),
    "ECIF-4101": ("客户不可销户", "the customer can't be closed"),
    "ECIF-4102": (
        "客户状态更严, 须先重新激活",
        "the customer has a stricter status, which has to be lifted first: reactivate",
    ),
    "ECIF-5001": ("缺少访问令牌", "a bearer token is missing"),
    "ECIF-5002": ("访问令牌无效或已过期", "the bearer token is not valid, or has expired"),
    "ECIF-5003": ("权限不足", "the token lacks a scope"),
    "ECIF-5004": ("该源系统或渠道不属于调用方", "the system or channel is not one of the caller's"),
    "ECIF-5005": ("复核人不得为经办人", "the checker must not be the maker"),
    "ECIF-5006": ("该渠道不得办理此业务", "this channel may not do this"),
    "ECIF-5007": ("只有经办人本人可以撤回", "only the maker can take it back"),
    "ECIF-9001": ("系统错误", "internal error"),
    "ECIF-9002": ("数据库暂不可用, 请稍后重试", "the database is not available, try again later"),
    "ECIF-9003": ("系统繁忙, 请稍后重试", "the service is busy, try again in a moment"),
    "ECIF-9004": ("令牌公钥暂不可用, 请稍后重试", "the keys of tokens are not available, try again later"),
    "ECIF-9005": ("服务尚未就绪", "the service is not ready"),
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
        **{name: _TEXT for name in ("field", "rule")},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "rule"],
                "properties": {name: _TEXT for name in ("field", "rule", "message_zh", "message_en")},
            },
        },
    },
}


def _described(**statuses: str) -> dict[int | str, dict[str, Any]]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {int(status[1:]): {"description": what, "content": content} for status, what in statuses.items()}


PROBLEMS = _described(_401="no valid token", _403="scope missing", _404="not found", _422="not valid", _503="try again")
"""What the contract says of a route that reads one customer."""
BODY_PROBLEMS = _described(_400="no JSON", _408="too slow", _413="too large", _415="of another type")
"""And of every route that takes a body."""


OWN_CODES = {"derived_field": "ECIF-1030", "source_owned_field": "ECIF-1031"}
"""Faults of a body that have a code of their own."""


class Problem(Exception):
    """An answer other than success; the first of ``errors`` is told in the document itself too."""

    def __init__(self, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body["code"])
        self.status, self.body, self.headers = status, body, headers or {}

    @classmethod
    def of(
        cls,
        code: str,
        status: int,
        *,
        detail: str = "",
        errors: list[Finding] | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Problem:
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
            body |= {"field": errors[0]["field"], "rule": errors[0]["rule"], "errors": errors}
        return cls(status, body | more, headers)


_ADDED = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}


def answer(request: Request, error: Exception) -> JSONResponse:
    """The problem document of an error."""
    problem = problem_of(error, request)
    request.state.code = problem.body["code"]
    body = problem.body | {"request_id": request.state.request_id}
    headers = {**problem.headers, **_ADDED.get(problem.status, {})}
    return JSONResponse(body, problem.status, headers, media_type="application/problem+json")


@singledispatch
def problem_of(error: Exception, request: Request) -> Problem:
    """What to answer to an error: here, a fault of the program.

    Neither the answer nor the log quotes the text of such an error: it may name a person. Its place does not.
    """
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" at {last[0].filename}:{last[0].lineno}" if last else ""
    request.state.fault = f"{type(error).__name__}{place}"
    return Problem.of("ECIF-9001", 500)


@problem_of.register
def _problem(error: Problem, request: Request) -> Problem:
    return error


@problem_of.register
def _invalid(error: RequestValidationError, request: Request) -> Problem:
    return invalid(error.errors())


def invalid(found: Sequence[Any]) -> Problem:
    """The problem of a body or parameters that are not valid; where each fault has one reason of its own, that is its code."""
    codes = {OWN_CODES.get(fault["type"], "ECIF-1001") for fault in found}
    return Problem.of(codes.pop() if len(codes) == 1 else "ECIF-1001", 422, errors=findings(found))


@problem_of.register
def _http(error: HTTPException, request: Request) -> Problem:
    """What the framework says: no such path or method, and JSON that only its own parser refuses."""
    if error.status_code == 405:
        return Problem.of("ECIF-1004", 405, headers={"Allow": ", ".join(_methods(request))})
    return Problem.of("ECIF-1007" if error.status_code == 400 else "ECIF-1004", error.status_code)


def _methods(request: Request) -> list[str]:
    """The methods of all routes with the request's path; the framework knows only the first of them."""
    routes = iter_route_contexts(request.app.routes)
    found = (route.methods for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for methods in found for method in methods or ()})


@problem_of.register(DatabaseError)
@problem_of.register(SQLAlchemyError)
@problem_of.register(psycopg.Error)
def _database(error: Exception, request: Request) -> Problem:
    if not (is_busy(error) or is_away(error)):
        return problem_of.dispatch(Exception)(error, request)
    request.state.fault = f"{type(error).__name__} {sqlstate(error)}".strip()
    return Problem.of("ECIF-9003" if is_busy(error) else "ECIF-9002", 503)


async def framework_error(request: Request, error: Exception) -> JSONResponse:
    """For the errors that the framework would answer in its own words; all others get as far as the middleware."""
    return answer(request, error)
