"""Which elements of identity a golden record lacks (信息完整度).

The sets are the minimum of 金融机构客户身份识别管理办法: nine elements of a person (九要素: name, gender, nationality,
occupation, residence or place of work, contact, kind, number and validity of the document), and for an organisation name,
address, contact, kind, number and validity of the licence.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from ecif.domain.records import PartyType


class Element(StrEnum):
    """要素. The value is the place in a request that states it."""

    NAME = "name"
    GENDER = "gender"
    NATIONALITY = "nationality"
    OCCUPATION = "occupation"
    ADDRESS = "addresses"
    PHONE = "phones"
    IDENTIFIER = "identifiers"
    VALIDITY = "identifiers.valid_to"


class Profile(StrEnum):
    """What a channel has to state of a new customer."""

    COUNTER = "COUNTER"
    BASIC = "BASIC"


_E = Element
FULL: Mapping[PartyType, tuple[Element, ...]] = {
    PartyType.PERSON: tuple(Element),
    PartyType.ORGANIZATION: (_E.NAME, _E.ADDRESS, _E.PHONE, _E.IDENTIFIER, _E.VALIDITY),
}
"""The whole set, against which completeness is measured."""

REQUIRED: Mapping[Profile, Mapping[PartyType, tuple[Element, ...]]] = {
    Profile.COUNTER: FULL,
    Profile.BASIC: dict.fromkeys(PartyType, (_E.NAME, _E.IDENTIFIER)),
}


def lacks(document: Mapping[str, Any], wanted: tuple[Element, ...]) -> list[Element]:
    """The elements that a golden record has no usable value for."""
    return [element for element in wanted if not _has(document, element)]


def _has(document: Mapping[str, Any], element: Element) -> bool:
    match element:
        case Element.VALIDITY:
            return any(entry["valid_to"] for entry in document["identifiers"] if not entry["replaced"])
        case Element.ADDRESS | Element.PHONE | Element.IDENTIFIER:
            return bool(document[element.value])
        case _:
            return element.value in document["fields"]


def completeness(document: Mapping[str, Any]) -> tuple[int, list[Element]]:
    """Percent of the whole set that is there, and what is missing."""
    wanted = FULL[PartyType(document["party_type"])]
    missing = lacks(document, wanted)
    return round(100 * (1 - len(missing) / len(wanted))), missing
