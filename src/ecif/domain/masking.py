"""Masks of personal values (脱敏, JR/T 0171-2020): what a reader without the right to clear values sees."""

from __future__ import annotations

import re
from enum import StrEnum

from ecif.domain.han import is_han


class FieldClass(StrEnum):
    """字段类别: clear values are granted class by class."""

    IDENTITY = "identity"
    """身份: names, identifiers, birth date."""
    CONTACT = "contact"
    """联系: phones, addresses, e-mails, employer."""
    ACCOUNT = "account"
    """账户: account numbers."""


_PLACE = r"[^\d路街道巷号]"
_REGION = re.compile(
    rf"(?={_PLACE}{{1,8}}(?:省|市|自治区|自治州|地区|盟))"
    rf"(?:{_PLACE}{{1,8}}?(?:自治区|省))?(?:{_PLACE}{{1,8}}?(?:自治州|地区|盟|市))?(?:{_PLACE}{{1,7}}?(?:(?<![小社])区|县|旗|市))?"
)
"""Province, city, district, at least one of the first two: without them, 阳光小区 would look like a district."""


def mask_number(text: str, head: int = 3, tail: int = 4) -> str:
    """Identity numbers: the first three and last four characters; short ones show nothing but their end."""
    if len(text) <= head + tail:
        return "*" * max(len(text) - 1, 1) + (text[-1:] if len(text) > 1 else "")
    return text[:head] + "*" * (len(text) - head - tail) + text[-tail:]


def mask_phone(text: str) -> str:
    """Phones: the first three and last four digits."""
    return mask_number(text)


def mask_account(text: str) -> str:
    """Accounts and cards: the last four digits."""
    return "*" * max(len(text) - 4, 1) + text[-4:] if len(text) > 4 else "*" * max(len(text), 1)


def mask_name(text: str) -> str:
    """Names of persons: the last character of two or three 汉字, else the last two; of Latin names the initials."""
    if not any(map(is_han, text)):
        return " ".join(word[0] + "*" * (len(word) - 1 or 1) for word in text.split()) or "*"
    shown = 1 if len(text) <= 3 else 2
    return "*" * max(len(text) - shown, 1) + (text[-shown:] if len(text) > shown else "")


def mask_email(text: str) -> str:
    """E-mail: the first character and the domain."""
    local, at, domain = text.partition("@")
    return f"{local[:1]}***{at}{domain}" if at else "***"


def mask_address(text: str) -> str:
    """Addresses: to the district."""
    found = _REGION.match(text)
    shown = found[0] if found and len(found[0]) < len(text) else ""
    return f"{shown}***"


def mask_birth_date(text: str) -> str:
    """Dates of birth: the year."""
    return f"{text[:4]}-**-**"
