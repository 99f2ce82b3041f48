"""Lets golden records survive again, and writes version, number register and event in one go (统一视图)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.documents import content_hash, load_record
from ecif.domain.golden import golden_record
from ecif.domain.records import PartyRecord
from ecif.models import GoldenRecord, OutboxEvent, Party
from ecif.services.assignment import Assignment, PartyRow
from ecif.services.context import Context
from ecif.services.rows import insert_rows, query, update_rows

_DOCUMENTS = "SELECT id, document FROM source_record WHERE id = ANY(%(ids)b::bigint[])"
_CURRENT = (
    "SELECT g.customer_no, g.document FROM golden_record g JOIN party p USING (customer_no, version)"
    " WHERE g.customer_no = ANY(%(nos)b::text[])"
)


def settle(session: Session, context: Context, assignment: Assignment, fresh: Mapping[int, PartyRecord]) -> int:
    """Brings the golden records of all changed customers up to date; returns how many got a new version.

    Args:
        fresh: records that the caller holds already; the others are loaded.
    """
    live = {no: assignment.members[no] for no in sorted(assignment.changed) if no in assignment.members}
    records = dict(fresh) | _load(session, {m for members in live.values() for m in members} - fresh.keys())
    documents = {no: golden_record(no, [records[m] for m in members]) for no, members in live.items()}
    changed = {no: d for no, d in documents.items() if content_hash(d) != assignment.parties[no].content_hash}
    revived = {no for no in live if assignment.parties[no].merged_into is not None}
    before = _before(session, assignment, changed)
    rows: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    golden: list[tuple[Any, ...]] = []
    for no, document in documents.items():
        party = assignment.parties[no]
        if no not in changed and no not in revived:
            continue
        body = orjson.loads(document)
        version = party.version + 1
        kind = "customer.created" if party.new else "customer.unmerged" if no in revived else "customer.updated"
        golden.append((no, version, document.decode(), context.now))
        hash, seq = content_hash(document), party.event_seq + 1
        rows.append((no, body["party_type"], body["status"], None, version, seq, hash, context.now))
        events.append(_event(context, party, kind, {"version": version, "changed": _paths(before.get(no), body)}))
    for no, survivor in sorted(assignment.merged.items()):
        party = assignment.parties[no]
        seq, hash = party.event_seq + 1, party.content_hash
        rows.append((no, party.party_type, "MERGED", survivor, party.version, seq, hash, context.now))
        events.append(_event(context, party, "customer.merged", {"survivor": survivor}))
    _write(session, context, rows, golden, events)
    return len(golden)


def _load(session: Session, ids: Iterable[int]) -> dict[int, PartyRecord]:
    wanted = list(ids)
    if not wanted:
        return {}
    return {row.id: load_record(row.document) for row in query(session, _DOCUMENTS, ids=wanted)}


def _before(session: Session, assignment: Assignment, changed: Iterable[str]) -> dict[str, dict[str, Any]]:
    known = [no for no in changed if assignment.parties[no].version > 0]
    if not known:
        return {}
    return {row.customer_no: orjson.loads(row.document) for row in query(session, _CURRENT, nos=known)}


def _paths(before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    """Which parts of the golden record changed: paths only, since an event carries no personal value."""
    old = before or {}
    parts = [name for name in after if name not in ("fields", "customer_no") and after[name] != old.get(name)]
    ours, theirs = after["fields"], old.get("fields", {})
    fields = (f for f in sorted({*ours, *theirs}) if ours.get(f, {}).get("value") != theirs.get(f, {}).get("value"))
    return sorted([*parts, *(f"fields.{f}" for f in fields)])


def _event(context: Context, party: PartyRow, kind: str, data: dict[str, Any]) -> tuple[Any, ...]:
    seq = party.event_seq + 1
    call = context.call
    called = {"channel": call.channel.value, "branch": call.branch, "request_id": call.request_id} if call else {}
    body = {
        "type": kind,
        "source": "ecif",
        "subject": party.customer_no,
        "time": context.now.isoformat(),
        "schema_version": 1,
        "seq": seq,
        "actor": context.actor,
        **called,
        "data": data,
    }
    return (party.customer_no, seq, kind, context.now, orjson.dumps(body).decode(), context.change_id)


def _write(
    session: Session,
    context: Context,
    parties: list[tuple[Any, ...]],
    golden: list[tuple[Any, ...]],
    events: list[tuple[Any, ...]],
) -> None:
    columns = ("party_type", "status", "merged_into", "version", "event_seq", "content_hash", "updated_at")
    update_rows(session, Party, "customer_no", columns, parties)
    insert_rows(session, GoldenRecord, ("customer_no", "version", "document", "recorded_at"), golden)
    insert_rows(session, OutboxEvent, ("customer_no", "seq", "type", "occurred_at", "document", "change_id"), events)
