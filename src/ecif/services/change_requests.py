"""Changes that wait for a second person (双人复核): one asks, another decides, and both are on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.channels import Channel
from ecif.domain.documents import dump_record, load_record
from ecif.domain.records import PartyRecord
from ecif.models import ChangeRequest
from ecif.services import four_eyes
from ecif.services.context import Call, Context
from ecif.services.customers import NUMBERS, resolve
from ecif.services.rows import insert_rows, query, send

_REQUEST = "SELECT * FROM change_request WHERE id = %(id)b"
_TAKE = f"{_REQUEST} FOR UPDATE"
_DECIDE = (
    "UPDATE change_request SET status = %(status)b, checker = %(checker)b, note = %(note)b, decided_at = %(now)b"
    " WHERE id = %(id)b"
)
_LIST = (
    "SELECT * FROM change_request WHERE status = %(status)b AND id > %(after)b"
    f" AND (%(customer_no)b = '' OR customer_no IN ({NUMBERS})) ORDER BY id LIMIT %(limit)b"
)
_COLUMNS = (
    "customer_no", "status", "patch", "before", "reason", "evidence", "maker", "caller", "channel", "branch",
    "made_at",
)  # fmt: skip


class RequestStatus(StrEnum):
    """复核状态."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class ChangeRequestNotFound(Exception):
    """There is no such request."""


class ChangeRequestDecided(Exception):
    """It has been decided already."""


@dataclass(frozen=True, slots=True)
class Request:
    """A change that waits, or waited: what it would write into which fields, and what these were when it was asked for."""

    row: Any
    wanted: PartyRecord
    touched: tuple[str, ...]
    before: Mapping[str, Any]

    @property
    def channel(self) -> Channel:
        """The channel that asked."""
        return Channel(self.row.channel)


def _request(row: Any) -> Request:
    before = orjson.loads(row.before)
    return Request(row, load_record(row.patch), tuple(before), before)


def ask(
    session: Session,
    context: Context,
    customer_no: str,
    wanted: PartyRecord,
    before: Mapping[str, Any],
    *,
    reason: str,
    evidence: str,
) -> int:
    """Stores a change that another person has to approve; returns the request's number.

    Args:
        wanted: a record that holds the new values alone.
        before: the fields it touches, with what the golden record shows now.
    """
    call = context.call or Call(context.actor)
    row = (
        customer_no, RequestStatus.PENDING.value, dump_record(wanted).decode(), orjson.dumps(before).decode(), reason,
        evidence, call.person, call.caller, call.channel.value, call.branch, context.now,
    )  # fmt: skip
    ((request_id,),) = insert_rows(session, ChangeRequest, _COLUMNS, [row], "RETURNING id")
    return int(request_id)


def take(session: Session, context: Context, request_id: int) -> Request:
    """A pending request, held until the end of the transaction by whoever decides it.

    Raises:
        ChangeRequestNotFound, ChangeRequestDecided: there is nothing to decide.
        MakerIsChecker: the person who asked is the one who decides.
    """
    rows = query(session, _TAKE, id=request_id)
    if not rows:
        raise ChangeRequestNotFound
    if rows[0].status != RequestStatus.PENDING:
        raise ChangeRequestDecided
    four_eyes.must_be_other(context, rows[0].maker, rows[0].caller)
    return _request(rows[0])


def decide(session: Session, context: Context, request_id: int, status: RequestStatus, note: str) -> None:
    """Writes the decision down."""
    send(session, _DECIDE, id=request_id, status=status.value, checker=context.person, note=note, now=context.now)


def get(session: Session, request_id: int) -> Request:
    """A request.

    Raises:
        ChangeRequestNotFound: there is none of this number.
    """
    rows = query(session, _REQUEST, id=request_id)
    if not rows:
        raise ChangeRequestNotFound
    return _request(rows[0])


def listing(
    session: Session, status: RequestStatus, *, customer_no: str = "", after: int = 0, limit: int = 100
) -> Sequence[Request]:
    """Requests of a status, oldest first; of a customer under each of his numbers.

    Raises:
        CustomerNotFound: the customer asked for was never issued.
    """
    rows = query(session, _LIST, status=status.value, customer_no=customer_no, after=after, limit=limit)
    if customer_no and not rows:
        resolve(session, customer_no)
    return [_request(row) for row in rows]
