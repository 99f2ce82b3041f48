"""What a review asks (审核事项): two customers or one, the record pairs that it is about, and the records in question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ecif.domain.review_policy import ReviewKind
from ecif.matching.decision import score
from ecif.matching.fitting import VETOES, contradicts
from ecif.matching.rules import POLICY_VERSION
from ecif.matching.types import Decision
from ecif.services.judgements import Pair

PAIRS_MAX = 20
"""Record pairs shown in one review."""

Ends = tuple[str, str]
"""The two customers of a review, the lower number first; twice the same where it is about one."""


@dataclass(frozen=True, slots=True, order=True)
class Move:
    """A record that left one customer for another by itself, and the ends of the review that asks about it.

    ``left`` and ``to`` are the numbers at that time, whatever they lead to now.
    """

    record: int
    left: str
    to: str
    ends: Ends

    @property
    def alone(self) -> bool:
        """Whether the record took its number along, so that it is asked of one customer."""
        return self.ends[0] == self.ends[1]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, but for what is at stake.

    Attributes:
        pairs: the first :data:`PAIRS_MAX` of ``total`` record pairs, the strongest first, as evidence shows them.
        records: those that may be in the wrong place: ``record`` by its number, and the customers ``from`` and ``to`` if it
            moved by itself.
    """

    kind: ReviewKind
    ends: Ends
    policy_version: str
    total: int
    pairs: Sequence[Mapping[str, Any]] = field(repr=False)
    records: Sequence[Mapping[str, Any]] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """Of all questions with this key one review is open at most."""
        return (*self.ends, self.kind.value)


def question(
    kind: ReviewKind, ends: Ends, decided: Mapping[Pair, Decision], records: Sequence[Mapping[str, Any]]
) -> Question:
    """About records, by the pairs of which they are a half: what forbids comes first, then what differs, then what agrees."""
    pairs = sorted(decided.items(), key=_strength)
    shown = [shown_pair(lo, hi, evidence_of(decision)) for (lo, hi), decision in pairs[:PAIRS_MAX]]
    return Question(kind, ends, POLICY_VERSION, len(pairs), shown, records)


def _strength(decided: tuple[Pair, Decision]) -> tuple[bool, bool, str, Pair]:
    pair, decision = decided
    return (not contradicts(decision), decision.level not in VETOES, decision.level, pair)


def shown_pair(lo: int, hi: int, evidence: Mapping[str, Any], *, held: bool = False) -> dict[str, Any]:
    """A record pair as the evidence of a review holds it."""
    return {"record_lo": lo, "record_hi": hi, "held": held, **evidence}


def evidence(decision: Decision) -> str:
    """What agrees and what does not, as it is stored."""
    return orjson.dumps(evidence_of(decision)).decode()


def evidence_of(decision: Decision) -> dict[str, Any]:
    """What agrees and what does not, item by item, without any personal value."""
    items = [{"field": c.field.value, "level": c.level.name, "reason": c.reason} for c in decision.comparisons]
    return {"level": decision.level, "rule": decision.rule, "score": score(decision.comparisons), "items": items}
