"""How reviews are ranked, what is recommended for them, and what may be decided of which."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ecif.domain.review_policy import (
    DECISIONS,
    IN_BULK,
    MERGING,
    STATE_OF,
    Recommended,
    ReviewDecision,
    ReviewKind,
    Stake,
    holder,
    recommended,
    risk_class,
    risks_of,
)

D, K, R = ReviewDecision, ReviewKind, Recommended
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("age", "held"), [(timedelta(0), True), (timedelta(hours=8), False)])
def test_a_claim_lasts_eight_hours(age: timedelta, held: bool) -> None:
    instant = timedelta(microseconds=1)
    assert holder("anna", NOON, NOON + age) == ("anna" if held else "")
    assert holder("anna", NOON, NOON + timedelta(hours=8) - instant) == "anna"
    assert holder(None, NOON, NOON) == holder("anna", None, NOON) == ""


def test_what_may_be_decided_of_which() -> None:
    """Of every kind it may be left open; two are made one, or told apart, where two are asked about; done is what was to do."""
    about_two = {*MERGING, D.NOT_SAME}
    for kind, allowed in DECISIONS.items():
        assert set(STATE_OF) <= set(allowed) and (D.DONE in allowed) is (kind is K.FOLLOW_UP)
        assert set(allowed) & about_two == {K.PAIR: about_two, K.FOLLOW_UP: set()}.get(kind, {D.SAME})
    assert set(IN_BULK) == {*STATE_OF, D.NOT_SAME}, "nothing that joins, or that takes work on each"


NONE, ACCOUNT, LOAN = Stake(), Stake(accounts=1), Stake(accounts=1, loans=1)


@pytest.mark.parametrize(
    ("kind", "level", "one", "other", "names", "points"),
    [
        (K.PAIR, "M1", NONE, NONE, ["BASE", "SAME_NUMBER"], 2),
        (K.PAIR, "M2", NONE, NONE, ["BASE", "SAME_NUMBER"], 2),
        (K.PAIR, "M3", NONE, NONE, ["BASE"], 1),
        (K.PAIR, "M3", ACCOUNT, NONE, ["BASE"], 1),
        (K.PAIR, "M3", NONE, ACCOUNT, ["BASE"], 1),
        (K.PAIR, "M3", ACCOUNT, ACCOUNT, ["BASE", "BOTH_HOLD_ACCOUNTS"], 4),
        (K.PAIR, "M3", LOAN, NONE, ["BASE", "HOLDS_LOAN"], 2),
        (K.PAIR, "M3", NONE, LOAN, ["BASE", "HOLDS_LOAN"], 2),
        (K.PAIR, "M2", LOAN, LOAN, ["BASE", "SAME_NUMBER", "BOTH_HOLD_ACCOUNTS", "HOLDS_LOAN", "BOTH_HOLD_LOANS"], 8),
        (K.MISFIT, "M1", NONE, NONE, ["MIXED"], 2),
        (K.MOVED, "N1", LOAN, ACCOUNT, ["MIXED", "BOTH_HOLD_ACCOUNTS", "HOLDS_LOAN"], 6),
    ],
)
def test_money_and_risk(kind: ReviewKind, level: str, one: Stake, other: Stake, names: list[str], points: int) -> None:
    assert risks_of(kind, level, one, other) == names and risk_class(names) == points


@pytest.mark.parametrize(
    ("kind", "rule", "agrees", "differs", "first"),
    [
        (K.PAIR, "P-ID-NAME", {"identifier"}, {"name"}, R.NEED_INFO),
        *((K.PAIR, "P-ID-NAME", {"identifier", fact}, {"name"}, R.RENAME) for fact in ("phone", "address", "email")),
        (K.PAIR, "O-ID-NAME", {"identifier", "email"}, {"name"}, R.NEED_INFO),
        *(
            (K.PAIR, "O-ID-NAME", {"identifier", fact}, {"name"}, R.RENAME)
            for fact in ("phone", "address", "legal_representative")
        ),
        (K.PAIR, "P-TYPO", {"name"}, {"identifier"}, R.TYPO_FIX),
        (K.PAIR, "P-NEAR", {"phone"}, {"name"}, R.TYPO_FIX),
        (K.PAIR, "P-DOC-NAME", {"identifier", "name"}, set(), R.MERGE),
        (K.PAIR, "P-DOC-OTHER", {"identifier"}, {"name"}, R.RENAME),
        (K.PAIR, "O-LIKE-PHONE", {"phone"}, set(), R.MERGE),
        (K.PAIR, "O-LIKE-REP", {"legal_representative"}, set(), R.MERGE),
        (K.PAIR, "O-N4", {"name"}, {"kind"}, R.NOT_SAME),
        (K.PAIR, "SAID-OTHER-ID", set(), {"identifier"}, R.NEED_INFO),
        (K.PAIR, "P-ID", {"identifier", "name"}, set(), R.NEED_INFO),
        *((K.MISFIT, "P-N1", set(), {fact, "phone"}, R.SPLIT) for fact in ("identifier", "stated", "kind")),
        (K.MISFIT, "NONE", set(), {"name", "birth"}, R.SPLIT),
        (K.MISFIT, "NONE", {"birth"}, {"name", "phone"}, R.NEED_INFO),
        (K.MISFIT, "NONE", {"name"}, {"birth"}, R.NEED_INFO),
        (K.MOVED, "P-N1", set(), {"identifier"}, R.KEEP),
        (K.MOVED, "NONE", set(), {"name"}, R.NEED_INFO),
    ],
)
def test_what_is_recommended(
    kind: ReviewKind, rule: str, agrees: set[str], differs: set[str], first: Recommended
) -> None:
    """A number alone may have been typed for another; a record is another party's only where facts of two differ."""
    assert recommended(kind, rule, agrees, differs) is first
