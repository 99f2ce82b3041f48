"""Writes down what was decided (归属): a number for each cluster of records, its links, and the pairs left in doubt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

from sqlalchemy.orm import Session

from ecif.domain.customer_number import make_customer_number
from ecif.domain.events import Regrouping
from ecif.domain.judgements import Verdict
from ecif.matching.clustering import JUDGED_TIER, Edge, Roots, connected
from ecif.matching.features import Features
from ecif.matching.rules import POLICY_VERSION, RULES
from ecif.matching.types import Decision, Outcome
from ecif.models import DoubtfulPair, Link, Party
from ecif.services.context import Context
from ecif.services.judgements import settled
from ecif.services.questions import Move, Question, evidence
from ecif.services.rows import insert_rows, query, send, update_rows

JUDGED_RULE = "JUDGED"
"""The rule of a record that a steward judged to be one with another of its party; its link is MANUAL."""
JUDGED_OTHER_RULE = "JUDGED-OTHER"
"""The rule of a pair that a steward judged not to be one."""
JUDGED_CHANGED_RULE = "JUDGED-CHANGED"
"""The rule of a pair that would be one, but that a person has to judge, since one of the two was tied as somebody else."""
RULE_OF_TIER = {rule.tier: rule.id for rule in RULES} | {JUDGED_TIER: JUDGED_RULE}
TIER_OF_RULE = {rule.id: rule.tier for rule in RULES}
JUDGED = {
    Verdict.SAME: Decision(Outcome.AUTO, "M0", JUDGED_RULE, JUDGED_TIER, ()),
    Verdict.NOT_SAME: Decision(Outcome.SEPARATE, "N3", JUDGED_OTHER_RULE, 0, ()),
}
"""The decision on a pair that was judged: it beats whatever the rules say."""
HELD = "HELD"
OWN_NUMBER = "NEW"
"""The rule of a record that is alone under its number."""
NEVER = datetime.min.replace(tzinfo=UTC)

_DROP_PAIRS = "DELETE FROM doubtful_pair WHERE record_lo = ANY(%(ids)b::bigint[]) OR record_hi = ANY(%(ids)b::bigint[])"
_DROP_HELD = "DELETE FROM doubtful_pair WHERE held AND (record_lo = ANY(%(ids)b::bigint[]) OR record_hi = ANY(%(ids)b::bigint[]))"
_END_LINKS = "UPDATE link SET ended_at = %(now)b WHERE ended_at IS NULL AND record_id = ANY(%(ids)b::bigint[])"
_NUMBERS = "SELECT nextval('customer_sequence') FROM generate_series(1, %(count)b)"


@dataclass(slots=True)
class PartyRow:
    """A row of the register, as locked."""

    customer_no: str
    party_type: str
    status: str
    anchor_id: int
    version: int
    event_seq: int
    content_hash: bytes
    merged_into: str | None
    updated_at: datetime = NEVER
    new: bool = False


@dataclass(slots=True)
class Assignment:
    """Who belongs to whom after the change.

    Attributes:
        members: live customer number → its records, for every customer the change touches.
        merged: retired number → survivor.
        parties: the rows of all numbers involved, locked or new.
        changed: customers whose records changed in number or content.
        anchors: numbers that stand for another record from now on.
        moved: records that were somebody's before, by name, with the number they left and the one they went to.
        moves: what is to be asked about records that left a customer by themselves.
        asked: customers whose pairs were decided again, though none of their records changed.
        misfits: what is to be asked about records that a person placed and that no longer fit.
    """

    members: dict[str, list[int]] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    parties: dict[str, PartyRow] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    moved: list[tuple[str, str, str]] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    misfits: list[Question] = field(default_factory=list)

    @property
    def resurrected(self) -> dict[str, str]:
        """The numbers that had been merged and live again, with those they led to."""
        return {no: to for no in self.members if (to := self.parties[no].merged_into)}

    @property
    def parted(self) -> dict[str, str]:
        """The numbers that had been merged and are no longer one with those they led to: they live again, or lead elsewhere."""
        led = ((no, party.merged_into) for no, party in self.parties.items())
        return {no: to for no, to in led if to and self._leads(no) != self._leads(to)}

    def _leads(self, no: str) -> str:
        if no in self.members:
            return no
        return self.merged.get(no) or (no in self.parties and self.parties[no].merged_into) or no


@dataclass(slots=True)
class Group:
    """The records that are looked at together: where each belongs now, and the pairs decided so far.

    Attributes:
        links: the live link of each record, its id and its rule.
        parties: all numbers whose records these are, retired ones too.
        judged: the pairs of these records that were judged, and how.
        undecided: pairs that the rules don't join by themselves.
        ties: the groups that judgements tie.
        doubted: records that now tell of somebody else than when they were tied, and that nothing else ties to the others.
        cleared: tied records that may have been doubted, as pairs that are stored tell, and are not any more.
        tied: what ties others, from whom these were told apart, to others still.
        whole: records of parties that nothing has touched, whose pairs were not decided again.
        turned: records that tell of somebody else than they did before this change.
    """

    home: dict[int, str]
    parties: dict[str, PartyRow]
    decisions: dict[tuple[int, int], Decision]
    links: dict[int, tuple[int, str]] = field(default_factory=dict)
    whole: set[int] = field(default_factory=set)
    judged: dict[tuple[int, int], str] = field(default_factory=dict)
    undecided: list[tuple[int, int]] = field(default_factory=list)
    ties: Roots = field(default_factory=dict)
    doubted: set[int] = field(default_factory=set)
    cleared: set[int] = field(default_factory=set)
    tied: dict[tuple[int, int], str] = field(default_factory=dict)
    turned: Collection[int] = ()
    held: bool = False

    @property
    def apart(self) -> list[tuple[int, int]]:
        """The pairs that only people may join: those judged not to be one, and two groups that people tied, since what a person
        placed never moves by itself.
        """
        judged = [pair for pair, verdict in self.judged.items() if verdict == Verdict.NOT_SAME]
        judged += [(lo, hi) for lo, hi in self.undecided if self.ties.get(lo, lo) != self.ties.get(hi, hi)]
        return [*judged, *combinations(sorted({self.ties[r] for r in self.ties if r in self.home}), 2)]

    def settled(self) -> Callable[[int, int], bool]:
        """Tells of two records whether people have settled it: by what was judged of them, or of others tied to them."""
        return settled(self.tied | self.judged)


def auto(decisions: Mapping[tuple[int, int], Decision]) -> list[Edge]:
    return [(d.tier, lo, hi) for (lo, hi), d in decisions.items() if d.outcome is Outcome.AUTO]


def assign(
    session: Session,
    group: Group,
    clusters: list[list[int]],
    features: Mapping[int, Features],
    preferred: Collection[str] = (),
) -> Assignment:
    """A number for each cluster: that of the record for which it was issued; of several, the survivor; else a new one.

    Of several live numbers, or of several retired ones, one that is ``preferred`` comes first.
    A retired number lives again when its record has left those of its survivor, or follows it to another number.
    """
    assignment = Assignment(parties=dict(group.parties), anchors=_anchors(group, clusters))
    for no, record in assignment.anchors.items():
        group.parties[no].anchor_id = record
    by_anchor = {p.anchor_id: p for p in group.parties.values()}
    homeless: list[list[int]] = []
    for members in clusters:
        anchored = [by_anchor[m] for m in members if m in by_anchor]
        if not anchored:
            homeless.append(members)
            continue
        survivor = min(anchored, key=lambda p: _precedence(p, group, features, preferred))
        assignment.members[survivor.customer_no] = members
        losers = (p for p in anchored if p is not survivor and p.merged_into != survivor.customer_no)
        assignment.merged.update((p.customer_no, survivor.customer_no) for p in losers)
    _issue(session, homeless, features, assignment)
    for no, members in assignment.members.items():
        if assignment.parties[no].new or any(group.home.get(m) != no for m in members):
            assignment.changed.add(no)
        left = [(m, group.home[m]) for m in members if m in group.home and group.home[m] != no]
        assignment.changed.update(home for _, home in left)
        assignment.moved += [(features[m].name, home, no) for m, home in left]
    return assignment


def _anchors(group: Group, clusters: list[list[int]]) -> dict[str, int]:
    """New anchors for live numbers whose record leaves those that a person placed under them, or turns into somebody else and
    leaves those who did not: the number stays with these, unless a number was issued for one of them, under which they live
    again."""
    place = {m: n for n, members in enumerate(clusters) for m in members}
    taken = {p.anchor_id for p in group.parties.values()}
    own = {place.get(anchor) for anchor in taken}
    found: dict[str, int] = {}
    for party in group.parties.values():
        if party.merged_into or party.anchor_id in group.ties:
            continue
        stay = [r for r in _keepers(party, group) if r in place]
        free = [r for r in stay if place[r] not in own]
        if free and all(place[r] != place.get(party.anchor_id) for r in stay):
            found[party.customer_no] = free[0]
    return found


def _keepers(party: PartyRow, group: Group) -> list[int]:
    """The records of a customer with which his number would rather stay than with the one it was issued for."""
    placed = sorted(r for r in group.ties if group.home.get(r) == party.customer_no)
    if placed or party.anchor_id not in group.turned:
        return placed
    return sorted(r for r, no in group.home.items() if no == party.customer_no and r not in group.turned)


def _precedence(
    party: PartyRow, group: Group, features: Mapping[int, Features], preferred: Collection[str]
) -> tuple[bool, bool, bool, bool, str]:
    """The survivor of a merge: a live number before a retired one, one that is preferred, one under which a person placed
    records, a customer with a checked identity number before one without, then the older number."""
    records = [r for r, no in group.home.items() if no == party.customer_no and r in features]
    placed, strong = any(r in group.ties for r in records), any(features[r].strong for r in records)
    last = party.merged_into is not None
    return (last, party.customer_no not in preferred, not placed, not strong, party.customer_no)


def _issue(
    session: Session, homeless: list[list[int]], features: Mapping[int, Features], assignment: Assignment
) -> None:
    if not homeless:
        return
    sequence = [row.nextval for row in query(session, _NUMBERS, count=len(homeless))]
    for members, value in zip(sorted(homeless, key=min), sequence, strict=True):
        anchor = min(members)
        party_type = features[anchor].party_type
        no = make_customer_number(party_type, value)
        assignment.parties[no] = PartyRow(no, party_type.value, "ACTIVE", anchor, 0, 0, b"", None, new=True)
        assignment.members[no] = members


def regroupings(assignment: Assignment, operation: tuple[str, int] | None) -> dict[str, Regrouping]:
    """The regrouping that each number is part of: those between which records or numbers went belong to one."""
    parties, merged, moved = assignment.parties, assignment.merged, assignment.moved
    numbers = {no for ends in (*merged.items(), *((left, to) for _, left, to in moved)) for no in ends}
    place = {no: n for n, no in enumerate(sorted(numbers))}
    ties = [*merged.items(), *((left, to) for _, left, to in moved)]
    found: dict[str, Regrouping] = {}
    names = sorted(numbers)
    for group in connected(range(len(names)), ((0, place[a], place[b]) for a, b in ties)):
        those = {names[n] for n in group}
        one = Regrouping(
            retired={no: to for no, to in sorted(merged.items()) if no in those},
            resurrected=tuple(sorted(no for no in those if no in assignment.members and parties[no].merged_into)),
            created=tuple(sorted(no for no in those if no in parties and parties[no].new)),
            moved=tuple(sorted(entry for entry in moved if entry[2] in those)),
            operation=operation,
        )
        found |= dict.fromkeys(those, one)
    return found


def store_links(session: Session, context: Context, assignment: Assignment, group: Group) -> None:
    """Ends the links that changed, starts the new ones, and says of each by which rule it holds."""
    rules = _rules(assignment, group)
    moved = [(r, no) for no, members in assignment.members.items() for r in members if group.home.get(r) != no]
    assignment_rows = [(r, no, _origin(rules[r]), rules[r], POLICY_VERSION, context.now) for r, no in moved]
    ended = [r for r, _ in moved if r in group.home]
    stayed = rules.keys() & group.links.keys() - {r for r, _ in moved}
    changed = (r for r in stayed if group.links[r][1] != rules[r])
    other = [(group.links[r][0], _origin(rules[r]), rules[r], POLICY_VERSION) for r in changed]
    new = [p for p in assignment.parties.values() if p.new]
    update_rows(session, Party, "customer_no", ("anchor_id",), list(assignment.anchors.items()))
    _insert_parties(session, context, new)
    if ended:
        send(session, _END_LINKS, ids=ended, now=context.now)
    columns = ("record_id", "customer_no", "origin", "rule", "policy_version", "started_at")
    insert_rows(session, Link, columns, assignment_rows)
    update_rows(session, Link, "id", ("origin", "rule", "policy_version"), other)


def _origin(rule: str) -> str:
    """Whether the engine or a person linked the record."""
    return "MANUAL" if rule == JUDGED_RULE else "AUTO"


def _rules(assignment: Assignment, group: Group) -> dict[int, str]:
    """By which rule each record is one with the others of its party: the strongest of its pairs, whichever came first."""
    home = {r: no for no, members in assignment.members.items() for r in members}
    best = {r: TIER_OF_RULE[group.links[r][1]] for r in group.whole if group.links[r][1] in TIER_OF_RULE}
    for tier, lo, hi in auto(group.decisions):
        if home[lo] == home[hi]:
            for record in (lo, hi):
                best[record] = min(tier, best.get(record, tier))
    return {r: RULE_OF_TIER[best[r]] if r in best else OWN_NUMBER for r in home}


def _insert_parties(session: Session, context: Context, new: list[PartyRow]) -> None:
    columns = (
        "customer_no", "party_type", "status", "anchor_id", "version", "event_seq", "content_hash", "issued_at", "updated_at",
    )  # fmt: skip
    rows = [(p.customer_no, p.party_type, p.status, p.anchor_id, 0, 0, b"", context.now, context.now) for p in new]
    insert_rows(session, Party, columns, rows)


def store_pairs(session: Session, assignment: Assignment, work: Mapping[int, Features], group: Group) -> None:
    """Replaces the doubtful pairs of the records decided again: REVIEW decisions, and AUTO ones that were held back.

    A pair that a person told apart is held too where the rules would make it one, so that the group is decided as a whole;
    nobody is asked about it.
    """
    home = {r: no for no, members in assignment.members.items() for r in members}
    rows, decided = [], group.settled()
    for (lo, hi), decision in group.decisions.items():
        told = group.judged.get((lo, hi)) == Verdict.NOT_SAME
        if decided(lo, hi) and not told:
            continue
        held = decision.outcome is Outcome.AUTO and home.get(lo) != home.get(hi)
        anew = lo in work or hi in work or decision.rule == JUDGED_CHANGED_RULE
        review = decision.outcome is Outcome.REVIEW and anew and not told
        if held or review:
            rows.append(pair_row(lo, hi, JUDGED[Verdict.NOT_SAME] if told else decision, held=held))
    old = [r for r in work if r in group.home]
    if old:
        send(session, _DROP_PAIRS, ids=old)
    if group.held:
        send(session, _DROP_HELD, ids=list(home))
    insert_pairs(session, rows)


def pair_row(lo: int, hi: int, decision: Decision, *, held: bool) -> tuple[Any, ...]:
    """A doubtful pair as it is stored."""
    return (lo, hi, held, decision.level, decision.rule, evidence(decision), POLICY_VERSION)


def insert_pairs(session: Session, rows: list[tuple[Any, ...]]) -> None:
    """Stores doubtful pairs; those that are there stay."""
    columns = ("record_lo", "record_hi", "held", "level", "rule", "evidence", "policy_version")
    insert_rows(session, DoubtfulPair, columns, rows, "ON CONFLICT DO NOTHING")
