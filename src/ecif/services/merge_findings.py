"""What is to be said of a merge before it is made: which rules hold, and whose number stays (合并检查, 存续规则)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations, product

from sqlalchemy.orm import Session

from ecif.domain.judgements import Verdict
from ecif.domain.merge_policy import STATUS_RULES, Finding
from ecif.domain.review_policy import ReviewKind
from ecif.matching.clustering import compatible
from ecif.matching.comparators import COMPARATORS, NOTHING_SHARED
from ecif.matching.features import Features
from ecif.matching.types import Field, Level
from ecif.services import customers
from ecif.services.holdings import HOLDINGS
from ecif.services.judgements import Pair
from ecif.services.regrouping import Member, Members
from ecif.services.rows import query

_REVIEWS = (
    "SELECT count(*) AS n FROM merge_review WHERE closed_at IS NULL AND"
    f" (kind IN ('{ReviewKind.MOVED}', '{ReviewKind.MISFIT}')"
    "  OR (customer_lo = ANY(%(nos)b::text[])) <> (customer_hi = ANY(%(nos)b::text[])))"
    " AND (customer_lo = ANY(%(nos)b::text[]) OR customer_hi = ANY(%(nos)b::text[]))"
)
"""With others; and about records of these customers, which may belong to somebody else."""
_OPEN_ACCOUNTS = (
    "SELECT DISTINCT l.customer_no FROM link l JOIN account a ON a.owner_id = l.record_id"
    " WHERE l.customer_no = ANY(%(nos)b::text[]) AND l.ended_at IS NULL AND a.status <> 'CLOSED'"
)


def findings(session: Session, members: Members) -> list[Finding]:
    """The rules that hold for a merge of these customers, blocks first."""
    nos, home = list(members.by_no), members.home
    found = [*blocks(members)]
    for holding in HOLDINGS:
        found += holding.findings(session, home)
    reviews = query(session, _REVIEWS, nos=nos)[0].n
    return found + ([Finding("OPEN_REVIEWS", {"reviews": reviews})] if reviews else [])


def blocks(members: Members) -> Iterator[Finding]:
    """The rules on the customers themselves."""
    sides = list(members.by_no.values())
    if len({side.party_type for side in sides}) > 1:
        yield Finding("PARTY_TYPE", {side.customer_no: side.party_type for side in sides})
    elif any(_head_and_branch(members, a, b) for a, b in combinations(sides, 2)):
        yield Finding("HEAD_AND_BRANCH")
    judged = sorted(apart(members))
    if judged:
        pairs = [[members.name(lo), members.name(hi)] for lo, hi in judged]
        yield Finding("JUDGED_NOT_SAME", {"pairs": pairs})
    if _two_numbers(members):
        yield Finding("TWO_VALID_NUMBERS")
    stated = _stated_apart(members)
    if stated:
        yield Finding("STATED_NOT_SAME", {"pairs": stated})
    for status in STATUS_RULES:
        those = [side.customer_no for side in sides if side.status == status]
        if those:
            yield Finding(status, {"customers": those})


def apart(members: Members) -> set[Pair]:
    """The pairs across the customers that stand as not the same."""
    home = members.home
    return {
        (lo, hi)
        for (lo, hi), verdict in members.judged.items()
        if verdict is Verdict.NOT_SAME and lo in home and hi in home and home[lo] != home[hi]
    }


def _two_numbers(members: Members) -> bool:
    """Whether valid numbers contradict each other across the customers; what each holds by himself is his own affair."""
    side = {r: member.anchor for member in members.by_no.values() for r in member.records}
    numbers = {r: replace(features, not_same_as=()) for r, features in members.features.items()}
    return not compatible(list(side), numbers, NOTHING_SHARED, (), side)


def _stated_apart(members: Members) -> list[list[str]]:
    """Records that were said not to be the same when one of them was written, across the customers, as far as it stands."""
    home = members.home
    by_name = {members.name(r): r for r in home}
    said = ((r, by_name[n]) for r in home for n in members.features[r].not_same_as if n in by_name)
    return sorted(sorted((members.name(a), members.name(b))) for a, b in said if home[a] != home[b])


def _head_and_branch(members: Members, one: Member, other: Member) -> bool:
    kind = COMPARATORS[Field.KIND]
    pairs = product(_by_company(members, one), _by_company(members, other))
    return any(kind(a, b, NOTHING_SHARED).level is Level.DIFFERENT for a, b in pairs)


def _by_company(members: Members, member: Member) -> Iterable[Features]:
    """A record for each head office or branch that the customer's records name, which is all that their kind is told by."""
    features = (members.features[r] for r in member.records)
    return {f.company.branch: f for f in features if f.company}.values()


def survivor_of(session: Session, members: Members) -> str:
    """The number that stays: with a valid identity number, before with open accounts, before the one opened first, before
    the smaller one (存续客户号).
    """
    nos = list(members.by_no)
    holding = {row.customer_no for row in query(session, _OPEN_ACCOUNTS, nos=nos)}
    opened: Mapping[str, str] = {
        no: golden.document["fields"].get("opened_on", {}).get("value", "9999")
        for no, golden in customers.golden_records(session, nos).items()
    }

    def order(no: str) -> tuple[bool, bool, str, str]:
        strong = any(members.features[r].strong for r in members.by_no[no].records)
        return (not strong, no not in holding, opened[no], no)

    return min(nos, key=order)
