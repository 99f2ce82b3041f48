"""What is wrong with each field of a request, in two languages. A value is never quoted: it may be somebody's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic_core import PydanticCustomError

FINDINGS_MAX = 100
"""Findings told of one request."""

Finding = dict[str, str]

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]{0,39}")
_ALTERNATIVE = re.compile(r"[A-Z]\w*Body|(constrained-)?str|.*\[.*")
"""How pydantic calls the forms that a value may take: no part of where it stands."""

_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*')>")
"""How pydantic calls a member of an enum, where only some are allowed: callers know its value."""

_RULES = (
    ("missing", "必填", "is required"),
    ("missing_for_channel", "本渠道必填", "this channel has to state it"),
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
    ("control_character", "不应含控制字符", "no control characters, which no source key holds"),
    ("future_time", "业务时间不得晚于明天此时", "no business time later than a day from now"),
    ("source_and_key", "source_system 与 source_key 须同时给出", "source_system and source_key go together"),
    ("kind_and_identifier", "identifier_kind 须与 identifier 同时给出", "identifier_kind needs an identifier"),
    ("beyond_every_event", "游标超出全部事件, 属于另一个数据库", "beyond every event: a cursor of another database"),
    ("reserved_key", "以 ecif: 开头的键不属于源系统", "keys that begin with ecif: are not a source system's"),
    (
        "source_key_and_suspects",
        "对疑似客户的确认须记在本系统的记录中, 不得同时给出 source_key",
        "verdicts are kept in a record of our own: give no source_key with them",
    ),
    ("string_blank", "没有可见字符", "nothing visible is left of the text"),
    ("name_or_identifier", "至少需要姓名或证件", "a name or an identifier is needed"),
    ("weak_channel", "该渠道认证强度不足, 不得修改手机号", "a channel that authenticates weakly may not change it"),
    ("not_confirming_channel", "仅柜面可确认疑似客户", "only a counter may say who a suspect is"),
    ("derived_field", "派生字段不能写入", "derived fields can't be written"),
    ("source_owned_field", "该字段只能由源系统写入", "only the source writes this field"),
    ("not_a_member", "须为 members 之一", "one of the members is wanted"),
    (
        "cursor_of_another_order",
        "游标属于另一排序, 请从第一页开始",
        "a cursor of another order: begin with the first page",
    ),
    ("one_record_twice", "须为两条不同的源记录", "two different source records are wanted"),
    (
        "etag_of_several",
        "涉及多个客户, 不能指明版本; 复核时会核对申请后有无变化",
        "several customers are meant, of which it can't name the versions: that they are as when it was asked for is checked"
        " when it is approved",
    ),
    ("etag", '应为一个 ETag, 如 "v7"', 'one ETag is wanted, such as "v7"'),
)
_TEXTS = {rule: (zh, en) for rules, zh, en in _RULES for rule in rules.split()}
_OTHERWISE = ("取值不合规定", "is not valid")


def unfit(rule: str) -> PydanticCustomError:
    """What a validator raises when a value breaks a rule of ours, which is in the table like pydantic's."""
    return PydanticCustomError(rule, _TEXTS[rule][1])


def finding(field: str, rule: str, context: Mapping[str, Any] | None = None) -> Finding:
    """That a field breaks a rule of the table."""
    zh, en = (_MEMBER.sub(r"\1", text.format_map(context or {})) for text in _TEXTS.get(rule, _OTHERWISE))
    zh = zh.replace("' or '", "' 或 '")  # pydantic lists what is allowed in English
    return {"field": field, "rule": rule, "message_zh": zh, "message_en": en}


def findings(errors: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """What pydantic found. Of a value that may take several forms, the faults of the form that it has."""
    found = [finding(_field(e["loc"]), e["type"], e.get("ctx")) for e in islice(errors, 2 * FINDINGS_MAX)]
    inside = [f"{one['field']}." for one in found if not _is_other_form(one)]
    told = (
        one for one in found if not _is_other_form(one) or not any(i.startswith(f"{one['field']}.") for i in inside)
    )
    return list(islice(told, FINDINGS_MAX))


def _is_other_form(one: Finding) -> bool:
    return one["rule"].endswith("_type")


def _field(place: Sequence[str | int]) -> str:
    """``body.identifiers.0.number``; a name that the caller made up is shown if it looks like one."""
    parts = (part for part in place if isinstance(part, int) or not _ALTERNATIVE.fullmatch(part))
    return ".".join(str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "?" for part in parts)
