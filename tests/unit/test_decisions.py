"""Every row of the rule table decides the pairs that it is there for (``tests/cases/decisions.yml``)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from people import citizen, record

from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import Identifier, PartyRecord, PartyType, RelatedParty, RelationType
from ecif.matching.decision import decide
from ecif.matching.fanout import fan_out
from ecif.matching.features import features_of
from ecif.matching.keys import match_keys
from ecif.matching.rules import RULES, SEPARATE_BY_DEFAULT
from ecif.matching.types import Outcome

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[1] / "cases/decisions.yml").read_text("utf-8"))
HOME = "广东省深圳市南山区人民路9号丰泽新村26栋3单元1801室"
ID1, ID2, ID9 = citizen(1), citizen(3), citizen(987)
NUMBERS = {
    "ID1": ID1, "ID2": ID2, "ID9": ID9, "ID1?": ID1[:15] + "8" + ID1[16:], "ID1*": ID1[:6] + "*" * 8 + ID1[-4:],
    "ID1**": ID1[:10] + "*" * 8,
    "ID1-15": ID1[:6] + ID1[8:17], "ID1-15?": ID1[:4] + "89" + ID1[8:17],
}  # fmt: skip
CODES = {
    "USCC1": (IdentifierKind.USCC, "91110108717743469K"),
    "USCC1?": (IdentifierKind.USCC, "91110108717743469A"),
    "USCC2": (IdentifierKind.USCC, "914403001922038216"),
    "ORG1": (IdentifierKind.ORG_CODE, "717743469"),
}


def said(key: str, **says: Any) -> PartyRecord:
    """A record in the words of the cases."""
    kind, number = CODES.get(says.get("id", ""), (IdentifierKind.CITIZEN_ID, NUMBERS.get(says.pop("id", ""), "")))
    says.pop("id", None)
    also = tuple(Identifier(IdentifierKind.HOUSEHOLD_REGISTER, NUMBERS[n]) for n in says.pop("also", ()))
    if "passport" in says:
        kind, number = IdentifierKind.PASSPORT, says.pop("passport")
    if says.get("address") == "HOME":
        says["address"] = HOME
    if "email" in says:
        says["emails"] = (says.pop("email"),)
    for stated in {"same_as", "not_same_as"} & says.keys():
        says[stated] = (("core", says[stated]),)
    if "former" in says:
        says["former_names"] = (says.pop("former"),)
    replaced = tuple(Identifier(kind, NUMBERS[n], replaced=True) for n in says.pop("replaced", ()))
    if "head" in says:
        says["related"] = (RelatedParty(RelationType.LEGAL_REPRESENTATIVE, says.pop("head")),)
    if "org" in says:
        says |= {"name": says.pop("org"), "party_type": PartyType.ORGANIZATION}
    made = record("core", key, says.pop("name", ""), id=number, kind=kind, **says)
    return replace(made, identifiers=(*made.identifiers, *also, *replaced))


@pytest.mark.parametrize("case", CASES, ids=[f"{n}-{c['rule']}" for n, c in enumerate(CASES)])
def test_the_table_decides(case: dict[str, Any]) -> None:
    both = case.get("both", {})
    a, b = (features_of(said(key, **both, **case.get(key, {}))) for key in "ab")
    shared = dict.fromkeys(case.get("family", ()), 2) | dict.fromkeys(case.get("agents", ()), 6)
    decision = decide(a, b, shared)
    assert decision.rule == case["rule"]
    if decision.outcome is Outcome.AUTO:
        assert match_keys(a) & match_keys(b), "no key would ever bring these two together"


def test_every_row_has_a_case() -> None:
    assert {c["rule"] for c in CASES} - {SEPARATE_BY_DEFAULT, "PARTY_TYPE", "QUARANTINED"} == {
        rule.id for rule in RULES
    }


def test_no_row_makes_one_of_a_contradiction() -> None:
    """Only a number that is equal excuses a name that differs; two valid numbers are excused by nothing."""
    for rule in RULES:
        if rule.outcome is Outcome.AUTO and rule.id != "SAID":
            assert len(rule.needs) >= 2, rule.id
            assert all(level.name != "DIFFERENT" for levels in rule.needs.values() for level in levels), rule.id


def test_a_short_name_and_a_longer_one_may_be_father_and_son() -> None:
    holders = [features_of(said(key, name=name)) for key, name in (("a", "张伟"), ("b", "张伟强"))]
    assert fan_out(holders, 5, numbers_join=True) == 2
    assert fan_out([features_of(said("a", name="张伟")), features_of(said("b", name="*伟"))], 5, numbers_join=True) == 1
