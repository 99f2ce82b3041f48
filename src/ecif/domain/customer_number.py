"""The bank-wide customer number (客户号): type digit, ten digits of a sequence, Luhn digit.

It says nothing: no branch, no document, no birth date. (A bank whose numbers came from the document lost the customer
at every change of document.) Numbers are never used twice; gaps are allowed.
"""

from __future__ import annotations

from stdnum import luhn

from ecif.domain.records import PartyType

TYPE_DIGITS = {PartyType.PERSON: "1", PartyType.ORGANIZATION: "2"}
"""Of the type at issue: a party whose source corrects its type keeps its number.

3 (financial institution 同业) and 9 (group 集团) are reserved.
"""

SEQUENCE_MAX = 10**10 - 1


def make_customer_number(party_type: PartyType, sequence: int) -> str:
    """The number of a sequence value, 0 to 9,999,999,999.

    Raises:
        ValueError: the sequence has run out.
    """
    if not 0 <= sequence <= SEQUENCE_MAX:
        raise ValueError(f"customer number sequence out of range: {sequence}")
    stem = f"{TYPE_DIGITS[party_type]}{sequence:010d}"
    return stem + str(luhn.calc_check_digit(stem))


def is_customer_number(text: str) -> bool:
    """Twelve digits that end in their check digit."""
    return len(text) == 12 and text.isascii() and text.isdigit() and text[0] in "1239" and bool(luhn.is_valid(text))
