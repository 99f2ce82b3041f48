"""Who saw clear values (明文访问日志): written in the transaction of the read, so that none is answered off the record."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from ecif.models import ClearRead
from ecif.services.context import Call
from ecif.services.rows import insert_rows

_COLUMNS = ("customer_no", "caller", "operator", "channel", "purpose", "fields", "request_id", "read_at")


def log_clear_read(
    session: Session, call: Call, now: datetime, *, purpose: str, nos: Iterable[str], fields: Collection[str]
) -> None:
    """Writes down that a call is about to show clear values of these customers (PIPL Art 51, 57)."""
    told = (call.caller, call.operator, call.channel.value, purpose, ",".join(sorted(fields)), call.request_id, now)
    insert_rows(session, ClearRead, _COLUMNS, [(no, *told) for no in dict.fromkeys(nos)])
