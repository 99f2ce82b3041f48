"""Takes source records in: stores the version, finds who it is, lets the golden record survive again.

Files and calls come through here alike. The whole batch is one transaction of the caller's; every statement works on
the whole batch, so that a record costs a share of some twenty statements and not twenty statements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from ecif.domain.documents import content_hash, dump_record
from ecif.domain.normal import normal_identifier
from ecif.domain.records import PartyRecord, RecordName
from ecif.matching.features import Features, dump_features, features_of, load_features
from ecif.matching.keys import LASTING, Key, KeyKind, lookup_keys, match_keys, name_keys, row_kind
from ecif.models import Account, RecordFeatures, RecordKey, Relation, SourceRecord, SourceRecordVersion
from ecif.services import follow_ups, operations
from ecif.services.accounts import Owners, owners
from ecif.services.assignment import Assignment
from ecif.services.candidates import claim, claim_more
from ecif.services.context import Cause, Context
from ecif.services.golden import settle
from ecif.services.linking import NOBODY, relink
from ecif.services.rematch import identity_changed
from ecif.services.reviews import refresh_reviews
from ecif.services.rows import insert_rows, query, send, update_rows

_EXISTING = (
    "SELECT r.id, r.system, r.key, r.business_time, r.content_hash, f.document AS features,"
    " (SELECT max(v.version) FROM source_record_version v WHERE v.record_id = r.id) AS last"
    " FROM unnest(%(systems)b::text[], %(keys)b::text[]) q(system, key)"
    " JOIN source_record r USING (system, key) JOIN record_features f ON f.record_id = r.id"
)
_LASTING = ", ".join(str(int(kind)) for kind in sorted(LASTING))
_DROP = (
    f"WITH k AS (DELETE FROM record_key WHERE record_id = ANY(%(ids)b::bigint[]) AND kind NOT IN ({_LASTING})),"
    " a AS (DELETE FROM account WHERE record_id = ANY(%(ids)b::bigint[]))"
    " DELETE FROM relation WHERE record_id = ANY(%(ids)b::bigint[])"
)
_KNOWN_VERSIONS = (
    "SELECT q.n FROM unnest(%(ids)b::bigint[], %(hashes)b::bytea[], %(times)b::timestamptz[]) WITH ORDINALITY"
    " q(record_id, content_hash, business_time, n) JOIN source_record_version USING (record_id, content_hash, business_time)"
)


class Fate(StrEnum):
    """What became of a delivered record."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    UNCHANGED = "UNCHANGED"
    HISTORY = "HISTORY"
    """Older than the stored version: kept as history, changes nothing."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record, and where it was read or which call brought it."""

    record: PartyRecord
    load_id: int | None = None
    line: int | None = None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source record is: its newest version, the customer it belongs to, and that golden record's version."""

    record_version: int
    customer_no: str
    version: int


@dataclass(slots=True)
class Result:
    """What a batch did.

    Attributes:
        fates: in the order of the deliveries.
        places: where the records are that were decided again.
        before: the versions that customers had.
    """

    fates: list[Fate] = field(default_factory=list)
    places: dict[RecordName, Place] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    customers_created: int = 0
    customers_merged: int = 0
    golden_versions: int = 0
    reviews_opened: int = 0


@dataclass(slots=True)
class _Item:
    """A delivery on its way: its stored form, and the row it belongs to."""

    delivery: Delivery
    document: bytes = field(repr=False)
    hash: bytes
    record_id: int = 0
    version: int = 0
    fate: Fate = Fate.UNCHANGED

    @property
    def name(self) -> RecordName:
        return self.delivery.record.system, self.delivery.record.key

    @property
    def order(self) -> tuple[datetime, bytes]:
        """Later business time wins; of two at one time the content decides, so that the order of arrival never does."""
        return self.delivery.record.business_time, self.hash


@dataclass(frozen=True, slots=True)
class _Stored:
    id: int
    business_time: datetime
    content_hash: bytes
    last: int
    features: str = field(repr=False, compare=False)

    @property
    def order(self) -> tuple[datetime, bytes]:
        return self.business_time, self.content_hash


