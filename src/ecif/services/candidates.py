"""Finds the records that a record may be one with: claim the keys first, then search them.

A claim is a lock on a key for the rest of the transaction. Whoever writes a record claims all its match keys before he
searches, so that of two concurrent records of one person the second waits and then sees the first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from ecif.matching.fanout import fan_out
from ecif.matching.features import Features, load_features
from ecif.matching.keys import BLOCKS, Key, KeyKind, match_keys
from ecif.models import SharedValue
from ecif.services.context import Context
from ecif.services.lane import TAKEN, lane, out_of_turn
from ecif.services.rows import Reads, insert_rows, query, send

_CLAIM = (
    " SELECT pg_advisory_xact_lock(k) FROM (SELECT DISTINCT k FROM unnest(%(keys)b::bigint[]) k ORDER BY k) s"
    f" WHERE {TAKEN}"
)
_CLAIM_FREE = "SELECT bool_and(pg_try_advisory_xact_lock(k)) AS free FROM unnest(%(keys)b::bigint[]) k"
_BLOCKS = (
    "SELECT q.n, k.record_id, k.kind FROM unnest(%(digests)b::uuid[], %(caps)b::int[]) WITH ORDINALITY q(digest, cap, n)"
    " CROSS JOIN LATERAL (SELECT record_id, kind FROM record_key WHERE digest = q.digest LIMIT q.cap) k"
)
_FEATURES = "SELECT record_id, document FROM record_features WHERE record_id = ANY(%(ids)b::bigint[])"
_FEATURES_KEPT = f"{_FEATURES} ORDER BY record_id FOR SHARE"
_SHARED = "SELECT digest, holders FROM shared_value WHERE digest = ANY(%(digests)b::uuid[])"
_UNSHARE = "DELETE FROM shared_value WHERE digest = ANY(%(digests)b::uuid[])"
OVERFLOW = 1000
"""``holders`` of a value whose block has overflowed: more than can be counted."""


def claim(session: Session, digests: Iterable[UUID]) -> None:
    """Locks keys until the end of the transaction, in one order for everybody, so that claims never deadlock."""
    send(session, lane(session) + _CLAIM, keys=_numbers(digests))


def claim_more(session: Session, digests: Iterable[UUID]) -> None:
    """The same for keys that turn out to be needed when others are claimed already."""
    out_of_turn(partial(_claimed, session, _numbers(digests)))


def _claimed(session: Session, keys: list[int]) -> bool:
    return bool(query(session, _CLAIM_FREE, keys=keys)[0].free)


def _numbers(digests: Iterable[UUID]) -> list[int]:
    return [int.from_bytes(d.bytes[:8], "big", signed=True) for d in digests]


def load_known(session: Session, ids: Collection[int], known: dict[int, Features], *, keep: bool = False) -> None:
    """Loads the features of records that are not known yet.

    Args:
        keep: they share no claimed key, so they are locked against change until the end of the transaction.
    """
    missing = [i for i in ids if i not in known]
    if missing:
        rows = query(session, _FEATURES_KEPT if keep else _FEATURES, ids=missing)
        known.update((row.record_id, load_features(row.document)) for row in rows)


@dataclass(slots=True)
class Search:
    """What a search has found: blocks of records under each key, their features, and which values are shared."""

    context: Context
    features: dict[int, Features]
    blocks: dict[Key, list[int]] = field(default_factory=dict, repr=False)
    shared: dict[str, int] = field(default_factory=dict, repr=False)

    def digests(self, keys: Iterable[Key]) -> dict[UUID, Key]:
        """The keys by their digests."""
        return {self.context.digests.of(key): key for key in keys}

    def pairs(self, dirty: Collection[int]) -> set[tuple[int, int]]:
        """Every pair (lower id first) of a dirty record and another under a key that is not shared by too many."""
        found: set[tuple[int, int]] = set()
        for key, members in self.blocks.items():
            if self.silent(key):
                continue
            for one in members:
                if one in dirty:
                    found.update((min(one, other), max(one, other)) for other in members if other != one)
        return found

    def silent(self, key: Key) -> bool:
        """Whether a key's value is held by too many to bring candidates."""
        kind, value = key
        block = BLOCKS[kind]
        return self.shared.get(value, 1) > (block.names_max or OVERFLOW - 1)


def search(
    session: Session, context: Context, found: Search, dirty: Mapping[int, Features], left: Iterable[Key]
) -> set[int]:
    """Fills ``found`` with the blocks of the dirty records, and tells which other records became dirty by it.

    A value that gains or loses holders may come to count as a family's, an agent's or a placeholder (or stop to);
    decisions of all who hold it are then made again, so that no result depends on which record came first.

    Args:
        left: keys that updated records no longer have.
    """
    by_digest = _look(session, found, dirty, left)
    return _count(session, found, by_digest)


