"""What is wrong with each field of a request, in two languages. A value is never quoted: it may be somebody's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

FINDINGS_MAX = 100
"""Findings told of one request."""

Finding = dict[str, str]

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]{0,39}")
_RULES = (
    ("missing", "必填", "is required"),
    ("extra_forbidden", "没有这个字段或参数", "is not known here"),
    ("string_type", "应为文本", "a text is wanted"),
    ("string_too_short", "至少 {min_length} 个字符", "at least {min_length} characters are wanted"),
    ("string_too_long", "最多 {max_length} 个字符", "at most {max_length} characters are allowed"),
    ("string_pattern_mismatch", "格式应为 {pattern}", "the form {pattern} is wanted"),
    ("int_type int_parsing int_parsing_size int_from_float", "应为整数", "a whole number is wanted"),
    ("bool_type bool_parsing", "应为 true 或 false", "true or false is wanted"),
    ("float_type float_parsing finite_number", "应为数字", "a number is wanted"),
    ("greater_than", "应大于 {gt}", "more than {gt} is wanted"),
    ("greater_than_equal", "不应小于 {ge}", "at least {ge} is wanted"),
    ("less_than", "应小于 {lt}", "less than {lt} is wanted"),
    ("less_than_equal", "不应大于 {le}", "at most {le} is allowed"),
    ("enum literal_error", "只能取 {expected}", "one of these is wanted: {expected}"),
    (
        "date_type date_parsing date_from_datetime_parsing date_from_datetime_inexact",
        "应为日期, 如 2026-01-31",
        "a date is wanted, as 2026-01-31",
    ),
    (
        "datetime_type datetime_parsing datetime_object_invalid datetime_from_date_parsing timezone_aware",
        "应为带时区的时间, 如 2026-01-31T08:00:00Z",
        "a time with its zone is wanted, as 2026-01-31T08:00:00Z",
    ),
    ("list_type tuple_type set_type", "应为数组", "an array is wanted"),
    ("dict_type model_type model_attributes_type mapping_type", "应为对象", "an object is wanted"),
    ("too_short", "至少 {min_length} 项", "at least {min_length} items are wanted"),
    ("too_long", "最多 {max_length} 项", "at most {max_length} items are allowed"),
)
_TEXTS = {rule: (zh, en) for rules, zh, en in _RULES for rule in rules.split()}
_OTHERWISE = ("取值不合规定", "is not valid")


class Unfit(ValueError):
    """Raised by validators: a value breaks a rule of ours, which has a stable name and a text in two languages."""

    def __init__(self, rule: str, message_zh: str, message_en: str) -> None:
        super().__init__(message_en)
        self.rule, self.message_zh, self.message_en = rule, message_zh, message_en


def findings(errors: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """What pydantic found, as field, rule and messages."""
    return [_finding(error) for error, _ in zip(errors, range(FINDINGS_MAX), strict=False)]


def _finding(error: Mapping[str, Any]) -> Finding:
    context = error.get("ctx", {})
    broken = context.get("error")
    if isinstance(broken, Unfit):
        rule, zh, en = broken.rule, broken.message_zh, broken.message_en
    else:
        rule = error["type"]
        zh, en = (text.format_map(context) for text in _TEXTS.get(rule, _OTHERWISE))
    return {"field": _field(error["loc"]), "rule": rule, "message_zh": zh, "message_en": en}


def _field(place: tuple[str | int, ...]) -> str:
    """``/identifiers/0/number`` in the body, ``query.limit`` elsewhere; a made-up name is shown if it looks like one."""
    where, *path = place
    names = [str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "?" for part in path]
    return f"/{'/'.join(names)}" if where == "body" else ".".join((str(where), *names))
