"""The customer existence check (客户存在性检查): is this person or organisation our customer, and under which number?

It decides as matching does, on the same features, keys and rules, so that the answer is what opening would come to. By
itself it guarantees nothing: opening repeats it in its own transaction, under claims.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from ecif.domain.existence import Existence, Fault, Mode, number_faults
from ecif.domain.normal import normal_identifier
from ecif.domain.records import PartyRecord, RecordName
from ecif.matching.comparators import NAMES_MAX
from ecif.matching.decision import compare, decide, score
from ecif.matching.features import Features, features_of, load_features
from ecif.matching.keys import BLOCKS, Key, KeyKind, match_keys
from ecif.matching.types import Comparison, Decision, Field, Level, Outcome
from ecif.services.candidates import OVERFLOW, shared_values, strong_keys_of
from ecif.services.context import Context
from ecif.services.rows import Reads, query

CANDIDATES_MAX = 10
"""Customers listed in an answer."""
ACCOUNTS_MAX = 1000
"""Accounts counted in an answer."""

_HITS = (
    "SELECT q.n, k.record_id, k.kind, f.document, r.system, r.key, l.customer_no"
    " FROM unnest(%(digests)b::uuid[], %(caps)b::int[]) WITH ORDINALITY q(digest, cap, n)"
    " CROSS JOIN LATERAL (SELECT record_id, kind FROM record_key WHERE digest = q.digest LIMIT q.cap) k"
    " JOIN record_features f ON f.record_id = k.record_id JOIN source_record r ON r.id = k.record_id"
    " JOIN link l ON l.record_id = k.record_id AND l.ended_at IS NULL"
)
_SEEN = (  # who was merged since his records were found is seen as his survivor
    "SELECT h.customer_no AS hit_no, p.customer_no, p.version, p.anchor_id, g.document,"
    " ARRAY(SELECT m.customer_no || ':' || m.anchor_id FROM party m WHERE m.merged_into = p.customer_no) AS merged,"
    " ARRAY(SELECT a.kind FROM link l JOIN account a ON a.owner_id = l.record_id WHERE l.customer_no = p.customer_no"
    f" AND l.ended_at IS NULL AND a.status <> 'CLOSED' LIMIT {ACCOUNTS_MAX}) AS accounts"
    " FROM party h JOIN party p ON p.customer_no = coalesce(h.merged_into, h.customer_no)"
    " JOIN golden_record g ON g.customer_no = p.customer_no AND g.version = p.version"
    " WHERE h.customer_no = ANY(%(nos)b::text[]) ORDER BY p.customer_no"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A customer who may be meant.

    Attributes:
        document: the golden record.
        decision: the strongest of the pairs with the customer's records.
        comparisons: every field of that pair.
        records: the customer's records that are, or may be, the asked one.
        merged: numbers merged into it that were issued for a record that was hit.
        anchored: whether its own number was issued for one of them.
        accounts: open accounts by kind.
    """

    customer_no: str
    version: int
    document: dict[str, Any] = field(repr=False)
    decision: Decision
    comparisons: tuple[Comparison, ...]
    records: tuple[RecordName, ...]
    merged: tuple[str, ...]
    anchored: bool
    accounts: Counter[str]

    @property
    def closed(self) -> bool:
        """Whether the customer as a whole was closed."""
        return bool(self.document["status"] == "CLOSED")

    @property
    def score(self) -> int:
        """How much agrees, 0 to 100, to put candidates in order."""
        return score(self.comparisons)


@dataclass(frozen=True, slots=True)
class Found:
    """检查结果. ``customer`` is the one meant, ``candidates`` those who may be, ``more`` how many of them are not listed.

    ``taken``: the record's own name stands for somebody else.
    """

    result: Existence
    customer: Seen | None = None
    candidates: tuple[Seen, ...] = ()
    more: int = 0
    faults: tuple[Fault, ...] = ()
    taken: bool = False

    @property
    def told(self) -> list[str]:
        """The customers whose numbers it tells."""
        return [seen.customer_no for seen in ((self.customer,) if self.customer else self.candidates)]


