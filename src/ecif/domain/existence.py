"""The customer existence check (客户存在性检查): what it is asked, and its nine results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ecif.domain.identifier_kinds import KINDS, NumberSpace
from ecif.domain.identifiers import NormalIdentifier, Validity
from ecif.domain.normal import normal_identifier
from ecif.domain.records import Identifier, PartyRecord, PartyType


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


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a value that was given: where it stands, and a stable code. ``stops`` ends the check."""

    field: str
    rule: str
    stops: Existence | None = None


def number_faults(record: PartyRecord) -> Iterator[Fault]:
    """What is wrong with the identity numbers that somebody states of a party, or had to be put right."""
    held: dict[NumberSpace, str] = {}
    for n, given in enumerate(record.identifiers):
        found = normal_identifier(record, given)
        first = held.setdefault(found.space, found.number) if found.is_strong else found.number
        fault = _fault(record, given, found) if first == found.number else ("number", "SECOND_NUMBER", _WRONG)
        if fault:
            place, rule, stops = fault
            yield Fault(f"identifiers.{n}.{place}", rule, stops)


_WRONG = Existence.INVALID_ID


def _fault(record: PartyRecord, given: Identifier, found: NormalIdentifier) -> tuple[str, str, Existence | None] | None:
    if given.kind and KINDS[given.kind].person is not (record.party_type is PartyType.PERSON):
        return "kind", "KIND_OF_OTHER_PARTY_TYPE", _WRONG
    if found.validity in (Validity.PLACEHOLDER, Validity.MISSING):
        return "number", "PLACEHOLDER", Existence.PLACEHOLDER_ID
    if found.validity in (Validity.INVALID, Validity.MASKED):
        return "number", found.reason or found.validity.value, _WRONG
    return ("number", found.reason, None) if found.reason else None
