"""Names of organisations in their four parts: 行政区划, 字号, 行业, 组织形式 (企业名称登记管理规定 2020, art. 6).

The trade name (字号) must be identical for two names to be one company's; the region may be missing but not in conflict;
a branch part must be the same in full (art. 13: a branch carries its parent's name).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files

from ecif.domain.han import simplify
from ecif.domain.regions import regions_conflict, split_regions
from ecif.domain.text import compact

_NOTE = re.compile(r"\((?:盖章|公章|筹|个体工商户|已注销|注销|基本户|一般户|专用户|临时户|保证金户)\)")
_BRACKETED = re.compile(r"\(([^)]*)\)")
_BRANCH = re.compile(
    r"(?P<head>.{4,}?(?:公司|集团|\(有限合伙\)|合伙企业|厂|银行|合作社))"
    r"(?P<branch>.*(?:分公司|分店|分厂|分行|支行|分社|营业部|营业所|办事处|项目部|代表处|工会委员会|食堂))"
)
_FORMS = (
    ("股份有限公司", "JOINT_STOCK"), ("股份公司", "JOINT_STOCK"), ("有限责任公司", "LIMITED"), ("有限公司", "LIMITED"),
    ("合伙企业(有限合伙)", "PARTNERSHIP"), ("(有限合伙)", "PARTNERSHIP"), ("合伙企业", "PARTNERSHIP"),
    ("农民专业合作社", "COOPERATIVE"), ("合作社", "COOPERATIVE"), ("公司", ""),
)  # fmt: skip
_NUMERALS = str.maketrans("一二三四五六七八九〇零○", "123456789000")
_ORDINAL = re.compile(r"第([一二三四五六七八九十]+)|[一二三四五六七八九〇零○OoＯ]{4}年?")
_INDUSTRIES = tuple(
    sorted((files("ecif.domain") / "data/industries.txt").read_text("utf-8").split(), key=len, reverse=True)
)


@dataclass(frozen=True, slots=True)
class CompanyName:
    """A parsed name.

    Attributes:
        text: as registered, freed of widths, spaces, stamps and account notes (a display name of an account is no other company).
        key: trade name, industry and branch in simplified form: what never varies in spelling.
        region: 行政区划 as stems (深圳, 南山), joined by ``/``.
        trade: 字号.
        industry: 行业, empty where none is known.
        form: 组织形式 as a class; empty for a bare 公司, a shop or a public body.
        group: 集团 stands in the name.
        branch: the branch's own part, empty for a head office.
    """

    text: str = field(repr=False)
    key: str = field(repr=False)
    region: str = ""
    trade: str = field(default="", repr=False)
    industry: str = ""
    form: str = ""
    group: bool = False
    branch: str = field(default="", repr=False)


class CompanyNameRelation(StrEnum):
    """企业名称关系."""

    EQUAL = "EQUAL"
    FORM_VARIANT = "FORM_VARIANT"
    """The form is spelt otherwise or left out."""
    REGION_VARIANT = "REGION_VARIANT"
    """The region is missing, or stands in brackets elsewhere."""
    ABBREVIATION = "ABBREVIATION"
    """Same trade name; industry or 集团 missing on one side."""
    TRUNCATED = "TRUNCATED"
    RENAMED_FORM = "RENAMED_FORM"
    """Limited company against joint-stock company: legally another form (股改 is a change of name)."""
    ONE_CHARACTER = "ONE_CHARACTER"
    """One character of the trade name differs: mistyped, or another company of the trade."""
    INDUSTRY_DIFFERENT = "INDUSTRY_DIFFERENT"
    """Same trade name, another line of business: a sister company, or one that changed its line."""
    BRANCH = "BRANCH"
    REGION_CONFLICT = "REGION_CONFLICT"
    TRADE_DIFFERENT = "TRADE_DIFFERENT"
    DIFFERENT = "DIFFERENT"
    MISSING = "MISSING"


@lru_cache(maxsize=4096)
def normalize_company_name(raw: str) -> CompanyName | None:
    """Parses a name; None where nothing is left of it. Anything else parses, if need be as a trade name alone."""
    text = _NOTE.sub("", compact(raw).replace("〔", "(").replace("〕", ")").replace("【", "(").replace("】", ")"))
    if not text.strip("()*?-._"):
        return None
    plain = _ORDINAL.sub(lambda m: m[0].translate(_NUMERALS), simplify(text))
    head, branch = _split_branch(plain)
    core, form = _split_form(head)
    group = core.endswith("集团") or "(集团)" in core
    core = core.replace("(集团)", "").removesuffix("集团")
    region, core = _split_region(core)
    trade, industry = _split_industry(core)
    branch_key = re.sub(r"[省市区县()]", "", branch)
    return CompanyName(text, f"{trade}{industry}{branch_key}", region, trade, industry, form, group, branch_key)


def _split_branch(text: str) -> tuple[str, str]:
    found = _BRANCH.fullmatch(text)
    return (found["head"], found["branch"]) if found else (text, "")


def _split_form(text: str) -> tuple[str, str]:
    for suffix, form in _FORMS:
        if text.endswith(suffix) and len(text) > len(suffix):
            return text.removesuffix(suffix), form
    return text, ""


def _split_region(core: str) -> tuple[str, str]:
    regions, rest = split_regions(core.removeprefix("中国"))
    if not regions:  # 中国 before a region is decoration, alone it is part of the name
        rest = core
    for content in _BRACKETED.findall(rest):
        inner, left = split_regions(content)
        if inner and left in ("", "市", "省"):
            regions += tuple(r for r in inner if r not in regions)
            rest = rest.replace(f"({content})", "")
    rest = rest.replace("(", "").replace(")", "")
    if len(rest) < 2:  # the region was the trade name
        return "", core
    return "/".join(regions), rest


def _split_industry(core: str) -> tuple[str, str]:
    for industry in _INDUSTRIES:
        if core.endswith(industry) and len(core) - len(industry) >= 2:
            return core.removesuffix(industry), industry
    return core, ""


@lru_cache(maxsize=4096)
def relate_company_names(a: CompanyName | None, b: CompanyName | None) -> CompanyNameRelation:
    """How two names relate. Symmetric."""
    if a is None or b is None:
        return CompanyNameRelation.MISSING
    if a.text == b.text or simplify(a.text) == simplify(b.text):  # one name is registered, in standard characters
        return CompanyNameRelation.EQUAL
    if a.branch != b.branch:
        return CompanyNameRelation.BRANCH
    if regions_conflict(_regions(a), _regions(b)):
        return CompanyNameRelation.REGION_CONFLICT
    if a.key == b.key:
        return _same_trade(a, b)
    if a.trade == b.trade and not (a.industry and b.industry):
        return CompanyNameRelation.ABBREVIATION
    short, long = sorted((a.trade + a.industry, b.trade + b.industry), key=len)
    if len(short) >= 3 and long.startswith(short):
        return CompanyNameRelation.TRUNCATED
    if a.trade == b.trade:
        return CompanyNameRelation.INDUSTRY_DIFFERENT
    if a.industry != b.industry:
        return CompanyNameRelation.DIFFERENT
    return CompanyNameRelation.ONE_CHARACTER if _one_apart(a.trade, b.trade) else CompanyNameRelation.TRADE_DIFFERENT


def _one_apart(a: str, b: str) -> bool:
    return len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) == 1


def _regions(name: CompanyName) -> tuple[str, ...]:
    return tuple(name.region.split("/")) if name.region else ()


def _same_trade(a: CompanyName, b: CompanyName) -> CompanyNameRelation:
    if a.form and b.form and a.form != b.form:
        return CompanyNameRelation.RENAMED_FORM
    if a.group != b.group:
        return CompanyNameRelation.ABBREVIATION
    return CompanyNameRelation.REGION_VARIANT if a.region != b.region else CompanyNameRelation.FORM_VARIANT
