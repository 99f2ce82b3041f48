"""The match rules as a table that a compliance officer can read (匹配规则).

A row holds when every field it names is at one of the levels it names; the first row that holds decides. Fields that a
row does not name may be at any level. Rows are in order of strength: ``tier`` is the row's place (0 for what was said),
and clusters are closed tier by tier (:mod:`ecif.matching.clustering`).

Change a row, or how a value is normalised, keyed or compared, and raise :data:`POLICY_VERSION`: every link and every review
says under which version it was made, and a database of another version takes no records in before it is rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ecif.domain.records import PartyType
from ecif.matching.types import Field, Level, Outcome

POLICY_VERSION = "2026.11-5"

SAME = frozenset({Level.EQUAL})
AGREES = frozenset({Level.EQUAL, Level.VARIANT, Level.PARTIAL})
COMPATIBLE = AGREES
"""Names that may be one person's under one identity number."""
SPELLING = frozenset({Level.EQUAL, Level.VARIANT})
"""The same name, whole, perhaps in another script form or form of company."""
OPEN = frozenset(Level) - {Level.DIFFERENT}
"""Whatever does not contradict."""
UNKNOWN = frozenset({Level.MISSING})
CONFLICT = frozenset({Level.DIFFERENT})
MISTYPED = frozenset({Level.NEAR, Level.MISSING})
"""A name one slip apart, or none at all: what an equal number needs one more fact for."""

