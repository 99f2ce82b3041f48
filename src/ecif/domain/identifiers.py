"""Identity documents and their numbers (证件).

A document kind is not a number space: 居民身份证, 临时居民身份证 and 户口簿 all carry the one citizen number. Matching
compares spaces, and a number counts as strong evidence only where its check digit is right and a party has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache

from ecif.domain.checks import (
    calendar_date,
    check_business_reg_no,
    check_citizen_digit,
    check_lei,
    check_org_code,
    check_uscc_digit,
    check_zhongzheng,
    upgrade_15,
)
from ecif.domain.identifier_kinds import KINDS, ONE_PER_PARTY, IdentifierKind, NumberSpace
from ecif.domain.placeholders import is_placeholder_identifier
from ecif.domain.text import clean

_S = NumberSpace


class Validity(StrEnum):
    """号码校验结果."""

    VALID = "VALID"
    """Form, date and check digit are right."""
    WELL_FORMED = "WELL_FORMED"
    """The form is right and the kind has no check digit."""
    DOUBTFUL = "DOUBTFUL"
    """A USCC that fails its check digit: a warning (early Fujian codes are genuine)."""
    INVALID = "INVALID"
    MASKED = "MASKED"
    PLACEHOLDER = "PLACEHOLDER"
    MISSING = "MISSING"


USABLE = frozenset({Validity.VALID, Validity.WELL_FORMED, Validity.DOUBTFUL})
"""Numbers that can be searched and compared at all."""


@dataclass(frozen=True, slots=True)
class NormalIdentifier:
    """An identifier in canonical form. ``reason`` is a stable code for what is wrong, or was put right."""

    space: NumberSpace
    number: str = field(repr=False)
    validity: Validity
    reason: str = ""

    @property
    def is_strong(self) -> bool:
        """Evidence of identity by itself (with a compatible name): checked, and one to a party."""
        return self.validity is Validity.VALID and self.space in ONE_PER_PARTY

    @property
    def usable(self) -> bool:
        """Whether the number can be searched and compared at all."""
        return self.validity in USABLE


Found = tuple[NumberSpace, str, Validity, str]

_PROVINCE_RANGES = ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (91, 91))
PROVINCES = frozenset(str(code) for first, last in _PROVINCE_RANGES for code in range(first, last + 1))
_HMT_DISTRICTS = ("810000", "820000", "830000")
_AGE_MAX = 130
_LOOKALIKES = str.maketrans({"Ⅹ": "X", "ⅹ": "X", "×": "X", "О": "0", "－": "-", "—": "-", "–": "-"})
_PREFIX = re.compile(r"^(?:身份证|证件|护照|统一社会信用代码|组织机构代码|信用代码)?(?:号码|号)?[::]?")
_SCIENTIFIC = re.compile(r"\d(?:\.\d+)?E\+?\d{1,2}")
_TW_SUFFIX = re.compile(r"\d{2}(?:\(?[A-Z]\)?)?")
_DIGITS_FOR_LETTERS = str.maketrans({"O": "0", "I": "1", "L": "1"})


@lru_cache(maxsize=4096)
def normalize_identifier(
    kind: IdentifierKind | None, number: str, *, as_of: date | None = None, party_is_person: bool | None = None
) -> NormalIdentifier:
    """Brings a number as a source wrote it into canonical form and judges it.

    Only lossless slips are put right: widths, spaces, the case and look-alikes of ``X``, a typed-in prefix, a 15-digit
    number, and a kind that the number itself disproves. A number that a spreadsheet rounded is never repaired.

    Args:
        kind: the document kind the source states, None where it states none.
        as_of: the day against which births in the future are refused.
        party_is_person: helps to infer a missing kind.
    """
    text = _PREFIX.sub("", clean(number).upper().translate(_LOOKALIKES)).replace(" ", "")
    space = KINDS[kind].space if kind else (_S.OTHER_O if party_is_person is False else _S.OTHER_P)
    if not text:
        return NormalIdentifier(space, "", Validity.MISSING)
    if is_placeholder_identifier(text):
        return NormalIdentifier(space, text, Validity.PLACEHOLDER)
    if _SCIENTIFIC.fullmatch(text):
        return NormalIdentifier(space, text, Validity.INVALID, "SCIENTIFIC_NOTATION")
    person = KINDS[kind].person if kind else party_is_person is not False
    return NormalIdentifier(*(_person_number if person else _organization_number)(kind, space, text, as_of))


def _person_number(kind: IdentifierKind | None, space: NumberSpace, text: str, as_of: date | None) -> Found:
    citizen_form = _citizen_form(text)
    if citizen_form and (space is _S.CITIZEN or kind is None or "*" not in text):
        found = _eighteen(citizen_form, as_of)
        if found[2] in (Validity.VALID, Validity.MASKED) or space in (_S.CITIZEN, _S.HMT_RESIDENCE, _S.FPR):
            return found if found[0] is space or found[3] else (*found[:3], "KIND_CORRECTED")
    if kind is None and not citizen_form:
        space = _S.OTHER_P
    if "*" in text:
        return space, text, Validity.MASKED, ""
    return _PERSON_FORMS.get(space, _any_form)(space, text)


def _citizen_form(text: str) -> str:
    """The text as an 18-character number or mask, or empty if it is nothing like one."""
    if len(text) in (15, 18) and not text[:-1].isdigit() and "*" not in text:
        repaired = text[:17].translate(_DIGITS_FOR_LETTERS) + text[17:]
        text = repaired if check_citizen_digit(repaired) else text
    if len(text) == 15 and text.isdigit():
        return text
    return text if len(text) == 18 and re.fullmatch(r"[\d*]{17}[\dX*]", text) else ""


def _eighteen(text: str, as_of: date | None) -> Found:
    """Citizen numbers, residence permits of Hong Kong, Macau and Taiwan people (GB 11643) and 2023 FPR numbers."""
    if "*" in text:
        return _S.CITIZEN, text, Validity.MASKED, ""
    reason = ""
    if len(text) == 15:
        upgraded = upgrade_15(text)
        if not upgraded:
            return _S.CITIZEN, text, Validity.INVALID, "CALENDAR_DATE"
        text, reason = upgraded[0], "UPGRADED_15"
    space = _S.HMT_RESIDENCE if text.startswith(_HMT_DISTRICTS) else _S.FPR if text[0] == "9" else _S.CITIZEN
    wrong = _wrong_with(text, space, as_of)
    return (space, text, Validity.INVALID, wrong) if wrong else (space, text, Validity.VALID, reason)


def _wrong_with(number: str, space: NumberSpace, as_of: date | None) -> str:
    """The code of what is wrong with an 18-digit number. The district is no reason: codes get revoked, cards stay."""
    born = calendar_date(number[6:14])
    if born is None or born.year < 1850:
        return "CALENDAR_DATE"
    if as_of and (born > as_of or as_of.year - born.year > _AGE_MAX):
        return "BIRTH_DATE_RANGE"
    if space is _S.CITIZEN and number[:2] not in PROVINCES:
        return "PROVINCE"
    return "" if check_citizen_digit(number) else "CHECK_DIGIT"


def _any_form(space: NumberSpace, text: str) -> Found:
    if not re.fullmatch(r"[0-9A-Z一-鿿()-]{4,32}", text):
        return space, text, Validity.INVALID, "FORMAT"
    return space, text, Validity.WELL_FORMED, ""


def _hm_permit(space: NumberSpace, text: str) -> Found:
    """回乡证: the first nine characters stay at renewal; two more digits count renewals on cards before 2013."""
    ok = re.fullmatch(r"[HM]\d{8}(?:\d{2})?", text)
    return (space, text[:9], Validity.WELL_FORMED, "") if ok else (space, text, Validity.INVALID, "FORMAT")


def _tw_permit(space: NumberSpace, text: str) -> Found:
    """台胞证: eight digits for life; booklets add two digits and a letter."""
    if re.fullmatch(r"\d{8}", text[:8]) and (len(text) == 8 or _TW_SUFFIX.fullmatch(text[8:])):
        return space, text[:8], Validity.WELL_FORMED, ""
    return space, text, Validity.INVALID, "FORMAT"


def _passport(space: NumberSpace, text: str) -> Found:
    ok = re.fullmatch(r"[A-Z0-9]{5,17}", text)
    return (space, text, Validity.WELL_FORMED, "") if ok else (space, text, Validity.INVALID, "FORMAT")


def _military(space: NumberSpace, text: str) -> Found:
    """``军字第2001988号`` → ``军2001988``."""
    number = re.sub(r"[字第号#()-]", "", text)
    ok = re.fullmatch(r"[一-鿿]{0,4}[0-9A-Z]{5,12}", number)
    return (space, number, Validity.WELL_FORMED, "") if ok else (space, text, Validity.INVALID, "FORMAT")


def _citizen_broken(space: NumberSpace, text: str) -> Found:
    return space, text, Validity.INVALID, "LENGTH" if text.isalnum() else "FORMAT"


def _fpr_2017(space: NumberSpace, text: str) -> Found:
    """The 2017 card: three letters of the country and twelve digits. Renewed as a 2023 card, the number is another."""
    ok = re.fullmatch(r"[A-Z]{3}\d{12}", text)
    return (space, text, Validity.WELL_FORMED, "") if ok else (space, text, Validity.INVALID, "FORMAT")


_PERSON_FORMS: Mapping[NumberSpace, Callable[[NumberSpace, str], Found]] = {
    _S.CITIZEN: _citizen_broken,
    _S.HMT_RESIDENCE: _citizen_broken,
    _S.FPR: _fpr_2017,
    _S.HM_PERMIT: _hm_permit,
    _S.TW_PERMIT: _tw_permit,
    _S.PASSPORT: _passport,
    _S.MILITARY: _military,
    _S.POLICE: _military,
}


def _organization_number(kind: IdentifierKind | None, space: NumberSpace, text: str, as_of: date | None) -> Found:
    number = text.replace("-", "")
    if "*" in number:
        return space, number, Validity.MASKED, ""
    if space is not _S.USCC and space is not _S.TAX_NO and check_uscc_digit(number):
        return _S.USCC, number, Validity.VALID, "KIND_CORRECTED"
    if space is _S.OTHER_O:
        space = _S.ORG_CODE if check_org_code(number) else _S.BIZ_REG_NO if check_business_reg_no(number) else space
    return _ORGANIZATION_FORMS.get(space, _any_form)(space, number)


def _uscc(space: NumberSpace, text: str) -> Found:
    if check_uscc_digit(text):
        return space, text, Validity.VALID, ""
    if len(text) == 18 and text.isalnum() and text.isascii():
        return space, text, Validity.DOUBTFUL, "CHECK_DIGIT"
    return space, text, Validity.INVALID, "LENGTH"


def _checked(check: Callable[[str], bool]) -> Callable[[NumberSpace, str], Found]:
    def judge(space: NumberSpace, text: str) -> Found:
        return (space, text, Validity.VALID, "") if check(text) else (space, text, Validity.INVALID, "CHECK_DIGIT")

    return judge


def _tax_no(space: NumberSpace, text: str) -> Found:
    ok = re.fullmatch(r"[0-9A-Z]{15}|[0-9A-Z]{17,18}|[0-9A-Z]{20}", text)
    return (space, text, Validity.WELL_FORMED, "") if ok else (space, text, Validity.INVALID, "LENGTH")


_ORGANIZATION_FORMS: Mapping[NumberSpace, Callable[[NumberSpace, str], Found]] = {
    _S.USCC: _uscc,
    _S.ORG_CODE: _checked(check_org_code),
    _S.BIZ_REG_NO: _checked(check_business_reg_no),
    _S.TAX_NO: _tax_no,
    _S.ZZM: _checked(check_zhongzheng),
    _S.LEI: _checked(check_lei),
}


def birth_date_of(number: str) -> date | None:
    """The birth date inside an 18-digit number (digits 7 to 14)."""
    return calendar_date(number[6:14]) if len(number) == 18 and number[:17].isdigit() else None


def gender_of(number: str) -> str | None:
    """``MALE`` for an odd 17th digit, ``FEMALE`` for an even one; None for other numbers."""
    if len(number) != 18 or not number[:17].isdigit():
        return None
    return "MALE" if int(number[16]) % 2 else "FEMALE"


def country_of_fpr(number: str) -> str | None:
    """ISO 3166-1 numeric country of a 2023 foreign permanent resident number (digits 4 to 6)."""
    return number[3:6] if len(number) == 18 and number.startswith("9") and number[:17].isdigit() else None


def org_code_of_uscc(uscc: str) -> str | None:
    """The organisation code inside a USCC (characters 9 to 17), if its own check digit is right."""
    code = uscc[8:17]
    return code if len(uscc) == 18 and check_org_code(code) else None
