"""How the result of an existence check is shown: nothing in clear that the caller did not send."""

from __future__ import annotations

from datetime import date
from typing import Any

from ecif.domain.completeness import completeness
from ecif.domain.existence import WHAT_TO_DO, Existence, Fault
from ecif.domain.masking import mask_name
from ecif.matching.types import Level
from ecif.services.existence import Found, Seen

FAULTS: dict[str, tuple[str, str]] = {
    "PLACEHOLDER": ("占位号码", "stands for no number"),
    "CHECK_DIGIT": ("校验位不符", "the check digit is wrong"),
    "CALENDAR_DATE": ("号码中的日期不存在", "the date inside is no day of the calendar"),
    "BIRTH_DATE_RANGE": ("号码中的出生日期不合理", "the birth date inside lies in the future, or too far back"),
    "PROVINCE": ("号码中的省份代码不存在", "there is no such province"),
    "LENGTH": ("号码位数不符", "the length is wrong"),
    "FORMAT": ("号码格式不符", "the form is wrong"),
    "SCIENTIFIC_NOTATION": ("号码被电子表格改写", "a spreadsheet has rounded it"),
    "MASKED": ("号码有遮盖", "digits are hidden"),
    "INVALID": ("号码不正确", "the number is not right"),
    "KIND_OF_OTHER_PARTY_TYPE": ("证件种类与客户类型不符", "this kind belongs to the other party type"),
    "KIND_CORRECTED": ("证件种类与号码不符, 已按号码处理", "the number is of another kind, and was taken as such"),
    "SECOND_NUMBER": ("同类号码只能有一个", "a party has one number of this kind"),
    "SHARED": ("号码为过多客户共用, 视为占位", "too many hold it: it stands for nobody"),
    "UNUSABLE": ("为占位、遮盖或不可用的值", "is a placeholder, masked, or cannot be used"),
    "NO_PERSON": ("客户不是个人", "the customer is no person"),
    "NOT_IN_LIFE": ("早于出生日期或晚于今日", "is before his birth, or in the future"),
    "UPGRADED_15": ("已由 15 位升为 18 位", "taken as its 18-digit form"),
}
"""What may be said of a value, in Chinese and English."""

FLAGS = {
    "ID_EXPIRED": ("证件均已过期", "every dated document has expired"),
    "RESTRICTED": ("客户已限制处理", "the customer is restricted: nothing new may be begun"),
    "DECEASED": ("客户已死亡", "the customer is deceased: nothing new may be begun"),
}
"""What may be said of a customer who exists."""


def found_view(found: Found, on: date) -> dict[str, Any]:
    """The answer to an existence check.

    Args:
        on: the day on which documents have to be valid.
    """
    zh, en = WHAT_TO_DO[found.result]
    shown: dict[str, Any] = {"result": found.result.value, "action_zh": zh, "action_en": en}
    if found.customer:
        shown |= _customer(found.customer, on)
        if found.result is Existence.EXISTS_REDIRECTED:
            shown["requested_no"] = found.customer.merged[0]
    if found.candidates:
        shown |= {"candidates": [_candidate(seen) for seen in found.candidates], "more": found.more}
    errors = [fault_view(fault) for fault in found.faults if fault.stops]
    warnings = [fault_view(fault) for fault in found.faults if not fault.stops]
    return shown | {"errors": errors, "warnings": warnings}


def _name(document: dict[str, Any]) -> str | None:
    name = document["fields"].get("name", {}).get("value")
    return name if name is None or document["party_type"] == "ORGANIZATION" else mask_name(name)


def _customer(seen: Seen, on: date) -> dict[str, Any]:
    percent, missing = completeness(seen.document)
    return {
        "customer_no": seen.customer_no,
        "version": seen.version,
        "status": seen.document["status"],
        "closed_on": seen.document.get("closed_on"),
        "name": _name(seen.document),
        "completeness": {"percent": percent, "missing": [element.value for element in missing]},
        "accounts": dict(sorted(seen.accounts.items())),
        "flags": _flags(seen.document, on),
    }


def _flags(document: dict[str, Any], on: date) -> list[str]:
    told = {"ID_EXPIRED"} if _expired(document, on) else set()
    return [flag for flag in FLAGS if flag in told | {document["status"]}]


def _expired(document: dict[str, Any], on: date) -> bool:
    """Whether every dated document of the customer has run out."""
    dates = [e["valid_to"] for e in document["identifiers"] if e["valid_to"] and not e.get("replaced")]
    return bool(dates) and max(dates) < on.isoformat()


def _candidate(seen: Seen) -> dict[str, Any]:
    compared = [c for c in seen.comparisons if c.level is not Level.MISSING]
    return {
        "customer_no": seen.customer_no,
        "status": seen.document["status"],
        "name": _name(seen.document),
        "level": seen.decision.level,
        "rule": seen.decision.rule,
        "score": seen.score,
        "agrees": [c.field.value for c in compared if c.level >= Level.PARTIAL],
        "conflicts": [c.field.value for c in compared if c.level < Level.PARTIAL],
    }


def fault_view(fault: Fault) -> dict[str, str]:
    """What is wrong with a value, in two languages."""
    zh, en = FAULTS[fault.rule]
    return {"field": f"body.{fault.field}", "rule": fault.rule, "message_zh": zh, "message_en": en}
