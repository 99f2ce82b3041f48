"""Check digits of identity numbers. ``python-stdnum`` does the arithmetic; what it lacks is here."""

from __future__ import annotations

import re
from datetime import date

from stdnum import lei as _lei
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_11_2, mod_11_10

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = [pow(3, i, 31) for i in range(17)]
_ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ZHONGZHENG_WEIGHTS = (1, 3, 5, 7, 11, 2, 13, 1, 1, 17, 19, 97, 23, 29)
_ORG_CODE = re.compile(r"[0-9A-Z]{8}[0-9X]")
_CITIZEN = re.compile(r"\d{17}[\dX]")


def citizen_check_digit(first_17: str) -> str:
    """The 18th character of a citizen number (GB 11643-1999, ISO 7064 MOD 11-2)."""
    return str(mod_11_2.calc_check_digit(first_17))


def check_citizen_digit(number: str) -> bool:
    """Whether an 18-character number ends in its check digit; dates and districts are not looked at."""
    return bool(_CITIZEN.fullmatch(number)) and citizen_check_digit(number[:17]) == number[17]


def uscc_check_digit(first_17: str) -> str | None:
    """The 18th character of a unified social credit code (GB 32100-2015); None if a character is not of its alphabet.

    The sum may be divisible by 31, and the digit is then ``0``.
    """
    values = [_USCC_ALPHABET.find(c) for c in first_17]
    if len(values) != 17 or min(values) < 0:
        return None
    return _USCC_ALPHABET[-sum(v * w for v, w in zip(values, _USCC_WEIGHTS, strict=True)) % 31]


def check_uscc_digit(number: str) -> bool:
    """Whether a unified social credit code ends in its check digit. A failure is a warning, not a refusal:

    some codes of the early pilots in Fujian and Xiamen are genuine and fail it.
    """
    return len(number) == 18 and uscc_check_digit(number[:17]) == number[17]


def check_org_code(number: str) -> bool:
    """Organisation code (GB 11714-1997), nine characters without the dash."""
    if not _ORG_CODE.fullmatch(number):
        return False
    total = sum(int(c, 36) * w for c, w in zip(number, _ORG_WEIGHTS, strict=False))
    return number[8] == "0123456789X0"[(11 - total % 11) % 11 if total % 11 != 1 else 10]


def check_business_reg_no(number: str) -> bool:
    """Business licence registration number (GS15-2006, ISO 7064 MOD 11,10), 15 digits."""
    return len(number) == 15 and number.isascii() and number.isdigit() and bool(mod_11_10.is_valid(number))


def check_zhongzheng(number: str) -> bool:
    """Zhongzheng code (中征码): two check digits after 14 characters."""
    if not re.fullmatch(r"[0-9A-Z]{14}\d{2}", number):
        return False
    total = sum(int(c, 36) * w for c, w in zip(number, _ZHONGZHENG_WEIGHTS, strict=False))
    return int(number[14:]) == total % 97 + 1


def check_lei(number: str) -> bool:
    """Legal entity identifier (ISO 17442, ISO 7064 MOD 97-10)."""
    try:
        return len(number) == 20 and bool(_lei.validate(number))
    except ValidationError:
        return False


def calendar_date(text: str) -> date | None:
    """``YYYYMMDD`` as a date of the calendar."""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 and text.isdigit() else None
    except ValueError:
        return None


def upgrade_15(number: str) -> tuple[str, ...]:
    """The 18-digit forms of a first-generation number (GB 11643-1989), the likely one first.

    Sequences 996 to 999 were set aside for people born before 1900, so that both centuries are possible.
    """
    if len(number) != 15 or not (number.isascii() and number.isdigit()):
        return ()
    centuries = ("19", "18") if number[12:] in ("996", "997", "998", "999") else ("19",)
    stems = [f"{number[:6]}{century}{number[6:]}" for century in centuries]
    return tuple(stem + citizen_check_digit(stem) for stem in stems if calendar_date(stem[6:14]))
