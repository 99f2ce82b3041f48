"""Changes customers by calls (客户信息维护): patches, decisions on their status, and what waits for a second person.

Each channel keeps one record of its own on a customer. A change is a new version of it, taken in as every source record is;
what the golden record then shows is for survivorship to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.channels import CHANNELS, Channel, system_of
from ecif.domain.days import TICK
from ecif.domain.documents import load_record
from ecif.domain.existence import Fault
from ecif.domain.patches import LISTS, apply, news, restated, said, touches_identity, unusable, value_in
from ecif.domain.records import CustomerStatus, PartyRecord, PartyType, RecordName
from ecif.matching.keys import KeyKind
from ecif.services.candidates import claim
from ecif.services.change_requests import RequestStatus, ask, decide, take
from ecif.services.changes import log_change
from ecif.services.context import Context
from ecif.services.customers import CustomerNotFound
from ecif.services.ingest import Delivery, ingest
from ecif.services.rows import query

OWN_KEY = "ecif:"
"""Keys of records that channels write here begin with this; no source system may use it."""
_KEYS_MAX = 100_000
"""Records of a channel's on one number: a split can lead such a record to another customer, and then the next change begins a
new one."""
_NEVER = datetime.min.replace(tzinfo=UTC)

_KNOWN = (
    "SELECT s.customer_no, s.party_type, s.version, g.document, a.system, a.key,"
    " (SELECT r.document FROM link l JOIN source_record r ON r.id = l.record_id WHERE l.customer_no = s.customer_no"
    " AND l.ended_at IS NULL AND r.system = %(system)b AND starts_with(r.key, %(own)b)"
    " AND (r.id = s.anchor_id OR split_part(r.key, '.', 1) = %(own)b || s.customer_no)"
    " ORDER BY r.business_time DESC, r.key LIMIT 1) AS own,"
    " (SELECT free.key FROM (SELECT %(own)b || s.customer_no || CASE n WHEN 1 THEN '' ELSE '.' || n END AS key"
    f" FROM (SELECT generate_series(1, {_KEYS_MAX}) AS n) counted) free"  # one after the other, as far as they are taken
    " WHERE (SELECT count(*) FROM source_record r WHERE r.system = %(system)b AND r.key = free.key) = 0 LIMIT 1) AS free"
    " FROM party p JOIN party s ON s.customer_no = coalesce(p.merged_into, p.customer_no)"
    " JOIN golden_record g ON g.customer_no = s.customer_no AND g.version = s.version"
    " JOIN source_record a ON a.id = s.anchor_id WHERE p.customer_no = %(no)b"
)
_SHOWN = (
    "SELECT p.customer_no, p.version, g.document FROM source_record r JOIN link l ON l.record_id = r.id"
    " AND l.ended_at IS NULL JOIN party p ON p.customer_no = l.customer_no"
    " JOIN golden_record g ON g.customer_no = p.customer_no AND g.version = p.version"
    " WHERE r.system = %(system)b AND r.key = %(key)b"
)
_OPEN_ACCOUNTS = (
    "SELECT count(*) AS n FROM link l JOIN account a ON a.owner_id = l.record_id"
    " WHERE l.customer_no = %(no)b AND l.ended_at IS NULL AND a.status <> 'CLOSED'"
)
_RECORDS = (
    "SELECT r.system, r.key, CASE WHEN starts_with(r.key, %(own)b) THEN r.document END AS own FROM link l"
    " JOIN source_record r ON r.id = l.record_id WHERE l.customer_no = %(no)b AND l.ended_at IS NULL ORDER BY r.system, r.key"
)
_OPEN_REVIEWS = (
    "SELECT count(*) AS n FROM merge_review WHERE closed_at IS NULL AND (customer_lo = %(no)b OR customer_hi = %(no)b)"
)


class VersionConflict(Exception):
    """The customer is not at the version that the caller has seen; ``version`` is the current one."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class ChannelTooWeak(Exception):
    """This channel may not change the phone that authenticates a customer."""


