"""The change log (变更登记): which call changed something, for whom and why. Versions and events name its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from ecif.models import Change
from ecif.services.context import Call, Cause, Context
from ecif.services.rows import insert_rows

_COLUMNS = (
    "action", "caller", "operator", "channel", "branch", "business_date", "reason", "evidence", "request_id",
    "changed_at",
)  # fmt: skip


def log_change(session: Session, context: Context, action: str, *, reason: str = "", evidence: str = "") -> Context:
    """Writes down that this call is about to change something; what is changed under the new context refers to it."""
    if context.call is None:
        return context
    (cause,) = log_changes(session, context, action, [context.call], reason=reason, evidence=evidence)
    return replace(context, cause=cause)


def log_changes(
    session: Session, context: Context, action: str, calls: Sequence[Call], *, reason: str = "", evidence: str = ""
) -> list[Cause]:
    """The same for calls that are carried out together."""
    rows = [
        (action, c.caller, c.operator, c.channel.value, c.branch, c.business_date, reason, evidence, c.request_id,
         context.now)
        for c in calls
    ]  # fmt: skip
    ids = sorted(row.id for row in insert_rows(session, Change, _COLUMNS, rows, "RETURNING id"))
    return [Cause(call, change_id) for call, change_id in zip(calls, ids, strict=True)]