@dataclass(slots=True)
class _Hit:
    name: RecordName
    features: Features
    customer_no: str


def check(session: Reads, context: Context, record: PartyRecord, mode: Mode) -> Found:
    """Whether the party that ``record`` describes is a customer (behaviour 5.3). Reads only."""
    faults = tuple(number_faults(record))
    strict = mode is not Mode.DISPLAY
    if strict and (wrong := stopped(faults)):
        return Found(wrong, faults=faults)
    asked = features_of(record)
    blocks = _blocks(session, context, asked, mode)
    hits = _hits(asked, blocks)
    shared = _shared(session, context, asked, blocks, hits)
    faults += tuple(_crowded(record, shared))
    wrong = stopped(faults)
    if strict and wrong:
        return Found(wrong, faults=faults)
    decisions = {record_id: decide(asked, hit.features, shared) for record_id, hit in hits.items()}
    found = replace(_found(session, asked, hits, decisions), faults=faults)
    return Found(wrong, faults=faults) if wrong and found.result is Existence.NOT_FOUND else found


def stopped(faults: Collection[Fault]) -> Existence | None:
    """As what such faults end a check, if they do."""
    stops = [fault.stops for fault in faults if fault.stops]
    return Existence.PLACEHOLDER_ID if Existence.PLACEHOLDER_ID in stops else next(iter(stops), None)


Blocks = Mapping[Key, list[Any]]


def _blocks(session: Reads, context: Context, asked: Features, mode: Mode) -> Blocks:
    """The records under the asked one's keys; of a key under which too many stand, one more than tell anything."""
    kinds = {KeyKind.IDENTIFIER, KeyKind.RECORD} if mode is Mode.LOOKUP else BLOCKS.keys()
    keys = [key for key in match_keys(asked) if key[0] in kinds]
    blocks: dict[Key, list[Any]] = defaultdict(list)
    caps = [BLOCKS[kind].rows_max + 1 for kind, _ in keys]
    for row in query(session, _HITS, digests=[context.digests.of(key) for key in keys], caps=caps):
        blocks[keys[row.n - 1]].append(row)
    return blocks


def _overflows(key: Key, rows: Collection[Any]) -> bool:
    return len(rows) > BLOCKS[key[0]].rows_max


def _hits(asked: Features, blocks: Blocks) -> dict[int, _Hit]:
    return {
        row.record_id: _Hit((row.system, row.key), load_features(row.document), row.customer_no)
        for key, rows in blocks.items()
        if not _overflows(key, rows)
        for row in rows
        if asked.masked or row.kind != KeyKind.WHOLE_NUMBER
    }


def _shared(
    session: Reads, context: Context, asked: Features, blocks: Blocks, hits: Mapping[int, _Hit]
) -> dict[str, int]:
    shared = {key[1]: OVERFLOW for key, rows in blocks.items() if _overflows(key, rows)}
    if blocks:
        keys = match_keys(asked) | strong_keys_of(hit.features for hit in hits.values())
        shared_values(session, context, keys, shared)
    return shared


def _crowded(record: PartyRecord, shared: Mapping[str, int]) -> Iterator[Fault]:
    """Numbers of so many that they are taken for placeholders: who holds one cannot be told by it."""
    for n, given in enumerate(record.identifiers):
        found = normal_identifier(record, given)
        if shared.get(f"{found.space.value}:{found.number}", 1) > NAMES_MAX:
            yield Fault(f"identifiers.{n}.number", "SHARED", Existence.PLACEHOLDER_ID)


