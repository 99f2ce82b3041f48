"""The customer existence check (客户存在性检查): what it is asked, and its nine results."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Mode(StrEnum):
    """检查模式."""

    STRICT = "STRICT"
    """柜面开户: numbers must be right; without an exact hit, everything else is searched too."""
    LOOKUP = "LOOKUP"
    """系统查找: exact numbers only."""
    DISPLAY = "DISPLAY"
    """展示: as STRICT, but a wrong number does not end the search; it is the result if nobody is found."""


class Existence(StrEnum):
    """检查结果."""

    NOT_FOUND = "NOT_FOUND"
    EXISTS = "EXISTS"
    EXISTS_REDIRECTED = "EXISTS_REDIRECTED"
    EXISTS_CLOSED = "EXISTS_CLOSED"
    SAME_ID_DIFFERENT_NAME = "SAME_ID_DIFFERENT_NAME"
    AMBIGUOUS = "AMBIGUOUS"
    SUSPECT = "SUSPECT"
    INVALID_ID = "INVALID_ID"
    PLACEHOLDER_ID = "PLACEHOLDER_ID"


WHAT_TO_DO: Mapping[Existence, tuple[str, str]] = {
    Existence.NOT_FOUND: ("未找到客户, 可以开立", "no such customer: may be opened"),
    Existence.EXISTS: ("客户已存在, 请使用该客户号, 勿重复开立", "use this number, do not open another"),
    Existence.EXISTS_REDIRECTED: ("客户号已合并, 请改存存续客户号", "the number was merged: store the survivor's"),
    Existence.EXISTS_CLOSED: (
        "客户已销户, 请重新激活, 勿新开",
        "the customer was closed: reactivate, do not open another",
    ),
    Existence.SAME_ID_DIFFERENT_NAME: (
        "同号不同名, 请停止办理并核实 (更名或重号处理)",
        "the number is known under another name: stop and verify (renamed, or one number of two people)",
    ),
    Existence.AMBIGUOUS: (
        "命中多个客户, 请由数据管理员或客户本人确认",
        "several customers are meant: let a steward or the customer choose",
    ),
    Existence.SUSPECT: (
        "存在疑似客户, 请柜员确认是否同一人",
        "there are customers who may be the same: confirm who is and who is not",
    ),
    Existence.INVALID_ID: ("证件号码不正确, 请更正", "the number is not right: correct it"),
    Existence.PLACEHOLDER_ID: ("证件号码为占位值, 不得开立", "the number is a placeholder: refuse to open"),
}
"""What the caller has to do, in Chinese and English."""
