"""What checks told whom about which customers (检查应答): decisions were taken on it, which an undo of a merge has to tell."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from ecif.services.context import Call, Context
from ecif.services.rows import Reads, query, send

KEPT = timedelta(days=400)
"""A year and a month: who acts on an older answer has asked again since."""

_KEEP = (
    "INSERT INTO check_answer (customer_no, kind, result, caller, operator, channel, request_id, answered_at)"
    " SELECT no, %(kind)b, %(result)b, %(caller)b, %(operator)b, %(channel)b, %(request_id)b, %(now)b"
    " FROM unnest(%(nos)b::text[]) no"
)
_KEEP_ALONE = (  # which need not wait for the disk: if the server itself falls with it, the caller has to ask again too
    f"WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)) {_KEEP}, lazily"
)
_FORGET = (
    "DELETE FROM check_answer WHERE id IN (SELECT id FROM check_answer WHERE answered_at < %(before)b"
    " ORDER BY answered_at LIMIT %(limit)b FOR UPDATE SKIP LOCKED) RETURNING 1"
)


class Check(StrEnum):
    """检查种类."""

    EXISTENCE = "EXISTENCE"


def keep(session: Reads, context: Context, check: Check, result: str, nos: Collection[str]) -> None:
    """Writes down that a call was told about these customers."""
    if not nos:
        return
    call = context.call or Call(context.actor)
    send(
        session, _KEEP if isinstance(session, Session) else _KEEP_ALONE,
        kind=check.value, result=result, caller=call.caller, operator=call.operator, channel=call.channel.value,
        request_id=call.request_id, now=context.now, nos=sorted(set(nos)),
    )  # fmt: skip


def forget(session: Session, context: Context, limit: int) -> int:
    """Drops answers that are older than :data:`KEPT`, at most so many; returns how many."""
    return len(query(session, _FORGET, before=context.now - KEPT, limit=limit))
