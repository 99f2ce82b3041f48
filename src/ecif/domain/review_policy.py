"""How reviews (疑似合并审核) are ranked, what is recommended for them, and what may be decided: policy as data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class ReviewKind(StrEnum):
    """What a review asks (审核种类)."""

    PAIR = "PAIR"
    """May these two customers be one?"""
    MOVED = "MOVED"
    """A record left one customer for another by itself: is that right?"""
    MISFIT = "MISFIT"
    """A record that a person keeps under a number no longer fits it: is that right?"""
    FOLLOW_UP = "FOLLOW_UP"
    """A merge left something to do: is it done?"""


class ReviewState(StrEnum):
    """审核状态."""

    OPEN = "OPEN"
    NEED_INFO = "NEED_INFO"
    ESCALATED = "ESCALATED"
    WAITING = "WAITING"
    """A merge was asked for, and another person has to approve it."""
    CLOSED = "CLOSED"


class ReviewDecision(StrEnum):
    """裁决."""

    SAME = "SAME"
    NOT_SAME = "NOT_SAME"
    RENAME = "RENAME"
    """The same person, who has changed his name."""
    TYPO_FIX = "TYPO_FIX"
    """The same person, in one system with a typing error."""
    DONE = "DONE"
    """What a merge left to do is done."""
    NEED_INFO = "NEED_INFO"
    ESCALATE = "ESCALATE"


D = ReviewDecision
MERGING: Collection[ReviewDecision] = frozenset({D.SAME, D.RENAME, D.TYPO_FIX})
"""Decisions by which the two are one customer: they ask for a merge, which another person approves."""
STATE_OF: Mapping[ReviewDecision, ReviewState] = {
    D.NEED_INFO: ReviewState.NEED_INFO,
    D.ESCALATE: ReviewState.ESCALATED,
}
"""Decisions that leave the review open, in another state."""
DECISIONS: Mapping[ReviewKind, Collection[ReviewDecision]] = {
    ReviewKind.PAIR: frozenset(ReviewDecision) - {D.DONE},
    ReviewKind.MOVED: frozenset({D.SAME, D.NEED_INFO, D.ESCALATE}),
    ReviewKind.MISFIT: frozenset({D.SAME, D.NEED_INFO, D.ESCALATE}),
    ReviewKind.FOLLOW_UP: frozenset({D.DONE, D.NEED_INFO, D.ESCALATE}),
}
"""Of a record that is in its right place SAME is said, and no record moves; one that is not is moved by a merge or a split."""
IN_BULK: Collection[ReviewDecision] = frozenset({D.NOT_SAME, D.NEED_INFO, D.ESCALATE})
"""What may be decided of many reviews at once: nothing that joins customers."""
BULK_MAX = 200
"""Reviews in one decision."""

REMARK_MAX = 2000
"""Characters in one remark (备注)."""

CLAIM_LASTS = timedelta(hours=8)
"""After this a claim (认领) is over, so that nobody's holiday holds a review up."""


def holder(claimed_by: str | None, claimed_at: datetime | None, now: datetime) -> str:
    """Who holds a review now, if anybody does."""
    return claimed_by if claimed_by and claimed_at and now < claimed_at + CLAIM_LASTS else ""


@dataclass(frozen=True, slots=True)
class Risk:
    """One row: what makes a wrong answer, or a late one, dear. ``points`` add up to the risk class."""

    id: str
    points: int
    message_zh: str
    message_en: str
    kinds: Collection[ReviewKind] = frozenset(ReviewKind)
    """The kinds of review that it is asked of."""


_OF_TWO, _OF_RECORDS = frozenset({ReviewKind.PAIR}), frozenset({ReviewKind.MOVED, ReviewKind.MISFIT})
RISKS: Mapping[str, Risk] = {
    risk.id: risk
    for risk in (
        Risk("BASE", 1, "两个客户可能为同一人", "two customers may be one", _OF_TWO),
        Risk("SAME_NUMBER", 1, "同一证件号码", "they have one identity number", _OF_TWO),
        Risk("MIXED", 2, "两人的源记录可能混在一个客户下", "one customer may hold records of two people", _OF_RECORDS),
        Risk("BOTH_HOLD_ACCOUNTS", 3, "双方均有未销账户", "both hold open accounts"),
        Risk("HOLDS_LOAN", 1, "一方有未结清贷款", "one has an open loan"),
        Risk("BOTH_HOLD_LOANS", 2, "双方均有未结清贷款", "both have open loans"),
    )
}
"""Money and risk (资金与风险). A kind of thing that customers hold, such as list hits, adds its row here."""

