"""A clerk at the counter, who opens and changes customers through the services, and his chief."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from people import record, scalar
from sqlalchemy import Engine

from ecif.db import run_transaction
from ecif.domain.channels import Channel
from ecif.domain.completeness import Profile
from ecif.domain.records import PartyRecord
from ecif.services import maintenance
from ecif.services.context import Call, Context, KeyDigests
from ecif.services.customers import golden
from ecif.services.opening import open_customer


class Clerk:
    """One who calls, a day after the call before; his chief approves."""

    def __init__(self, engine: Engine, digests: KeyDigests) -> None:
        self.engine, self.digests = engine, digests
        self.now = datetime(2026, 7, 1, tzinfo=UTC)

    def context(self, channel: Channel, person: str = "clerk", branch: str = "0101", on: date | None = None) -> Context:
        self.now += timedelta(days=1)
        return Context(self.now, "test", self.digests, Call("test", person, channel, branch, on))

    def opens(self, said: PartyRecord, channel: Channel = Channel.COUNTER, **how: Any) -> str:
        context = self.context(channel, **{k: how.pop(k) for k in ("on",) if k in how})
        new = replace(
            said,
            system=channel.value.lower(),
            business_time=context.now,
            branch="0101",
            opened_on=how.pop("opened_on", None),
        )
        how = {"verdicts": {}, "return_existing": False} | how
        return run_transaction(
            self.engine, lambda s: open_customer(s, context, new, profile=Profile.BASIC, **how)
        ).customer_no

    def patches(self, no: str, channel: Channel = Channel.COUNTER, **said: Any) -> maintenance.Changed:
        context, version = self.context(channel, branch="0909"), self.golden(no)["version"]
        patch = replace(record("", ""), **said)
        done = run_transaction(
            self.engine,
            lambda s: maintenance.change(
                s, context, no, patch, list(said), expected=version, reason="test", evidence="x"
            ),
        )
        if done.request is None:
            return done
        chief, request = self.context(Channel.COUNTER, "chief"), done.request
        return run_transaction(self.engine, lambda s: maintenance.approve(s, chief, request))

    def decides(self, no: str, act: Any, channel: Channel = Channel.COUNTER, **how: Any) -> maintenance.Changed:
        context = self.context(channel, **how)
        done: maintenance.Changed = run_transaction(
            self.engine, lambda s: act(s, context, no, expected=None, reason="test")
        )
        return done

    def golden(self, no: str) -> dict[str, Any]:
        found = run_transaction(self.engine, lambda s: golden(s, no))
        return found.document | {"version": found.version}

    def value(self, no: str, field: str) -> Any:
        return self.golden(no)["fields"].get(field, {}).get("value")


def customer(engine: Engine, system: str, key: str) -> str:
    return str(
        scalar(
            engine,
            "SELECT customer_no FROM link l JOIN source_record r ON r.id = l.record_id"
            f" WHERE l.ended_at IS NULL AND r.system = '{system}' AND r.key = '{key}'",
        )
    )
