"""Names of provinces, cities and counties, past ones too, from the GB/T 2260 table that ``python-stdnum`` carries."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

_LINE = re.compile(r'^\s*(\d{2,4}) .*?(?:province|county)="([^"]+)"')
_SUFFIX = re.compile(
    r"(?:(?:壮族|回族|维吾尔|藏族|蒙古族|蒙古|朝鲜族|土家族|苗族|彝族|傣族|白族|侗族|布依族|哈尼族|羌族|哈萨克|傈僳族|景颇族|满族|"
    r"黎族|瑶族|畲族|水族|仡佬族|土族|撒拉族|东乡族|保安族|裕固族|柯尔克孜|锡伯|塔吉克|达斡尔族|鄂温克族|鄂伦春|拉祜族|佤族|"
    r"纳西族|独龙族|怒族|普米族|毛南族|仫佬族|各族|联合)*(?:自治区|自治州|自治县|自治旗)|特别行政区|省|市|区|县|旗|盟|地区|林区)$"
)
_FILLERS = frozenset({"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"})


def stem(name: str) -> str:
    """A region's name without what kind of region it is: 深圳市 → 深圳, 酉阳土家族苗族自治县 → 酉阳."""
    short = _SUFFIX.sub("", name)
    return short if len(short) >= 2 else name


def _load() -> tuple[dict[str, str], dict[str, str]]:
    """(upper, lower): written form → stem, for provinces with prefectures and for counties."""
    upper: dict[str, str] = {}
    lower: dict[str, str] = {}
    for line in (files("stdnum.cn") / "loc.dat").read_text("utf-8").splitlines():
        found = _LINE.match(line)
        for name in re.sub(r"\[[^\]]*\]", "", found[2]).split(",") if found else ():
            if name in _FILLERS:
                continue
            if found and (len(found[1]) == 2 or found[1].endswith("00")):
                upper[name] = upper[stem(name)] = stem(name)
            else:
                lower[name] = stem(name)
    return upper, lower


_UPPER, _LOWER = _load()
_LONGEST = 14
_ANY_CITY = re.compile(r"[一-鿿]{2,3}(?<![超夜菜门])市(?=[一-鿿]{2})")
"""A city that the table does not know under its present name (普洱市); 超市 and 门市部 are none."""


@lru_cache(maxsize=4096)
def split_regions(text: str) -> tuple[tuple[str, ...], str]:
    """Takes the regions off the front: ``深圳市南山区粤海…`` → ``(("深圳", "南山"), "粤海…")``.

    Counties count only in full (建昌县): their short names are too often trade names and roads.
    """
    found: list[str] = []
    while len(found) < 4:
        step = _leading(text) or (None if found else _unknown_city(text))
        if step is None:
            break
        stem_name, text = step
        if stem_name not in found:
            found.append(stem_name)
    return tuple(found), text


def _leading(text: str) -> tuple[str, str] | None:
    for length in range(min(_LONGEST, len(text)), 1, -1):
        head = text[:length]
        name = _UPPER.get(head) or _LOWER.get(head)
        if name:
            return name, text[length:].removeprefix("市") if head == name else text[length:]
    return None


def _unknown_city(text: str) -> tuple[str, str] | None:
    city = _ANY_CITY.match(text)
    return (stem(city[0]), text[city.end() :]) if city else None


def regions_conflict(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Both name regions, and neither's are among the other's (a province or a district may be left out)."""
    return bool(a and b) and not (set(a) & set(b))