def ingest(
    session: Session, context: Context, deliveries: Sequence[Delivery], claimed: Collection[UUID] = ()
) -> Result:
    """Takes a batch of deliveries in, in the caller's transaction. Delivering the same again changes nothing.

    Args:
        claimed: keys that the caller has claimed already.
    """
    items = [_Item(d, document := dump_record(d.record), content_hash(document)) for d in deliveries]
    fresh, seen = _unknown(session, items)
    if not fresh:
        return Result([i.fate for i in items])
    features = {id(i): features_of(i.delivery.record) for i in fresh}
    old = _old_features(seen[i.name] for i in fresh if i.name in seen)
    stored, claims = seen, _claims(context, [*features.values(), *old.values()])
    if not claims.issubset(claimed):
        claim(session, claims)
        fresh, stored = _unknown(session, fresh)
    faster = [record for name, record in stored.items() if seen.get(name) != record]
    if faster:  # somebody changed these before they were ours
        changed = _old_features(faster)
        claim_more(session, _claims(context, changed.values()))
        old |= changed
    kept = _store(session, context, fresh, stored)
    write_names(session, context, [(i.record_id, features[id(i)]) for i in kept if i.fate is Fate.HISTORY])
    newest = [i for i in kept if i.fate is not Fate.HISTORY]
    result = Result([i.fate for i in items])
    if newest:
        _derive(session, context, {i.record_id: (i, features[id(i)]) for i in newest}, old, result)
    return result


def _old_features(records: Iterable[_Stored]) -> dict[int, Features]:
    """Those of records that are about to change: the keys they leave are claimed with those they get."""
    return {record.id: load_features(record.features) for record in records}


def _unknown(session: Session, items: list[_Item]) -> tuple[list[_Item], dict[RecordName, _Stored]]:
    """The items that say something else than their stored record, and the stored records of all."""
    names = sorted({i.name for i in items})
    rows = query(session, _EXISTING, systems=[s for s, _ in names], keys=[k for _, k in names])
    stored = {
        (r.system, r.key): _Stored(r.id, r.business_time, bytes(r.content_hash), r.last, r.features) for r in rows
    }
    return [i for i in items if not (i.name in stored and stored[i.name].order == i.order)], stored


def _claims(context: Context, features: Iterable[Features]) -> set[UUID]:
    """All match keys; a record's own name is one of them, so that two versions of it wait for each other."""
    return {context.digests.of(key) for f in features for key in match_keys(f)}


def _store(session: Session, context: Context, items: list[_Item], stored: dict[RecordName, _Stored]) -> list[_Item]:
    """Writes records and versions; returns the items that were kept, each with what became of it."""
    groups = _by_record(_unsaid(session, items, stored))
    _insert_records(session, context, [group for name, group in groups.items() if name not in stored])
    for name, group in groups.items():
        old, best = stored.get(name), group[-1]
        for item in group:
            item.record_id = old.id if old else best.record_id
            item.fate = Fate.HISTORY
        if old is None or best.order > old.order:
            best.fate = Fate.UPDATED if old else Fate.CREATED
    last = {record.id: record.last for record in stored.values()}
    _insert_versions(session, context, list(groups.values()), last)
    kept = [item for group in groups.values() for item in group]
    _update_records(session, context, [i for i in kept if i.fate is Fate.UPDATED])
    return kept


def _unsaid(session: Session, items: list[_Item], stored: dict[RecordName, _Stored]) -> list[_Item]:
    """The items that are not in their record's history already, where everything is older than its newest version."""
    known = ((stored[i.name], i) for i in items if i.name in stored)
    old = [(s.id, i.hash, i.delivery.record.business_time, i) for s, i in known if i.order < s.order]
    if not old:
        return items
    ids, hashes, times, again = map(list, zip(*old, strict=True))
    said = {id(again[row.n - 1]) for row in query(session, _KNOWN_VERSIONS, ids=ids, hashes=hashes, times=times)}
    return [i for i in items if id(i) not in said]


