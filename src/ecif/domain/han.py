"""Tables of Chinese characters: private-use code points, simplified forms, name dots and readings."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import product

from opencc import OpenCC
from pypinyin import Style, pinyin

DOTS = "·•．‧・∙⋅ᐧ﹒｡。.●"
"""Everything that has been seen in the place of U+00B7, the dot of 民委发〔2016〕33号."""

WILDCARDS = "*?□〓■＊？"
"""What stands for a character that a system could not show, or hides."""


def _gbk_private_use() -> dict[int, str]:
    """The GBK block U+E815–U+E864: 66 code points by way of GB 18030 (byte pairs from FE50), 14 by table."""
    table = {
        0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC, 0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6,
        0xE82C: 0x9FB7, 0xE831: 0x215D7, 0xE832: 0x9FB8, 0xE83B: 0x2298F, 0xE843: 0x9FB9, 0xE854: 0x9FBA,
        0xE855: 0x241FE, 0xE864: 0x9FBB,
    }  # fmt: skip
    found = {cp: chr(to) for cp, to in table.items()}
    trail = [b for b in range(0x50, 0xFF) if b != 0x7F]
    for cp, low in zip(range(0xE815, 0xE865), trail, strict=False):
        decoded = bytes((0xFE, low)).decode("gb18030")
        if cp not in found and not 0xE000 <= ord(decoded) <= 0xF8FF:
            found[cp] = decoded
    return found


PRIVATE_USE = _gbk_private_use()
_T2S = OpenCC("t2s")


@lru_cache(maxsize=16384)
def simplified(character: str) -> str:
    """One character in simplified form. Never phrases: 乾隆 and 干 would become one name."""
    return str(_T2S.convert(character))


def simplify(text: str) -> str:
    """Character by character, for comparison only; the name itself stays as the document has it."""
    return text if text.isascii() else "".join(map(simplified, text))


def is_han(character: str) -> bool:
    """A Chinese character of any plane."""
    return "㐀" <= character <= "鿿" or character >= "\U00020000" or "豈" <= character <= "﫿" or character == "〇"


_SURNAME_READINGS: dict[str, tuple[str, ...]] = {
    "单": ("SHAN",), "仇": ("QIU",), "解": ("XIE",), "查": ("ZHA",), "曾": ("ZENG",), "任": ("REN",), "区": ("OU",),
    "翟": ("ZHAI", "DI"), "盖": ("GAI", "GE"), "尉迟": ("YUCHI",), "万俟": ("MOQI",), "朴": ("PIAO", "PU"),
    "缪": ("MIAO",), "乐": ("YUE", "LE"), "覃": ("QIN", "TAN"), "薄": ("BO",), "员": ("YUN",), "宁": ("NING",),
    "冼": ("XIAN",), "曲": ("QU",), "华": ("HUA",), "纪": ("JI",), "洗": ("XIAN",), "种": ("CHONG",),
    "召": ("SHAO",), "繁": ("PO",), "黑": ("HE", "HEI"), "秘": ("BI", "MI"), "折": ("SHE",), "长孙": ("ZHANGSUN",),
    "澹台": ("TANTAI",), "令狐": ("LINGHU",), "单于": ("CHANYU",), "吕": ("LV",),
}  # fmt: skip

COMPOUND_SURNAMES = frozenset(
    [
        "欧阳",
        "上官",
        "司马",
        "诸葛",
        "夏侯",
        "东方",
        "尉迟",
        "万俟",
        "皇甫",
        "慕容",
        "司徒",
        "司空",
        "令狐",
        "长孙",
        "宇文",
        "轩辕",
        "端木",
        "南宫",
        "西门",
        "公孙",
        "独孤",
        "澹台",
        "闻人",
        "赫连",
        "钟离",
        "申屠",
        "濮阳",
        "淳于",
        "单于",
        "太史",
        "百里",
        "呼延",
        "闾丘",
        "东郭",
        "公羊",
        "公冶",
        "宗政",
        "拓跋",
    ]
)

READINGS_MAX = 16


def split_surname(name: str) -> tuple[str, str]:
    """Surname and given name of a Chinese name."""
    cut = 2 if len(name) > 2 and name[:2] in COMPOUND_SURNAMES else 1
    return name[:cut], name[cut:]


def fold_umlaut(pinyin_text: str) -> str:
    """LÜ, LYU, LV → LV; NYU → NV: one letter for ü."""
    return pinyin_text.replace("Ü", "V").replace("LYU", "LV").replace("NYU", "NV").replace("YV", "V")


@lru_cache(maxsize=16384)
def character_readings(character: str) -> tuple[str, ...]:
    """The toneless readings of one character in upper case, most usual first, at most four."""
    found = pinyin(character, style=Style.NORMAL, heteronym=True, v_to_u=False)
    return tuple(dict.fromkeys(fold_umlaut(r.upper()) for r in found[0]))[:4] if found else ()


@lru_cache(maxsize=4096)
def syllables(name: str) -> tuple[tuple[str, ...], ...]:
    """Surname syllables as one part and each given character as one part, each with its readings."""
    surname, given = split_surname(name)
    first = _SURNAME_READINGS.get(surname)
    if first is None:
        combined = product(*(character_readings(c) for c in surname))
        first = tuple("".join(parts) for parts in combined)[:4]
    return (first, *(character_readings(c) for c in given))


@lru_cache(maxsize=4096)
def readings(name: str) -> frozenset[tuple[str, str]]:
    """(surname, given name) in pinyin, every combination of readings up to :data:`READINGS_MAX`, surname table first."""
    parts = syllables(name)
    found: list[tuple[str, str]] = []
    for combination in product(*parts):
        if len(found) >= READINGS_MAX:
            break
        found.append((combination[0], "".join(combination[1:])))
    return frozenset(found)


SPELLINGS_MAX = 4
_TURNS_MAX = 40


@lru_cache(maxsize=4096)
def spellings(name: str) -> tuple[str, ...]:
    """A Chinese name in Latin letters (拼音): as it is usually read, then with another reading of one part."""
    parts = syllables(name)
    if not all(parts):
        return ()
    usual = [part[0] for part in parts]
    others = sorted((rank, n, reading) for n, part in enumerate(parts) for rank, reading in enumerate(part[1:]))
    found = (usual, *([*usual[:n], reading, *usual[n + 1 :]] for _, n, reading in others))
    return tuple(dict.fromkeys(_one_u("".join(p)) for p in found))[:SPELLINGS_MAX]


def turned(text: str) -> list[str]:
    """The letters of a name in Latin writing, begun with each of its words: the surname may stand first or last.

    Tones, case, hyphens and spaces do not count. Of a name that is one word, any letter may be the first.
    """
    bare = "".join(
        c for c in unicodedata.normalize("NFKD", text).upper() if c not in "'’" and not unicodedata.combining(c)
    )
    words = re.findall("[A-Z]+", bare)
    units = words if len(words) > 1 else list("".join(words))
    return list(dict.fromkeys(_one_u("".join(units[n:] + units[:n])) for n in range(min(len(units), _TURNS_MAX))))


def _one_u(letters: str) -> str:
    """U for ü too, as machines write it: LYU, LV and LU are one."""
    return letters.replace("LYU", "LU").replace("NYU", "NU").replace("V", "U")
