"""Telephone numbers and e-mail addresses in canonical form (电话, 邮箱)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from ecif.domain.placeholders import is_placeholder_email, is_placeholder_phone
from ecif.domain.text import compact

_MOBILE = re.compile(r"1[3-9]\d{9}")
_LANDLINE = re.compile(r"(0\d{2,3})?([2-8]\d{6,7})")
_EXTENSION = re.compile(r"(?:转|EXT|X|#|-(?=\d{1,5}$)(?<=\d{7}-))\.?\d{1,6}$")
_COUNTRY = re.compile(r"^(?:\+|00)86")
_EMAIL = re.compile(r"[^@\s,;]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?\.[a-z]{2,24}")
_VIRTUAL = ("170", "171", "162", "165", "167")


@dataclass(frozen=True, slots=True)
class NormalPhone:
    """``number``: digits only, area code included; ``virtual``: of a reseller's segment (虚拟运营商)."""

    number: str = field(repr=False)
    mobile: bool
    virtual: bool = False


@lru_cache(maxsize=4096)
def normalize_phone(raw: str) -> NormalPhone | None:
    """A mobile or landline number of the mainland; None if it is missing, impossible or a placeholder."""
    text = _COUNTRY.sub("", compact(raw).upper())
    digits = re.sub(r"\D", "", _EXTENSION.sub("", text))
    if len(digits) == 12 and digits.startswith("01"):
        digits = digits[1:]  # a trunk zero typed before a mobile number
    if len(digits) == 13 and digits.startswith("86"):
        digits = digits[2:]
    if not digits or is_placeholder_phone(digits):
        return None
    if _MOBILE.fullmatch(digits):
        return NormalPhone(digits, True, digits.startswith(_VIRTUAL))
    return NormalPhone(digits, False) if _LANDLINE.fullmatch(digits) else None


@lru_cache(maxsize=4096)
def normalize_email(raw: str) -> str:
    """The address in lower case, empty if it is none or a placeholder."""
    address = compact(raw).lower()
    return address if _EMAIL.fullmatch(address) and not is_placeholder_email(address) else ""
