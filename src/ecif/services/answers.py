"""Answers kept for a repeat (幂等): the same key and body give the stored answer, also after a restart.

The key's row is written first, in the transaction of the call: a repeat that comes while the first still runs waits for it
at the unique key. If the first fails, nothing is kept and the repeat does the work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import orjson
from sqlalchemy.orm import Session

from ecif.models import StoredAnswer
from ecif.services.context import Context
from ecif.services.rows import insert_rows, query, send

KEPT = timedelta(days=7)

_STORED = "SELECT request_hash, status, headers, body FROM stored_answer WHERE caller = %(caller)b AND key = %(key)b"
_KEEP = (
    "UPDATE stored_answer SET status = %(status)b, headers = %(headers)b, body = %(body)b"
    " WHERE caller = %(caller)b AND key = %(key)b"
)
_FORGET = (
    "DELETE FROM stored_answer a USING (SELECT caller, key FROM stored_answer WHERE asked_at < %(before)b"
    " ORDER BY asked_at LIMIT %(limit)b FOR UPDATE SKIP LOCKED) old"
    " WHERE a.caller = old.caller AND a.key = old.key RETURNING 1"
)
_COLUMNS = ("caller", "key", "request_hash", "status", "headers", "body", "asked_at")


class IdempotencyConflict(Exception):
    """The key came with another request before."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call is answered: HTTP status, headers, JSON."""

    status: int
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict)


def recall(session: Session, context: Context, caller: str, key: str, request_hash: bytes) -> Answer | None:
    """The answer given before, or None for whoever comes first, who then has the key to himself.

    Raises:
        IdempotencyConflict: the key stands for another request.
    """
    row = (caller, key, request_hash, 0, "{}", "", context.now)
    if insert_rows(session, StoredAnswer, _COLUMNS, [row], "ON CONFLICT DO NOTHING RETURNING status"):
        return None
    (stored,) = query(session, _STORED, caller=caller, key=key)
    if bytes(stored.request_hash) != request_hash:
        raise IdempotencyConflict
    return Answer(stored.status, stored.body.encode(), orjson.loads(stored.headers))


def keep(session: Session, caller: str, key: str, answer: Answer) -> None:
    """Stores the answer in the transaction of what it tells."""
    headers = orjson.dumps(answer.headers).decode()
    send(session, _KEEP, caller=caller, key=key, status=answer.status, headers=headers, body=answer.body.decode())


def forget(session: Session, context: Context, limit: int) -> int:
    """Drops answers that have been kept long enough, oldest first, ``limit`` of them at most; returns how many."""
    return len(query(session, _FORGET, before=context.now - KEPT, limit=limit))