PERSON, ORGANIZATION = PartyType.PERSON, PartyType.ORGANIZATION


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. ``level`` is the evidence class: M1–M7 for agreement, N1–N4 for vetoes."""

    id: str
    party_type: PartyType
    outcome: Outcome
    level: str
    needs: Mapping[Field, frozenset[Level]]
    meaning: str
    tier: int = 0


def _rule(id: str, party: PartyType, outcome: Outcome, level: str, meaning: str, /, **needs: frozenset[Level]) -> Rule:
    return Rule(id, party, outcome, level, {Field(name): levels for name, levels in needs.items()}, meaning)


SAID = "M0"
"""The evidence class of what a person said of two records."""

AUTO, REVIEW, SEPARATE = Outcome.AUTO, Outcome.REVIEW, Outcome.SEPARATE

# fmt: off
_ROWS = (
    # What was said when one of the two was written down
    _rule("SAID-OTHER-ID", PERSON, REVIEW, "N0", "曾确认并非同一人, 现证件同号 said not to be the same, but now under one number", stated=CONFLICT, identifier=SAME),
    _rule("SAID-OTHER-ID", ORGANIZATION, REVIEW, "N0", "曾确认并非同一机构, 现代码相同 said not to be the same, but now under one code", stated=CONFLICT, identifier=SAME),
    _rule("SAID-OTHER", PERSON, SEPARATE, "N0", "开户时已确认并非同一人 said not to be the same when it was opened", stated=CONFLICT),
    _rule("SAID-OTHER", ORGANIZATION, SEPARATE, "N0", "开户时已确认并非同一机构 said not to be the same when it was opened", stated=CONFLICT),
    _rule("SAID", PERSON, AUTO, SAID, "在该客户名下补录 written onto this customer", stated=SAME),
    _rule("SAID", ORGANIZATION, AUTO, SAID, "在该客户名下补录 written onto this customer", stated=SAME),
    # Vetoes
    _rule("P-N1", PERSON, SEPARATE, "N1", "两个有效证件号码不同 two valid numbers differ", identifier=CONFLICT),
    _rule("O-N1", ORGANIZATION, SEPARATE, "N1", "两个有效代码不同 two valid codes differ", identifier=CONFLICT),
    _rule("O-N4", ORGANIZATION, REVIEW, "N4", "同一代码, 总分机构名称 one code, head office and branch names", identifier=SAME, kind=CONFLICT),
    _rule("O-N4S", ORGANIZATION, SEPARATE, "N4", "总分机构 head office and branch", kind=CONFLICT),
    # Persons: a strong identifier
    _rule("P-ID", PERSON, AUTO, "M1", "同号同名 same number, compatible names", identifier=SAME, name=COMPATIBLE),
    _rule("P-ID-PHONE", PERSON, AUTO, "M1", "同号, 姓名近似或缺失, 同电话 same number and phone, name mistyped or missing", identifier=SAME, name=MISTYPED, phone=AGREES, birth=OPEN, gender=OPEN),
    _rule("P-ID-ADDR", PERSON, AUTO, "M1", "同号, 姓名近似或缺失, 同住址 same number and address, name mistyped or missing", identifier=SAME, name=MISTYPED, address=SAME, birth=OPEN, gender=OPEN),
    _rule("P-ID-EMAIL", PERSON, AUTO, "M1", "同号, 姓名近似或缺失, 同邮箱 same number and e-mail, name mistyped or missing", identifier=SAME, name=MISTYPED, email=SAME, birth=OPEN, gender=OPEN),
    # Persons: several independent facts, no contradiction
    _rule("P-DOC", PERSON, AUTO, "M4", "同证件, 同名, 同生日 same document, name and birth date", document=SAME, name=SPELLING, birth=SAME),
    _rule("P-DOC-PHONE", PERSON, AUTO, "M4", "同证件, 同名, 同电话 same document, name and phone", document=SAME, name=SPELLING, phone=SAME, birth=OPEN),
    _rule("P-DOC-ADDR", PERSON, AUTO, "M4", "同证件, 同名, 同住址 same document, name and address", document=SAME, name=SPELLING, address=SAME, birth=OPEN),
    _rule("P-DOC-GENDER", PERSON, AUTO, "M4", "同证件, 同名, 同性别 same document, name and gender", document=SAME, name=SPELLING, gender=SAME, birth=OPEN),
    _rule("P-DOC-PART-PHONE", PERSON, AUTO, "M4", "同证件, 姓名相容, 同独用电话 same document, name hidden or in part, a phone of nobody else", document=SAME, name=COMPATIBLE, phone=SAME, birth=OPEN),
    _rule("P-DOC-PART-ADDR", PERSON, AUTO, "M4", "同证件, 姓名相容, 同住址 same document, name hidden or in part, same address", document=SAME, name=COMPATIBLE, address=SAME, birth=OPEN),
    _rule("P-SLIP", PERSON, AUTO, "M4", "同错号, 同名, 同生日 same wrong number, name and birth date", broken_number=SAME, name=SPELLING, birth=SAME),
    _rule("P-NB-PHONE", PERSON, AUTO, "M5", "同名, 同生日, 同电话 same name, birth date and phone", name=SPELLING, birth=SAME, phone=AGREES, broken_number=OPEN, masked_number=OPEN),
    _rule("P-NB-MASK", PERSON, AUTO, "M5", "同名, 同生日, 掩码号码相符 same name and birth date, masked number fits", name=SPELLING, birth=SAME, masked_number=AGREES),
    _rule("P-NB-ADDR", PERSON, AUTO, "M5", "同名, 同生日, 同住址 same name, birth date and address", name=SPELLING, birth=SAME, address=AGREES, broken_number=OPEN, masked_number=OPEN),
    _rule("P-NB-EMAIL", PERSON, AUTO, "M5", "同名, 同生日, 同邮箱 same name, birth date and e-mail", name=SPELLING, birth=SAME, email=SAME, broken_number=OPEN, masked_number=OPEN),
    _rule("P-NB-WORK", PERSON, AUTO, "M5", "同名, 同生日, 同性别, 同一企业雇主 same name, birth date, gender and employing company", name=SPELLING, birth=SAME, gender=SAME, employer=SAME, broken_number=OPEN, masked_number=OPEN),
    _rule("P-NP-WORK", PERSON, AUTO, "M5", "同名, 同电话, 同一企业雇主 same name, phone and employing company", name=SPELLING, phone=SAME, employer=SAME, birth=UNKNOWN, gender=OPEN, broken_number=OPEN, masked_number=OPEN),
    _rule("P-NP-MASK", PERSON, AUTO, "M5", "同名, 同电话, 掩码号码相符 same name and phone, masked number fits", name=SPELLING, phone=SAME, masked_number=AGREES, birth=OPEN),
    _rule("P-NP-ADDR", PERSON, AUTO, "M5", "同名, 同电话, 同住址 same name, phone and address", name=SPELLING, phone=AGREES, address=SAME, birth=UNKNOWN, gender=OPEN, broken_number=OPEN, masked_number=OPEN),
    _rule("P-NP-EMAIL", PERSON, AUTO, "M5", "同名, 同电话, 同邮箱 same name, phone and e-mail", name=SPELLING, phone=SAME, email=SAME, birth=UNKNOWN, gender=OPEN, broken_number=OPEN, masked_number=OPEN),
    _rule("P-N-MASK", PERSON, AUTO, "M5", "同名, 同性别, 掩码号码相符 same name and gender, masked number fits", name=SPELLING, gender=SAME, masked_number=AGREES, birth=OPEN),
    _rule("P-MASK-PHONE", PERSON, AUTO, "M6", "姓名相容, 掩码号码相符, 同独用电话 name hidden or Latin, masked number fits, a phone of nobody else", name=COMPATIBLE, masked_number=AGREES, phone=SAME, birth=OPEN),
    _rule("P-MASK-BIRTH", PERSON, AUTO, "M6", "姓名相容, 掩码号码相符, 同生日 name hidden or Latin, masked number fits, same birth date", name=COMPATIBLE, masked_number=AGREES, birth=SAME, gender=OPEN),
    _rule("P-MASK-ADDR", PERSON, AUTO, "M6", "姓名相容, 掩码号码相符, 同住址 name hidden or Latin, masked number fits, same address", name=COMPATIBLE, masked_number=AGREES, address=SAME, birth=OPEN),
    _rule("P-NP", PERSON, AUTO, "M5", "同名, 同性别, 同一独用电话 same name and gender, a phone of nobody else", name=SPELLING, phone=SAME, gender=SAME, birth=UNKNOWN, broken_number=OPEN, masked_number=OPEN),
    _rule("P-NE", PERSON, AUTO, "M5", "同名, 同性别, 同一独用邮箱 same name and gender, an e-mail of nobody else", name=SPELLING, email=SAME, gender=SAME, birth=UNKNOWN, broken_number=OPEN, masked_number=OPEN),
    _rule("P-NA", PERSON, AUTO, "M5", "同名, 同性别, 同一户住址 same name, gender and flat", name=SPELLING, address=SAME, gender=SAME, birth=frozenset({Level.MISSING, Level.NEAR}), broken_number=OPEN, masked_number=OPEN),
    _rule("P-PART", PERSON, AUTO, "M6", "姓名相容, 同生日, 同性别, 同一独用电话 name hidden or Latin, same birth date and gender, a phone of nobody else", name=COMPATIBLE, birth=SAME, gender=SAME, phone=SAME, broken_number=OPEN, masked_number=OPEN),
    _rule("P-PART-ADDR", PERSON, AUTO, "M6", "姓名相容, 同一独用电话, 同住址 name hidden or Latin, a phone of nobody else, same address", name=COMPATIBLE, phone=SAME, address=SAME, birth=UNKNOWN, gender=OPEN, broken_number=OPEN, masked_number=OPEN),
    _rule("P-PART-EMAIL", PERSON, AUTO, "M6", "姓名相容, 同生日, 同性别, 同一独用邮箱 name hidden or Latin, same birth date and gender, an e-mail of nobody else", name=COMPATIBLE, birth=SAME, gender=SAME, email=SAME, broken_number=OPEN, masked_number=OPEN),
    # Persons: questions for a steward
    _rule("P-ID-NAME", PERSON, REVIEW, "M2", "同号不同名 same number, other name", identifier=SAME),
    _rule("P-DOC-NAME", PERSON, REVIEW, "M4", "同证件, 其他不足 same document, the rest does not suffice", document=SAME, name=COMPATIBLE),
    _rule("P-DOC-OTHER", PERSON, REVIEW, "M4", "同证件, 同生日, 姓名不同 same document and birth date, other name", document=SAME, birth=SAME),
    _rule("P-TYPO", PERSON, REVIEW, "M5", "同名, 同生日, 号码一位之差 same name and birth date, number mistyped", broken_number=frozenset({Level.NEAR}), name=SPELLING, birth=SAME),
    _rule("P-NEAR", PERSON, REVIEW, "M5", "姓名近似, 同生日, 同电话 name mistyped, same birth date and phone", name=frozenset({Level.NEAR}), birth=SAME, phone=AGREES, gender=OPEN),
    _rule("P-PART-FAMILY", PERSON, REVIEW, "M6", "姓名相容, 同生日, 同电话 name hidden or Latin, same birth date and phone", name=COMPATIBLE, birth=SAME, phone=AGREES),
    _rule("P-NONAME", PERSON, REVIEW, "M6", "无姓名, 同生日, 同独用电话 no name, same birth date, a phone of nobody else", name=UNKNOWN, birth=SAME, phone=SAME),
    # Organisations
    _rule("O-ID", ORGANIZATION, AUTO, "M1", "同代码同名 same code, compatible names", identifier=SAME, name=COMPATIBLE),
    _rule("O-ID-REP", ORGANIZATION, AUTO, "M1", "同代码, 名称近似或缺失, 同法人 same code and representative, name mistyped, changed in part or missing", identifier=SAME, name=MISTYPED, legal_representative=SAME),
    _rule("O-ID-PHONE", ORGANIZATION, AUTO, "M1", "同代码, 名称近似或缺失, 同电话 same code and phone, name mistyped, changed in part or missing", identifier=SAME, name=MISTYPED, phone=AGREES),
    _rule("O-ID-ADDR", ORGANIZATION, AUTO, "M1", "同代码, 名称近似或缺失, 同地址 same code and address, name mistyped, changed in part or missing", identifier=SAME, name=MISTYPED, address=SAME),
    _rule("O-DOC", ORGANIZATION, AUTO, "M4", "同登记号, 同名 same registration number and name", document=SAME, name=SPELLING),
    _rule("O-FACTS", ORGANIZATION, AUTO, "M5", "同名, 同法人, 同电话 same name, representative and phone", name=SPELLING, legal_representative=SAME, phone=AGREES, address=OPEN, broken_number=OPEN),
    _rule("O-FACTS-ADDR", ORGANIZATION, AUTO, "M5", "同名, 同法人, 同地址 same name, representative and address", name=SPELLING, legal_representative=SAME, address=SAME, broken_number=OPEN),
    _rule("O-FACTS-PA", ORGANIZATION, AUTO, "M5", "同名, 同电话, 同地址 same name, phone and address", name=SPELLING, phone=AGREES, address=SAME, broken_number=OPEN, legal_representative=OPEN),
    _rule("O-NAME-REP", ORGANIZATION, AUTO, "M5", "全称相同, 同法人 same full name and representative", name=SAME, legal_representative=SAME, broken_number=OPEN),
    _rule("O-NAME-PHONE", ORGANIZATION, AUTO, "M5", "全称相同, 同一独用电话 same full name, a phone of nobody else", name=SAME, phone=SAME, legal_representative=OPEN, broken_number=OPEN),
    _rule("O-NAME-ADDR", ORGANIZATION, AUTO, "M5", "全称相同, 同地址 same full name and address", name=SAME, address=SAME, legal_representative=OPEN, broken_number=OPEN),
    _rule("O-ID-NAME", ORGANIZATION, REVIEW, "M2", "同代码不同名 same code, other name", identifier=SAME),
    _rule("O-LIKE-PHONE", ORGANIZATION, REVIEW, "M5", "名称相同, 同电话 same name and phone", name=SPELLING, phone=AGREES),
    _rule("O-LIKE-REP", ORGANIZATION, REVIEW, "M5", "名称相同, 同法人 same name and representative", name=SPELLING, legal_representative=SAME),
)
# fmt: on


def _numbered(rows: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(
        Rule(r.id, r.party_type, r.outcome, r.level, r.needs, r.meaning, 0 if r.level == SAID else tier)
        for tier, r in enumerate(rows, start=1)
    )


RULES: tuple[Rule, ...] = _numbered(_ROWS)
RULES_OF: Mapping[PartyType, tuple[Rule, ...]] = {
    kind: tuple(r for r in RULES if r.party_type is kind) for kind in PartyType
}
SEPARATE_BY_DEFAULT = "NONE"
"""The rule id of a pair on which no row holds (M7: name only, phone only, address only)."""