def search_again(session: Session, context: Context, found: Search, holders: Mapping[int, Features]) -> None:
    """Fills ``found`` for records that became dirty by others. Nothing is counted: their own keys are what they were."""
    search_judged(session, context, found, holders, keep=True)


def search_judged(
    session: Session, context: Context, found: Search, judged: Mapping[int, Features], *, keep: bool = False
) -> None:
    """Fills ``found`` for records that say what they said. Nothing is counted, for their keys are not claimed: a count could
    be stored that somebody else has made anew meanwhile.
    """
    _look(session, found, judged, (), keep=keep)
    shared_values(session, context, match_keys_of(judged.values()), found.shared)


def _look(
    session: Session, found: Search, dirty: Mapping[int, Features], left: Iterable[Key], *, keep: bool = False
) -> dict[UUID, Key]:
    """The keys not looked under yet, by digest; their blocks and the features of all in them are in ``found`` now."""
    keys = match_keys_of(dirty.values()) | set(left)
    by_digest = found.digests(key for key in keys if key not in found.blocks)
    wanted = list(by_digest.values())
    caps = [BLOCKS[kind].rows_max + 1 + len(dirty) for kind, _ in wanted]  # whoever was there before is seen for sure
    rows = query(session, _BLOCKS, digests=list(by_digest), caps=caps)
    blocks: dict[Key, list[int]] = {key: [] for key in wanted}
    for place, record_id, _ in rows:
        blocks[wanted[place - 1]].append(record_id)
    masked = {wanted[place - 1] for place, _, kind in rows if kind == KeyKind.MASKED_NUMBER}
    for key in wanted:
        if key[0] is KeyKind.MASKED_NUMBER and key not in masked and len(blocks[key]) <= BLOCKS[key[0]].rows_max:
            blocks[key] = []  # whole numbers only, which say nothing to each other
    found.blocks |= blocks
    load_known(session, {record_id for block in blocks.values() for record_id in block}, found.features, keep=keep)
    return by_digest


def _count(session: Session, found: Search, by_digest: Mapping[UUID, Key]) -> set[int]:
    """Counts the parties behind each value, stores what has changed, and returns the holders that this concerns."""
    stored: dict[UUID, int] = {d: n for d, n in query(session, _SHARED, digests=list(by_digest))}
    counted = {digest: _holders(key, found) for digest, key in by_digest.items()}
    changed = {d: n for d, n in counted.items() if n != stored.get(d, 1)}
    found.shared.update((by_digest[d][1], n) for d, n in counted.items())
    if not changed:
        return set()
    gone = [d for d in changed if d in stored]
    if gone:
        send(session, _UNSHARE, digests=gone)
    rows = [(d, int(by_digest[d][0]), n, found.context.now) for d, n in changed.items() if n > 1]
    insert_rows(session, SharedValue, ("digest", "kind", "holders", "since"), rows)
    concerned = (d for d, n in changed.items() if _weight(by_digest[d], n) != _weight(by_digest[d], stored.get(d, 1)))
    return {holder for d in concerned for holder in found.blocks[by_digest[d]]}


def _holders(key: Key, found: Search) -> int:
    block, members = BLOCKS[key[0]], found.blocks[key]
    if len(members) > block.rows_max:
        return OVERFLOW
    if block.names_max is None or len(members) < 2:
        return 1
    holders = (found.features[m] for m in members if m in found.features)
    return fan_out(holders, block.names_max, numbers_join=key[0] is not KeyKind.IDENTIFIER)


def _weight(key: Key, holders: int) -> int:
    """The class that a count falls in: own, a family's, too many. An identity number is a family's never."""
    names_max = BLOCKS[key[0]].names_max or OVERFLOW - 1
    if holders > names_max:
        return 2
    return int(holders > 1 and key[0] in (KeyKind.PHONE, KeyKind.EMAIL))


def match_keys_of(features: Iterable[Features]) -> set[Key]:
    """All match keys of these records."""
    return {key for f in features for key in match_keys(f)}


def strong_keys_of(features: Iterable[Features]) -> set[Key]:
    """The keys whose values forbid, unless too many share them: valid identity numbers."""
    return {(KeyKind.IDENTIFIER, number) for f in features for number in f.strong}


def shared_values(session: Reads, context: Context, keys: Iterable[Key], known: dict[str, int]) -> None:
    """Completes ``known`` with what is stored of these keys' values."""
    by_digest = {context.digests.of(key): key for key in keys if key[1] not in known}
    if by_digest:
        rows = query(session, _SHARED, digests=list(by_digest))
        known.update((by_digest[digest][1], holders) for digest, holders in rows)