class PatchUnusable(Exception):
    """Values that could never be shown, so that saying them would only take away what was there; ``faults`` says which."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(*(fault.rule for fault in faults))
        self.faults = faults


class EvidenceMissing(Exception):
    """A change of key identity has to name its evidence."""


class ChangeRequestStale(Exception):
    """The customer has changed since the change was asked for, in what it would change."""


class CloseBlocked(Exception):
    """The customer can't be closed; ``blocks`` says by how many of what (CC01, CC07)."""

    def __init__(self, blocks: Mapping[str, int]) -> None:
        super().__init__(*blocks)
        self.blocks = blocks


class StatusStands(Exception):
    """The customer has a stricter status than the one that was asked for; ``status`` is lifted by a reactivation alone."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Known:
    """A customer as a change finds him: number asked for and live one, golden record, and the channel's own record.

    ``record`` is the one that the number was issued for, or that was written onto it: one that came with a merge leaves with
    it. ``at`` is later than whatever it says.
    """

    requested_no: str
    customer_no: str
    version: int
    golden: dict[str, Any] = field(repr=False)
    record: PartyRecord
    at: datetime


@dataclass(frozen=True, slots=True)
class NotApplied:
    """A patched field whose golden value is another source's."""

    field: str
    reason: str
    system: str
    key: str


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change came to: ``version`` is the old one where nothing new was said, or where a ``request`` waits."""

    requested_no: str
    customer_no: str
    version: int
    changed: list[str] = field(default_factory=list)
    not_applied: list[NotApplied] = field(default_factory=list)
    request: int | None = None


def known(session: Session, context: Context, no: str, channel: Channel, expected: int | None = None) -> Known:
    """The customer behind a number, with the channel's record of him, which nobody else changes until the transaction ends.

    Raises:
        CustomerNotFound: the number was never issued.
        VersionConflict: the customer is not at the expected version.
    """
    system = system_of(channel)
    claim(session, [context.digests.of((KeyKind.RECORD, f"{system}:{OWN_KEY}{no}"))])
    rows = query(session, _KNOWN, no=no, system=system, own=OWN_KEY)
    if not rows:
        raise CustomerNotFound(no)
    (row,) = rows
    if expected is not None and row.version != expected:
        raise VersionConflict(row.version)
    golden = orjson.loads(row.document)
    blank = PartyRecord(system, row.free, PartyType(row.party_type), _NEVER, same_as=((row.system, row.key),))
    own = replace(load_record(row.own), party_type=blank.party_type) if row.own else blank
    return Known(no, row.customer_no, row.version, golden, own, max(context.now, own.business_time + TICK))


def change(
    session: Session,
    context: Context,
    no: str,
    patch: PartyRecord,
    fields: Sequence[str],
    *,
    expected: int,
    reason: str,
    evidence: str = "",
) -> Changed:
    """Changes a customer: at once, or, if his key identity is touched, when a second person has approved.

    Args:
        patch: a record that holds the new values alone (see :mod:`ecif.domain.patches`).
        fields: the names of its fields that count.
        expected: the version that the caller has seen.
        evidence: where the proof of a new identity is kept.

    Raises:
        CustomerNotFound, VersionConflict: see :func:`known`.
        PatchUnusable: a placeholder, a mask, a wrong number.
        ChannelTooWeak: a phone, through a channel without strong authentication.
        EvidenceMissing: key identity is touched and no evidence named.
    """
    who = known(session, context, no, _channel(context), expected)
    patch = replace(patch, party_type=who.record.party_type, business_time=context.now)
    faults = unusable(patch, fields)
    if faults:
        raise PatchUnusable(faults)
    touched = news(patch, fields, who.record, who.golden)
    if not touched:
        return Changed(no, who.customer_no, who.version, [], _not_applied(patch, fields, who.golden))
    if "phones" in touched and not CHANNELS[_channel(context)].strong:
        raise ChannelTooWeak
    if touches_identity(patch, touched, who.golden):
        return _ask(session, context, who, patch, touched, reason, evidence)
    record = apply(who.record, patch, touched, who.golden, who.at)
    return _write(session, context, who, record, touched, action="CHANGE_CUSTOMER", reason=reason, evidence=evidence)


def _channel(context: Context) -> Channel:
    return context.call.channel if context.call else Channel.API


def _ask(
    session: Session,
    context: Context,
    who: Known,
    patch: PartyRecord,
    touched: Sequence[str],
    reason: str,
    evidence: str,
) -> Changed:
    if not evidence:
        raise EvidenceMissing
    before = {field: value_in(who.golden, field) for field in touched}
    request = ask(session, context, who.customer_no, patch, before, reason=reason, evidence=evidence)
    return Changed(who.requested_no, who.customer_no, who.version, request=request)


def approve(session: Session, context: Context, request_id: int, *, note: str = "") -> Changed:
    """Carries out a change that another person asked for; the customer is matched again.

    Raises:
        ChangeRequestNotFound, ChangeRequestDecided, MakerIsChecker: see :func:`ecif.services.change_requests.take`.
        ChangeRequestStale: what it would change is no longer what the maker saw.
    """
    request = take(session, context, request_id)
    row = request.row
    who = known(session, context, row.customer_no, request.channel)
    if any(value_in(who.golden, field) != value for field, value in request.before.items()):
        raise ChangeRequestStale
    decide(session, context, request_id, RequestStatus.APPROVED, note)
    record = apply(who.record, request.wanted, request.touched, who.golden, who.at)
    return _write(
        session, context, who, record, request.touched,
        action="APPROVE_CHANGE", reason=row.reason, evidence=row.evidence,
    )  # fmt: skip


def reject(session: Session, context: Context, request_id: int, *, note: str) -> None:
    """Turns a change down; nothing changes.

    Raises:
        ChangeRequestNotFound, ChangeRequestDecided, MakerIsChecker: see :func:`ecif.services.change_requests.take`.
    """
    take(session, context, request_id)
    decide(session, context, request_id, RequestStatus.REJECTED, note)


def _write(
    session: Session,
    context: Context,
    who: Known,
    record: PartyRecord,
    touched: Sequence[str],
    *,
    action: str,
    reason: str,
    evidence: str = "",
) -> Changed:
    """Takes the channel's changed record in, and tells what of it the golden record shows."""
    context = log_change(session, context, action, reason=reason, evidence=evidence)
    result = ingest(session, context, [Delivery(record)])
    if result.before.get(who.customer_no) != who.version:  # somebody changed him since he was read
        raise VersionConflict(result.before.get(who.customer_no, who.version))
    (row,) = query(session, _SHOWN, system=record.system, key=record.key)
    lost = _not_applied(record, touched, orjson.loads(row.document))
    return Changed(who.requested_no, row.customer_no, row.version, list(touched), lost)


