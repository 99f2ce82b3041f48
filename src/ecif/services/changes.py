"""The change log (变更登记): which call changed something, for whom and why. Versions and events name its row."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from ecif.models import Change
from ecif.services.context import Context
from ecif.services.rows import insert_rows

_COLUMNS = (
    "action", "caller", "operator", "channel", "branch", "business_date", "reason", "evidence", "request_id",
    "changed_at",
)  # fmt: skip


def log_change(session: Session, context: Context, action: str, *, reason: str = "", evidence: str = "") -> Context:
    """Writes down that this call is about to change something; what is changed under the new context refers to it."""
    call = context.call
    if call is None:
        return context
    row = (
        action, call.caller, call.operator, call.channel.value, call.branch, call.business_date, reason, evidence,
        call.request_id, context.now,
    )  # fmt: skip
    ((change_id,),) = insert_rows(session, Change, _COLUMNS, [row], "RETURNING id")
    return replace(context, change_id=change_id)
