"""Lets golden records survive again, and writes version, number register and event in one go (统一视图)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.days import TICK
from ecif.domain.document_life import dated
from ecif.domain.documents import content_hash, load_record
from ecif.domain.events import EventType, Regrouping, change_data, event_type
from ecif.domain.golden import golden_record, merged_record
from ecif.domain.records import PartyRecord
from ecif.models import GoldenRecord, Party
from ecif.services import documents_life
from ecif.services.assignment import Assignment, PartyRow, regroupings
from ecif.services.context import Context
from ecif.services.events import event_row, insert_events
from ecif.services.rows import insert_rows, query, update_rows

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
    before = _before(session, assignment, [*changed, *assignment.merged])
    merged = {no: merged_record(no, parties[no].party_type, to) for no, to in sorted(assignment.merged.items())}
    regrouped = regroupings(assignment, context.operation)
    rows: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    golden: list[tuple[Any, ...]] = []
    after = {no: orjson.loads(document) for no, document in (changed | merged).items()}
    # One time for all that changes together, later than the versions before also where what began first ends last
    at = max([context.now, *(parties[no].updated_at + TICK for no in after)])
    context = replace(context, now=at)
    for no, document in (changed | merged).items():
        party, body = parties[no], after[no]
        version, seq, survivor = _next_version(assignment, no), party.event_seq + 1, body.get("merged_into")
        golden.append((no, version, document.decode(), at))
        rows.append((no, body["party_type"], body["status"], survivor, version, seq, content_hash(document), at))
        cause = context.cause_of(assignment.members.get(survivor or no, ()))
        events.append(
            event_row(
                replace(context, cause=cause),
                no,
                seq,
                *_told(party, version, before.get(no), body, at, regrouped.get(no)),
            )
        )
    _write(session, context, rows, golden, events)
    for no, version, *_ in golden:
        parties[no].version = version
    documents_life.keep(session, *({no: dated(body) for no, body in bodies.items()} for bodies in (before, after)))
    return len(changed)


def _next_version(assignment: Assignment, no: str) -> int:
    """Later than all that was ever answered under this number, or under one that is merged into it now: so what somebody has
    seen of another customer is never taken for this one's newest version."""
    parties = assignment.parties
    leads_here = [no, *(loser for loser, survivor in assignment.merged.items() if survivor == no)]
    led_to = (parties[n].merged_into for n in leads_here)
    return 1 + max(parties[n].version for n in (*leads_here, *led_to) if n in parties)


def _told(
    party: PartyRow,
    version: int,
    before: dict[str, Any] | None,
    body: dict[str, Any],
    at: datetime,
    regrouped: Regrouping | None,
) -> tuple[EventType, dict[str, Any]]:
    """The type of the event that tells a new version, and its data."""
    about = {"regrouping": regrouped.data} if regrouped else {}
    if "merged_into" in body:
        return EventType.MERGED, {"survivor": body["merged_into"], **about}
    data = change_data(version, before, body, at) | about
    kind = event_type(
        new=party.new,
        regrouped=regrouped.told_as if regrouped else None,
        changed=data["changed"],
        old_status=party.status,
        new_status=body["status"],
    )
    return kind, data


def _load(session: Session, ids: Iterable[int]) -> dict[int, PartyRecord]:
    wanted = list(ids)
    if not wanted:
        return {}
    return {row.id: load_record(row.document) for row in query(session, _DOCUMENTS, ids=wanted)}


def _before(session: Session, assignment: Assignment, nos: Iterable[str]) -> dict[str, dict[str, Any]]:
    known = [no for no in nos if assignment.parties[no].version > 0]
    if not known:
        return {}
    return {row.customer_no: orjson.loads(row.document) for row in query(session, _CURRENT, nos=known)}


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
    insert_events(session, events)