def _not_applied(record: PartyRecord, touched: Iterable[str], golden: Mapping[str, Any]) -> list[NotApplied]:
    wanted = said(record)
    return [lost for field in touched if (lost := _lost(field, wanted[field], golden))]


def _lost(field: str, wanted: Any, golden: Mapping[str, Any]) -> NotApplied | None:
    """The source that the golden record follows instead, or that still says what was to be removed."""
    shown = value_in(golden, field)
    if field not in LISTS:
        winner = golden["fields"].get(field)
        if not winner or shown == wanted:
            return None
        return NotApplied(field, winner["rule"] if wanted else "SAID_BY_OTHERS", winner["system"], winner["key"])
    if len(shown) <= len(wanted):
        return None
    origin = next(
        entry["sources"][0] for entry, value in zip(golden[field], shown, strict=False) if value not in wanted
    )
    return NotApplied(field, "SAID_BY_OTHERS", origin["system"], origin["key"])


def close(session: Session, context: Context, no: str, *, expected: int | None, reason: str) -> Changed:
    """Closes a customer as a whole (客户销户, CC01–CC08). The number stays, for ever; closing again changes nothing.

    Raises:
        CustomerNotFound, VersionConflict: see :func:`known`.
        StatusStands: he is restricted or deceased.
        CloseBlocked: an account or a review is open.
    """
    who = known(session, context, no, _channel(context), expected)
    if who.golden["status"] == CustomerStatus.ACTIVE:
        blocks = {
            "CC01": query(session, _OPEN_ACCOUNTS, no=who.customer_no)[0].n,
            "CC07": query(session, _OPEN_REVIEWS, no=who.customer_no)[0].n,
        }
        if any(blocks.values()):
            raise CloseBlocked({rule: n for rule, n in blocks.items() if n})
    return _raise_to(session, context, who, CustomerStatus.CLOSED, "CLOSE_CUSTOMER", reason=reason)


