"""Addresses (地址) in parts. The same flat is written in many ways; only its parts can be compared.

``茌平区大学路90号丰泽新村26栋3单元1801室``, ``丰泽新村(大学路90号)26-3-1801`` and ``丰泽新村26幢1801`` are one place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from ecif.domain.han import simplify
from ecif.domain.placeholders import is_placeholder_address
from ecif.domain.regions import regions_conflict, split_regions
from ecif.domain.text import compact

_BUILDING = r"(?P<building>[0-9]+|[A-Z])"
_TAILS = (
    re.compile(_BUILDING + r"(?:栋|幢|座|号楼|楼|#)(?:(?P<unit>\d+)(?:单元|门))?(?P<room>\d+[A-Z]?)?室?$"),
    re.compile(_BUILDING + r"-(?P<unit>\d+)-(?P<room>\d+[A-Z]?)室?$"),
    re.compile(_BUILDING + r"-(?P<unit>)(?P<room>\d{3,4})室?$"),
    re.compile(r"(?P<building>)(?P<unit>)(?<!\d)(?P<room>\d{3,4})室?$"),
)
_VILLAGE = re.compile(r"(?P<village>[一-鿿]{2,6}?村)(?:(?P<group>\d+)组)?(?:(?P<no>\d+)号?)?$")
_ROAD = re.compile(r"(?P<road>[一-鿿]{1,8}?(?:大道|大街|路|街|道|胡同|巷|弄|里))(?P<no>\d+)号?(?!楼)")
_TOWN = re.compile(r"^[一-鿿]{1,5}?(?:镇|乡|街道)")
_UNITS = str.maketrans({"〇": "0", "，": None, ",": None, "、": None, "号": "号", "—": "-", "－": "-"})


@dataclass(frozen=True, slots=True)
class NormalAddress:
    """The parts that parse; an empty part is unknown. ``key`` finds the same door again, whatever else is left out."""

    key: str = field(repr=False)
    regions: str = ""
    road: str = field(default="", repr=False)
    road_no: str = field(default="", repr=False)
    estate: str = field(default="", repr=False)
    building: str = field(default="", repr=False)
    unit: str = field(default="", repr=False)
    room: str = field(default="", repr=False)


class AddressRelation(StrEnum):
    """地址关系, closest first."""

    SAME = "SAME"
    """The same flat, house or office."""
    SAME_BUILDING = "SAME_BUILDING"
    """The same building; one of the two names no flat."""
    SAME_ESTATE = "SAME_ESTATE"
    """The same estate or street number; one of the two names no building."""
    NEIGHBOUR = "NEIGHBOUR"
    """Another door of the same estate."""
    SAME_DISTRICT = "SAME_DISTRICT"
    DIFFERENT = "DIFFERENT"
    MISSING = "MISSING"


@lru_cache(maxsize=4096)
def normalize_address(raw: str) -> NormalAddress | None:
    """Parses an address; None if it is missing or a placeholder."""
    text = simplify(compact(raw)).upper().translate(_UNITS)
    if not text or is_placeholder_address(text):
        return None
    regions, rest = split_regions(text)
    rest, building, unit, room = _split_tail(rest.replace("(", " ").replace(")", " "))
    rest, road, road_no = _split_road(rest)
    village = _VILLAGE.search(rest)
    if village and not building:
        estate, room = _TOWN.sub("", village["village"]), f"{village['group'] or ''}-{village['no'] or ''}".strip("-")
    else:
        estate = _TOWN.sub("", rest.replace(" ", "")) if not road else rest.replace(" ", "")
    key = "-".join(filter(None, (building, room))) or f"{road}{road_no}"
    if not building and estate:
        key = f"{estate}{room}"
    return NormalAddress(key, "/".join(regions), road, road_no, estate, building, unit, room)


def _split_tail(text: str) -> tuple[str, str, str, str]:
    """Takes building, unit and room off; a bracket may follow them (``26-3-1801 大学路90号``)."""
    whole = text.strip()
    head, _, after = whole.rpartition(" ")
    for candidate, other in ((whole, ""), (head, after)):
        for tail in _TAILS:
            found = tail.search(candidate)
            if found:
                left = f"{candidate[: found.start()]} {other}"
                return left, found["building"] or "", found["unit"] or "", found["room"] or ""
    return text, "", "", ""


def _split_road(text: str) -> tuple[str, str, str]:
    found = _ROAD.search(text)
    if not found:
        return text, "", ""
    return text[: found.start()] + text[found.end() :], _TOWN.sub("", found["road"]), found["no"]


@lru_cache(maxsize=4096)
def relate_addresses(a: NormalAddress | None, b: NormalAddress | None) -> AddressRelation:
    """How two addresses relate. Symmetric."""
    if a is None or b is None:
        return AddressRelation.MISSING
    ours, theirs = (tuple(x.regions.split("/")) if x.regions else () for x in (a, b))
    if regions_conflict(ours, theirs):
        return AddressRelation.DIFFERENT
    if not _same_place(a, b):
        return AddressRelation.SAME_DISTRICT if len(set(ours) & set(theirs)) > 1 else AddressRelation.DIFFERENT
    if _conflict(a.building, b.building) or _conflict(a.unit, b.unit) or _conflict(a.room, b.room):
        return AddressRelation.NEIGHBOUR
    if a.building != b.building:
        return AddressRelation.SAME_ESTATE
    if not a.room and not b.room and not a.building:
        return AddressRelation.SAME if a.road_no and a.road_no == b.road_no else AddressRelation.SAME_ESTATE
    return AddressRelation.SAME if a.room and b.room else AddressRelation.SAME_BUILDING


def _same_place(a: NormalAddress, b: NormalAddress) -> bool:
    """The same estate, or the same number in the same street, and no contradiction in the other of the two."""
    street = (a.road, a.road_no) == (b.road, b.road_no)
    if a.road_no and b.road_no:
        return street
    return bool(a.estate) and a.estate == b.estate


def _conflict(a: str, b: str) -> bool:
    return bool(a and b) and a != b
