"""Whether a record may be of the same party as others (相符): it need not be like them, but must not contradict them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from ecif.matching.comparators import NOTHING_SHARED, Shared
from ecif.matching.decision import compare, decide
from ecif.matching.features import Features
from ecif.matching.types import Comparison, Decision, Field, Level, Outcome

IDENTITY: Collection[Field] = frozenset({Field.STATED, Field.IDENTIFIER, Field.NAME, Field.BIRTH, Field.KIND})
"""What tells parties from each other. What is missing tells nothing."""
VETOES: Collection[str] = frozenset({"N0", "N1", "N4"})
"""Levels of what no agreement outweighs."""


def looked_at(a: Features, b: Features, shared: Shared = NOTHING_SHARED) -> Decision:
    """The decision on a pair with every comparison, also those that the rule did not ask for."""
    return replace(decide(a, b, shared), comparisons=compare(a, b, shared))


def contradicts(decision: Decision) -> bool:
    """Whether two records tell of two parties: something forbids that they are one, or no rule makes them one or asks, and
    their identity differs."""
    return decision.outcome is Outcome.SEPARATE and (
        decision.level in VETOES or any(map(_differs, decision.comparisons))
    )


def _differs(compared: Comparison) -> bool:
    return compared.field in IDENTITY and compared.level is Level.DIFFERENT


def is_misfit(decisions: Iterable[Decision]) -> bool:
    """Whether a record does not fit others, by the decisions on it and each of them: one forbids it, or it contradicts some
    and the rules tie it to none."""
    known = list(decisions)
    against = [d for d in known if contradicts(d)]
    forbidden = any(d.level in VETOES for d in against)
    return forbidden or (bool(against) and all(d.outcome is Outcome.SEPARATE for d in known))
