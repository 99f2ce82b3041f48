"""Which value of which source the golden record shows (择优规则), as a table.

Every rule orders all candidates totally, so the result does not depend on the order in which they came: first the
value's quality (a masked or mistyped value never beats a whole one), then what the rule says, then the most recent
business time, the source's priority and the source's key. What loses is kept beside what won, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

POLICY_VERSION = "2026.11-4"

SOURCE_PRIORITY: tuple[str, ...] = ("counter", "core", "loan", "card", "ebank")
"""Trust order of the systems where nothing else decides: what a clerk took from the document before him, then the deposit
core, at whose counter identity is verified. Systems and channels that are not named come last."""

LOSERS_MAX = 20
"""Losing values kept with a field; more only repeat what history has."""


@dataclass(frozen=True, slots=True)
class Origin:
    """来源: which source record says so, and as of when in its business time.

    Attributes:
        said: the origin as it is written into a golden record.
        newest: sorts the most recent first, then by the source's trust and key.
    """

    system: str
    key: str
    as_of: datetime
    said: Mapping[str, str] = field(init=False, repr=False, compare=False)
    newest: tuple[float, int, str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        said = {"system": self.system, "key": self.key, "as_of": f"{self.as_of.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        place = SOURCE_PRIORITY.index(self.system) if self.system in SOURCE_PRIORITY else len(SOURCE_PRIORITY)
        object.__setattr__(self, "said", said)
        object.__setattr__(self, "newest", (-self.as_of.timestamp(), place, self.system, self.key))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One source's value of one field. ``quality`` 0 is best; ``value`` is plain JSON.

    ``began`` is the day on which the relationship began that the source tells of.
    """

    value: Any
    origin: Origin
    quality: int = 0
    began: date = date.max


class Rule(StrEnum):
    """How a field's winner is found."""

    SOURCE_PRIORITY = "SOURCE_PRIORITY"
    MOST_RECENT = "MOST_RECENT"
    EARLIEST = "EARLIEST"
    """Of the relationship that began first."""
    DERIVED = "DERIVED"


@dataclass(frozen=True, slots=True)
class Policy:
    """One row of the table. ``sources`` overrides :data:`SOURCE_PRIORITY` for the field."""

    rule: Rule
    sources: tuple[str, ...] = SOURCE_PRIORITY


POLICIES: Mapping[str, Policy] = {
    "name": Policy(Rule.SOURCE_PRIORITY),
    "latin_name": Policy(Rule.SOURCE_PRIORITY, ("counter", "card", "core", "ebank", "loan")),
    "birth_date": Policy(Rule.DERIVED),
    "gender": Policy(Rule.DERIVED),
    "nationality": Policy(Rule.MOST_RECENT),
    "employer": Policy(Rule.SOURCE_PRIORITY, ("counter", "loan", "card", "core", "ebank")),
    "occupation": Policy(Rule.MOST_RECENT),
    "education": Policy(Rule.SOURCE_PRIORITY, ("counter", "loan", "card", "core", "ebank")),
    "marital_status": Policy(Rule.MOST_RECENT),
    "postcode": Policy(Rule.MOST_RECENT),
    "opened_on": Policy(Rule.EARLIEST),
    "open_branch": Policy(Rule.EARLIEST),
}
"""One row for each single-valued field. DERIVED: quality 0 is the value inside a valid identity number."""

_REASONS: Mapping[Rule, str] = {
    Rule.SOURCE_PRIORITY: "LOWER_SOURCE_PRIORITY",
    Rule.MOST_RECENT: "OLDER",
    Rule.EARLIEST: "LATER",
    Rule.DERIVED: "NOT_DERIVED",
}


def _rank(policy: Policy) -> Callable[[Candidate], tuple[Any, ...]]:
    place = {system: n for n, system in enumerate(policy.sources)}
    last = len(place)

    def rank(candidate: Candidate) -> tuple[Any, ...]:
        origin = candidate.origin
        recent, priority = origin.newest[0], place.get(origin.system, last)
        name = (origin.system, origin.key, str(candidate.value))
        match policy.rule:
            case Rule.SOURCE_PRIORITY:
                return (candidate.quality, priority, recent, *name)
            case Rule.EARLIEST:
                return (candidate.quality, candidate.began, priority, recent, *name)
            case _:
                return (candidate.quality, recent, priority, *name)

    return rank


RANKS: Mapping[str, Callable[[Candidate], tuple[Any, ...]]] = {f: _rank(p) for f, p in POLICIES.items()}


def survive(field: str, candidates: Iterable[Candidate]) -> dict[str, Any] | None:
    """The winner of one field with its provenance and what lost to it; None where no source has a value.

    Equal values of several sources count once: the best placed source stands for them.
    """
    ordered = sorted(candidates, key=RANKS[field])
    if not ordered:
        return None
    winner = ordered[0]
    rule = POLICIES[field].rule
    lost = _losers(winner, ordered[1:], rule)
    found = {"value": winner.value, **winner.origin.said, "rule": rule.value}
    return found | {"lost": lost} if lost else found


def _losers(winner: Candidate, others: Sequence[Candidate], rule: Rule) -> list[dict[str, Any]]:
    seen = {str(winner.value)}
    lost: list[dict[str, Any]] = []
    for other in others:
        if str(other.value) not in seen and len(lost) < LOSERS_MAX:
            seen.add(str(other.value))
            reason = "LOWER_QUALITY" if other.quality > winner.quality else _REASONS[rule]
            lost.append({"value": other.value, **other.origin.said, "reason": reason})
    return lost


def union(
    entries: Iterable[tuple[tuple[str, ...], dict[str, Any], Origin]], *, origins_max: int = LOSERS_MAX
) -> list[dict[str, Any]]:
    """Keeps every distinct value (by its key), newest first, each with all who say it (UN in the table's words)."""
    grouped: dict[tuple[str, ...], list[tuple[dict[str, Any], Origin]]] = {}
    for key, value, origin in entries:
        grouped.setdefault(key, []).append((value, origin))
    for said in grouped.values():
        said.sort(key=lambda pair: pair[1].newest)
    order = sorted(grouped, key=lambda key: (grouped[key][0][1].newest, key))
    return [
        grouped[key][0][0] | {"sources": [origin.said for _, origin in grouped[key][:origins_max]]} for key in order
    ]