RISK_MAX = max(sum(risk.points for risk in RISKS.values() if kind in risk.kinds) for kind in ReviewKind)
SAME_NUMBER_LEVELS = frozenset({"M1", "M2"})


@dataclass(frozen=True, slots=True)
class Stake:
    """What is at stake on one of two sides: for one customer or the other, or for the records in question or the rest."""

    accounts: int = 0
    loans: int = 0


def risks_of(kind: ReviewKind, level: str, one: Stake, other: Stake) -> list[str]:
    """The rows that hold for a review."""
    told = {
        "BASE": True,
        "SAME_NUMBER": level in SAME_NUMBER_LEVELS,
        "MIXED": True,
        "BOTH_HOLD_ACCOUNTS": one.accounts > 0 < other.accounts,
        "HOLDS_LOAN": one.loans > 0 or other.loans > 0,
        "BOTH_HOLD_LOANS": one.loans > 0 < other.loans,
    }
    return [name for name, holds in told.items() if holds and kind in RISKS[name].kinds]


def risk_class(names: Collection[str]) -> int:
    """The sum of their points, 1 to :data:`RISK_MAX`."""
    return sum(RISKS[name].points for name in names)


class Recommended(StrEnum):
    """建议处理."""

    MERGE = "MERGE"
    NOT_SAME = "NOT_SAME"
    RENAME = "RENAME"
    TYPO_FIX = "TYPO_FIX"
    NEED_INFO = "NEED_INFO"
    SPLIT = "SPLIT"
    """The record is another person's: split it off."""
    KEEP = "KEEP"
    """The record is where it belongs: say SAME."""
    FOLLOW_UP = "FOLLOW_UP"
    """Do what the merge left to be done, then say DONE."""


RECOMMENDED: Mapping[str, Recommended] = {
    "SAID-OTHER-ID": Recommended.NEED_INFO,
    "O-N4": Recommended.NOT_SAME,
    "P-ID-NAME": Recommended.RENAME,
    "P-DOC-NAME": Recommended.MERGE,
    "P-DOC-OTHER": Recommended.RENAME,
    "P-TYPO": Recommended.TYPO_FIX,
    "P-NEAR": Recommended.TYPO_FIX,
    "P-PART-FAMILY": Recommended.NEED_INFO,
    "P-NONAME": Recommended.NEED_INFO,
    "O-ID-NAME": Recommended.RENAME,
    "O-LIKE-PHONE": Recommended.MERGE,
    "O-LIKE-REP": Recommended.MERGE,
}
"""By the rule that asks. Two who would be one by a rule, but are held apart by something else, need a look at the papers."""
SETTLED_BY: Mapping[str, frozenset[str]] = {
    "P-ID-NAME": frozenset({"phone", "address", "email"}),
    "O-ID-NAME": frozenset({"phone", "address", "legal_representative"}),
}
"""Facts of which one has to agree before the rule's recommendation is given: a number alone may have been typed for another."""


TWO_PEOPLE: Collection[frozenset[str]] = tuple(
    map(frozenset, ({"identifier"}, {"stated"}, {"kind"}, {"name", "birth"}))
)
"""Facts that have to differ, each set by itself, before a record is taken for another party's."""
OF_RECORDS: Mapping[ReviewKind, Recommended] = {
    ReviewKind.MISFIT: Recommended.SPLIT,
    ReviewKind.MOVED: Recommended.KEEP,
}
"""What is recommended of a record that is another party's than those under the number that it is kept under, or has left."""


def recommended(kind: ReviewKind, rule: str, agrees: Collection[str], differs: Collection[str]) -> Recommended:
    """What a steward should do first, by the strongest pair's rule, and the fields in which it agrees and differs."""
    if kind in OF_RECORDS:
        two = any(facts.issubset(differs) for facts in TWO_PEOPLE)
        return OF_RECORDS[kind] if two else Recommended.NEED_INFO
    wanted = SETTLED_BY.get(rule)
    if wanted and wanted.isdisjoint(agrees):
        return Recommended.NEED_INFO
    return RECOMMENDED.get(rule, Recommended.NEED_INFO)
