"""Decides a pair of records by the rule table, and scores it for people to read."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ecif.matching.comparators import COMPARATORS, NOTHING_SHARED, Shared
from ecif.matching.features import Features
from ecif.matching.rules import RULES_OF, SEPARATE_BY_DEFAULT, Rule
from ecif.matching.types import Comparison, Decision, Field, Level, Outcome

WEIGHTS: Mapping[Field, int] = {
    Field.STATED: 0,
    Field.IDENTIFIER: 60,
    Field.DOCUMENT: 35,
    Field.BROKEN_NUMBER: 20,
    Field.MASKED_NUMBER: 20,
    Field.NAME: 25,
    Field.BIRTH: 15,
    Field.GENDER: 2,
    Field.PHONE: 15,
    Field.ADDRESS: 10,
    Field.EMAIL: 10,
    Field.EMPLOYER: 5,
    Field.LEGAL_REPRESENTATIVE: 15,
    Field.KIND: 0,
}
"""Points of a full agreement; a difference takes as many away. For the order of a queue only, never for a decision."""

SHARE: Mapping[Level, float] = {
    Level.MISSING: 0.0,
    Level.DIFFERENT: -1.0,
    Level.NEAR: 0.3,
    Level.PARTIAL: 0.5,
    Level.VARIANT: 0.8,
    Level.EQUAL: 1.0,
}


class _Pair:
    """Compares fields when a rule first asks for them."""

    __slots__ = ("a", "b", "done", "shared")

    def __init__(self, a: Features, b: Features, shared: Shared) -> None:
        self.a, self.b, self.shared = a, b, shared
        self.done: dict[Field, Comparison] = {}

    def level(self, field: Field) -> Level:
        found = self.done.get(field)
        if found is None:
            found = self.done[field] = COMPARATORS[field](self.a, self.b, self.shared)
        return found.level

    def holds(self, rule: Rule) -> bool:
        return all(self.level(field) in levels for field, levels in rule.needs.items())

    def all(self) -> tuple[Comparison, ...]:
        for field in COMPARATORS:
            self.level(field)
        return tuple(self.done[field] for field in COMPARATORS)


def decide(a: Features, b: Features, shared: Shared = NOTHING_SHARED) -> Decision:
    """The decision on a pair: symmetric, and a function of the two features and of which values are shared.

    Args:
        shared: values that parties of several names hold, and of how many names.
    """
    pair, apart = _Pair(a, b, shared), _apart(a, b)
    for rule in RULES_OF[a.party_type]:
        if apart and Field.STATED not in rule.needs:
            return Decision(Outcome.SEPARATE, "N4", apart, 0, ())
        if pair.holds(rule):
            known = pair.all() if rule.outcome is Outcome.REVIEW else tuple(pair.done.values())
            return Decision(rule.outcome, rule.level, rule.id, rule.tier, known)
    return Decision(Outcome.SEPARATE, "M7", SEPARATE_BY_DEFAULT, 0, tuple(pair.done.values()))


def _apart(a: Features, b: Features) -> str:
    """Why no fact makes these one, but only what was said of them."""
    if a.party_type is not b.party_type:
        return "PARTY_TYPE"
    return "QUARANTINED" if a.quarantined or b.quarantined else ""


def compare(a: Features, b: Features, shared: Shared = NOTHING_SHARED) -> tuple[Comparison, ...]:
    """Every field of a pair, for evidence."""
    return _Pair(a, b, shared).all()


def score(comparisons: Collection[Comparison]) -> int:
    """How much of the evidence agrees, 0 to 100."""
    total = sum(WEIGHTS[c.field] * SHARE[c.level] for c in comparisons)
    return max(0, min(100, round(total)))