def _by_record(items: list[_Item]) -> dict[RecordName, list[_Item]]:
    """The items of each record from oldest to newest; the same said twice counts once."""
    said: dict[tuple[str, str], dict[tuple[datetime, bytes], _Item]] = defaultdict(dict)
    for item in items:
        said[item.name].setdefault(item.order, item)
    return {name: [group[order] for order in sorted(group)] for name, group in said.items()}


def _record_row(context: Context, item: _Item) -> tuple[object, ...]:
    r, text = item.delivery.record, item.document.decode()
    return r.party_type.value, r.legal_entity, r.branch, r.business_time, item.hash, text, context.now


def _insert_records(session: Session, context: Context, groups: list[list[_Item]]) -> None:
    best = [group[-1] for group in groups]
    columns = (
        "system", "key", "version", "party_type", "legal_entity", "branch", "business_time", "content_hash", "document",
        "received_at",
    )  # fmt: skip
    rows = [(*i.name, len(g), *_record_row(context, i)) for g, i in zip(groups, best, strict=True)]
    ids = insert_rows(session, SourceRecord, columns, rows, 'RETURNING id, system, "key"')
    by_name = {(system, key): record_id for record_id, system, key in ids}
    for item in best:
        item.record_id = by_name[item.name]


def _insert_versions(session: Session, context: Context, groups: list[list[_Item]], last: dict[int, int]) -> None:
    rows = []
    for item in (item for group in groups for item in group):
        record, delivery = item.delivery.record, item.delivery
        cause = delivery.cause or context.cause
        item.version = last[item.record_id] = last.get(item.record_id, 0) + 1
        rows.append(
            (item.record_id, item.version, record.business_time, item.hash, item.document.decode(), context.now,
             delivery.load_id, delivery.line, cause and cause.change_id)
        )  # fmt: skip
    columns = (
        "record_id", "version", "business_time", "content_hash", "document", "received_at", "load_id", "line",
        "change_id",
    )  # fmt: skip
    insert_rows(session, SourceRecordVersion, columns, rows)


def _update_records(session: Session, context: Context, items: list[_Item]) -> None:
    columns = (
        "version", "party_type", "legal_entity", "branch", "business_time", "content_hash", "document", "received_at",
    )  # fmt: skip
    rows = [(i.record_id, i.version, *_record_row(context, i)) for i in items]
    update_rows(session, SourceRecord, "id", columns, rows)


def _derive(
    session: Session,
    context: Context,
    newest: dict[int, tuple[_Item, Features]],
    old: dict[int, Features],
    result: Result,
) -> None:
    """Everything that follows from the stored facts of these records: keys, links, golden records, reviews, events."""
    records = {record_id: item.delivery.record for record_id, (item, _) in newest.items()}
    causes = {i: item.delivery.cause for i, (item, _) in newest.items() if item.delivery.cause}
    context = replace(context, causes=causes)
    features = {record_id: f for record_id, (_, f) in newest.items()}
    known = [record_id for record_id, (item, _) in newest.items() if item.fate is Fate.UPDATED]
    given = owners(session, known) if any(records[i].accounts for i in known) else {}
    left = write_derived(session, context, records, features, {i: old[i] for i in known}, given)
    was = {i: old[i] for i in known if identity_changed(old[i], features[i])}
    assignment = follow(session, context, records, features, left, result, was=was)
    for no, members in assignment.members.items():
        here = (newest[m][0] for m in members if m in newest)
        result.places.update((item.name, Place(item.version, no, assignment.parties[no].version)) for item in here)


