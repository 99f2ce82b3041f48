"""What every writing service is told by its edge: when it is, who acts, and with which key values are digested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

from ecif.domain.channels import Channel
from ecif.domain.days import bank_day
from ecif.matching.keys import Key


class KeyDigests:
    """Keyed digests of look-up values, so that an index tells nobody a number who does not hold the key."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.of = lru_cache(maxsize=4096)(self._of)

    def _of(self, key: Key) -> UUID:
        kind, text = key
        return UUID(bytes=blake2b(f"{int(kind)}|{text}".encode(), key=self._secret, digest_size=16).digest())


@dataclass(frozen=True, slots=True)
class Call:
    """The call that a change is made by: who calls, for which clerk, from where (调用方, 操作员, 渠道, 机构)."""

    caller: str
    operator: str = ""
    channel: Channel = Channel.API
    branch: str = ""
    business_date: date | None = None
    request_id: str = ""

    @property
    def person(self) -> str:
        """Who decides: the clerk, or the caller himself."""
        return self.operator or self.caller


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something changes: a call, and its row in the change log."""

    call: Call
    change_id: int


@dataclass(frozen=True, slots=True)
class Context:
    """``now`` is UTC and aware; ``actor`` names a person or a job.

    Attributes:
        call: missing where no call stands behind (files, jobs).
        operation: the merge, split or undo that is carried out, by kind and number.
        remark: what whoever approved it has remarked.
        cause: what changes under this context is put down to.
        causes: the same by source record, where several calls are carried out together.
    """

    now: datetime
    actor: str
    digests: KeyDigests = field(repr=False)
    call: Call | None = None
    cause: Cause | None = None
    operation: tuple[str, int] | None = None
    remark: str = ""
    causes: Mapping[int, Cause] = field(default_factory=dict)

    @property
    def person(self) -> str:
        """Who acts: the call's clerk or caller, or the job."""
        return self.call.person if self.call else self.actor

    @property
    def day(self) -> date:
        """The business day (业务日期): the call's, or that of the clock where the bank is."""
        return (self.call and self.call.business_date) or bank_day(self.now)

    def cause_of(self, records: Iterable[int]) -> Cause | None:
        """What a change of the party of these records is put down to."""
        return next((self.causes[r] for r in records if r in self.causes), self.cause)