def _found(session: Reads, asked: Features, hits: Mapping[int, _Hit], decisions: Mapping[int, Decision]) -> Found:
    result, ranks = _meant(_ranks(asked, hits, decisions))
    seen = _look(session, asked, hits, decisions, ranks)
    taken = any(hit.features.name == asked.name and not _agrees(asked, hit.features) for hit in hits.values())
    if result is not Existence.EXISTS:
        candidates = tuple(sorted(seen, key=lambda s: (-s.score, s.customer_no)))
        return Found(result, candidates=candidates, more=len(ranks) - len(seen), taken=taken)
    (customer,) = seen
    moved = customer.merged and not customer.anchored
    result = Existence.EXISTS_CLOSED if customer.closed else Existence.EXISTS_REDIRECTED if moved else result
    return Found(result, customer, taken=taken)


def _agrees(asked: Features, stored: Features) -> bool:
    """Whether a record that bears the asked one's name says nothing against it."""
    levels = {c.field: c.level for c in compare(asked, stored)}
    return levels[Field.NAME] >= Level.PARTIAL and levels[Field.IDENTIFIER] is not Level.DIFFERENT


_SAME_NUMBER = frozenset({"M0", "M1"})
_OTHER_NAME = frozenset({"M2", "N4"})
"""One number under two names, of a head office and its branch too."""


def _rank(decision: Decision) -> int:
    """0 is the party meant, 1 its number under another name, 2 and 3 a party that may be meant, 4 another."""
    if decision.outcome is Outcome.SEPARATE:
        return 4
    if decision.level in _OTHER_NAME:
        return 1
    if decision.outcome is Outcome.AUTO:
        return 0 if decision.level in _SAME_NUMBER else 2
    return 3


Ranks = dict[str, tuple[int, int]]
"""Customer number → the rank of its strongest record, and that record."""


def _ranks(asked: Features, hits: Mapping[int, _Hit], decisions: Mapping[int, Decision]) -> Ranks:
    ranks: Ranks = {}
    for record_id, hit in hits.items():
        again = hit.features.name == asked.name and _agrees(asked, hit.features)
        rank = 0 if again else _rank(decisions[record_id])
        if rank < 4:
            ranks[hit.customer_no] = min(ranks.get(hit.customer_no, (4, 0)), (rank, record_id))
    return ranks


def _meant(ranks: Ranks) -> tuple[Existence, Ranks]:
    """The result as far as ranks tell it, and the customers that it is about."""
    by_rank = {n: {no: r for no, r in ranks.items() if r[0] == n} for n in (0, 1)}
    if by_rank[0]:
        return (Existence.EXISTS if len(by_rank[0]) == 1 else Existence.AMBIGUOUS), by_rank[0]
    if by_rank[1]:
        return Existence.SAME_ID_DIFFERENT_NAME, by_rank[1]
    return (Existence.SUSPECT if ranks else Existence.NOT_FOUND), ranks


def _look(
    session: Reads, asked: Features, hits: Mapping[int, _Hit], decisions: Mapping[int, Decision], ranks: Ranks
) -> list[Seen]:
    """The customers of these ranks, the strongest ones, with what an answer tells of them."""
    chosen = dict(sorted(ranks.items(), key=lambda item: (item[1][0], item[0]))[:CANDIDATES_MAX])
    rows = query(session, _SEEN, nos=list(chosen)) if chosen else []
    return [_seen(row, chosen[row.hit_no][1], asked, hits, decisions) for row in rows]


def _seen(row: Any, best: int, asked: Features, hits: Mapping[int, _Hit], decisions: Mapping[int, Decision]) -> Seen:
    own = {i for i, hit in hits.items() if hit.customer_no == row.hit_no and _rank(decisions[i]) < 4} | {best}
    anchors = {int(anchor): no for no, _, anchor in (entry.partition(":") for entry in row.merged)}
    return Seen(
        row.customer_no,
        row.version,
        orjson.loads(row.document),
        decisions[best],
        compare(asked, hits[best].features),
        tuple(sorted(hits[i].name for i in own)),
        tuple(sorted(anchors[i] for i in own & anchors.keys())),
        row.anchor_id in own,
        Counter(row.accounts),
    )
