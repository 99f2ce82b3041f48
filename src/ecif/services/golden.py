"""Lets golden records survive again, and writes version, number register and event in one go (统一视图)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.documents import content_hash, load_record
from ecif.domain.golden import golden_record, merged_record
from ecif.domain.records import PartyRecord
from ecif.models import GoldenRecord, OutboxEvent, Party
from ecif.services.assignment import Assignment, PartyRow
from ecif.services.context import Context
from ecif.services.rows import insert_rows, query, update_rows

TICK = timedelta(microseconds=1)
"""By so much at least a version of a customer is recorded later than the one before it."""

_DOCUMENTS = "SELECT id, document FROM source_record WHERE id = ANY(%(ids)b::bigint[])"
_CURRENT = (
    "SELECT g.customer_no, g.document FROM golden_record g JOIN party p USING (customer_no, version)"
    " WHERE g.customer_no = ANY(%(nos)b::text[])"
)


def settle(session: Session, context: Context, assignment: Assignment, fresh: Mapping[int, PartyRecord]) -> int:
    """Brings the golden records of all changed customers up to date; returns how many live ones got a new version.

    A number that was merged gets a version too, which says into whom: so what was answered at any time can be read later.

    Args:
        fresh: records that the caller holds already; the others are loaded.
    """
    parties = assignment.parties
    live = {no: assignment.members[no] for no in sorted(assignment.changed) if no in assignment.members}
    records = dict(fresh) | _load(session, {m for members in live.values() for m in members} - fresh.keys())
    documents = {no: golden_record(no, [records[m] for m in members]) for no, members in live.items()}
    changed = {no: d for no, d in documents.items() if content_hash(d) != parties[no].content_hash}
    before = _before(session, assignment, changed)
    merged = {no: merged_record(no, parties[no].party_type, to) for no, to in sorted(assignment.merged.items())}
    rows: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    golden: list[tuple[Any, ...]] = []
    for no, document in (changed | merged).items():
        party, body = parties[no], orjson.loads(document)
        at = max(context.now, party.updated_at + TICK)  # of two that began in one order and ended in the other
        version, seq, survivor = party.version + 1, party.event_seq + 1, body.get("merged_into")
        golden.append((no, version, document.decode(), at))
        rows.append((no, body["party_type"], body["status"], survivor, version, seq, content_hash(document), at))
        events.append(_event(replace(context, now=at), party, *_told(party, before.get(no), body)))
    _write(session, context, rows, golden, events)
    return len(changed)


def _told(party: PartyRow, before: dict[str, Any] | None, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind of event that tells a new version, and its data."""
    if "merged_into" in body:
        return "customer.merged", {"survivor": body["merged_into"]}
    kind = "customer.created" if party.new else "customer.unmerged" if party.merged_into else "customer.updated"
    return kind, {"version": party.version + 1, "changed": _paths(before, body)}


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