def follow(
    session: Session,
    context: Context,
    records: dict[int, PartyRecord],
    features: dict[int, Features],
    left: Iterable[Key],
    result: Result,
    preferred: Collection[str] = (),
    settled: Callable[[int, int], bool] | None = None,
    *,
    was: Mapping[int, Features] = NOBODY,
    ask: bool = True,
) -> Assignment:
    """Links, golden records, events and reviews after records, or what was judged of them (``settled``), have changed.

    Args:
        was: the former features of records that tell of somebody else now.
        ask: whether reviews are brought up to date; who decides everything anew does so when all pairs are known.
    """
    assignment = relink(session, context, features, left, preferred, settled, was)
    result.before.update((no, party.version) for no, party in assignment.parties.items())
    result.golden_versions += settle(session, context, assignment, records)
    result.customers_created += sum(p.new for p in assignment.parties.values())
    result.customers_merged += len(assignment.merged)
    if assignment.parted:  # also where no person parted them: a record that turned into somebody else leaves
        operations.mark_reversed(session, context, assignment.parted)
    follow_ups.follow(session, context, assignment)
    if ask:
        customers = {*assignment.changed, *assignment.merged, *assignment.asked}
        asks = assignment.misfits, assignment.moves
        result.reviews_opened += refresh_reviews(session, context, customers, *asks)
    return assignment


def write_derived(
    session: Session,
    context: Context,
    records: dict[int, PartyRecord],
    features: dict[int, Features],
    known: Mapping[int, Features],
    given: Owners,
) -> set[Key]:
    """Writes features, keys, accounts and relations of records.

    Args:
        known: the former features of records that were there before.
        given: accounts that belong to other records' customers.

    Returns:
        The match keys that known records had before.
    """
    left = {key for f in known.values() for key in match_keys(f)}
    if known:
        send(session, _DROP, ids=list(known))
    feature_rows = [(i, dump_features(f).decode()) for i, f in features.items()]
    upsert = "ON CONFLICT (record_id) DO UPDATE SET document = EXCLUDED.document"
    insert_rows(session, RecordFeatures, ("record_id", "document"), feature_rows, upsert)
    key_rows = [
        (context.digests.of(key), record_id, int(row_kind(key, f)))
        for record_id, f in features.items()
        for key in match_keys(f) | lookup_keys(f, records[record_id].accounts)
    ]
    _insert_keys(session, [row for row in key_rows if (row[1], row[0]) not in given])
    _write_accounts(session, context, records, given)
    _write_relations(session, context, records)
    return left


def write_names(session: Session, context: Context, said: Iterable[tuple[int, Features]]) -> None:
    """Lets records be found by the names of versions that are not their newest."""
    _insert_keys(session, [(context.digests.of(key), i, int(key[0])) for i, f in said for key in name_keys(f)])


def _insert_keys(session: Session, rows: list[tuple[UUID, int, int]]) -> None:
    insert_rows(session, RecordKey, ("digest", "record_id", "kind"), rows, "ON CONFLICT DO NOTHING")


def _write_accounts(session: Session, context: Context, records: dict[int, PartyRecord], given: Owners) -> None:
    rows = [
        (record_id, n, given.get((record_id, digest), record_id) if digest else record_id, digest, a.number, a.kind,
         a.status.value, a.account_class and a.account_class.value, a.opened_on, r.branch, r.legal_entity)
        for record_id, r in records.items()
        for n, a in enumerate(r.accounts)
        for digest in [None if a.masked else context.digests.of((KeyKind.ACCOUNT, a.number))]
    ]  # fmt: skip
    columns = (
        "record_id", "position", "owner_id", "digest", "number", "kind", "status", "account_class", "opened_on", "branch",
        "legal_entity",
    )  # fmt: skip
    insert_rows(session, Account, columns, rows)


def _write_relations(session: Session, context: Context, records: dict[int, PartyRecord]) -> None:
    rows = []
    for record_id, record in records.items():
        for n, related in enumerate(record.related):
            number = normal_identifier(record, related.identifier, person=True) if related.identifier else None
            usable = number is not None and number.usable
            key = (KeyKind.IDENTIFIER, f"{number.space.value}:{number.number}") if number and usable else None
            digest = context.digests.of(key) if key else None
            rows.append((record_id, n, related.relation.value, related.name[:200], digest))
    insert_rows(session, Relation, ("record_id", "position", "type", "name", "digest"), rows)