def restrict(session: Session, context: Context, no: str, *, expected: int | None, reason: str) -> Changed:
    """Keeps a customer from all use but being kept (限制处理, 个人信息保护法 art. 47); restricting again changes nothing.

    Raises:
        CustomerNotFound, VersionConflict: see :func:`known`.
        StatusStands: he is deceased.
    """
    who = known(session, context, no, _channel(context), expected)
    return _raise_to(session, context, who, CustomerStatus.RESTRICTED, "RESTRICT_CUSTOMER", reason=reason)


def mark_deceased(
    session: Session,
    context: Context,
    no: str,
    *,
    deceased_on: date,
    expected: int | None,
    reason: str,
    evidence: str,
) -> Changed:
    """Says that a customer has died (客户死亡), or puts the day right; the same day again changes nothing.

    Args:
        evidence: where the proof of his death is kept.

    Raises:
        CustomerNotFound, VersionConflict: see :func:`known`.
        PatchUnusable: no person, or a day before his birth or in the future.
    """
    who = known(session, context, no, _channel(context), expected)
    fault = _cannot_die(context, who, deceased_on)
    if fault:
        raise PatchUnusable([Fault("deceased_on", fault)])
    return _raise_to(
        session, context, who, CustomerStatus.DECEASED, "MARK_CUSTOMER_DECEASED",
        on=deceased_on, reason=reason, evidence=evidence,
    )  # fmt: skip


def _cannot_die(context: Context, who: Known, on: date) -> str:
    """What is wrong with a day on which a customer is said to have died."""
    if who.golden["party_type"] != PartyType.PERSON:
        return "NO_PERSON"
    born = value_in(who.golden, "birth_date")
    return "NOT_IN_LIFE" if on > context.day or (born and on.isoformat() < born) else ""


def reactivate(session: Session, context: Context, no: str, *, expected: int | None, reason: str) -> Changed:
    """Lifts a closing, a restriction or a mark of death, under the same number (重新激活): whoever decided it, on whichever
    of the numbers that are one now.

    Raises:
        CustomerNotFound, VersionConflict: see :func:`known`.
    """
    who = known(session, context, no, _channel(context), expected)
    return _decide(session, context, who, CustomerStatus.ACTIVE, "REACTIVATE_CUSTOMER", reason=reason)


def _raise_to(
    session: Session, context: Context, who: Known, status: CustomerStatus, action: str, **why: Any
) -> Changed:
    """Decides a status that is as strict as the customer's own, or stricter.

    Raises:
        StatusStands: it is milder.
    """
    stands = CustomerStatus(who.golden["status"])
    if stands.strictness > status.strictness:
        raise StatusStands(stands)
    return _decide(session, context, who, status, action, **why)


def _decide(
    session: Session,
    context: Context,
    who: Known,
    status: CustomerStatus,
    action: str,
    *,
    reason: str,
    evidence: str = "",
    on: date | None = None,
) -> Changed:
    """Writes a decision on the customer's status, in the place of all that stand; the same again changes nothing."""
    if who.golden["status"] == status and (on is None or who.golden.get("deceased_on") == on.isoformat()):
        return Changed(who.requested_no, who.customer_no, who.version)
    record = replace(
        restated(who.record, who.at, ("customer_status",)),
        customer_status=status,
        customer_status_on=on or context.day,
        customer_status_over=_over(session, who, status),
    )
    decided = _write(session, context, who, record, (), action=action, reason=reason, evidence=evidence)
    return replace(decided, changed=["status"])


def _over(session: Session, who: Known, status: CustomerStatus) -> tuple[RecordName, ...]:
    """The other records that hold a decision on the customer's status, of whichever channel and number; where he is closed,
    all of his others.
    """
    rows = query(session, _RECORDS, no=who.customer_no, own=OWN_KEY)
    ours, closes = (who.record.system, who.record.key), status is CustomerStatus.CLOSED
    return tuple(
        (r.system, r.key)
        for r in rows
        if (r.system, r.key) != ours and (closes or (r.own and load_record(r.own).customer_status))
    )
