"""Laws of the online service: what calls do one after another is what their facts say at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import Any

from conftest import empty
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people import NOW, citizen, golden, record
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from ecif.db import run_transaction
from ecif.domain.channels import Channel
from ecif.domain.completeness import Profile
from ecif.domain.documents import load_record
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import Identifier, PartyRecord, Phone, PhoneKind, RecordStatus
from ecif.services import maintenance, source_records
from ecif.services.context import Call, Context, KeyDigests
from ecif.services.ingest import Delivery, ingest
from ecif.services.opening import OpeningRefused, open_customer
from ecif.services.rebuild import rebuild

NAMES = ("张三丰", "張三豐", "李四光", "王五一")
NUMBERS = (citizen(1), citizen(1)[:6] + citizen(1)[8:17], citizen(3), citizen(5), "")
PHONES = ("13912345670", "13912345671", "")
CHANNELS = (Channel.COUNTER, Channel.EBANK, Channel.MOBILE)

_said = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "id": st.sampled_from(NUMBERS),
        "phone": st.sampled_from(PHONES),
        "day": st.integers(0, 4),
        "born": st.sampled_from((date(1990, 1, 1), None)),
        "male": st.sampled_from((True, None)),
    }
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("file"), st.lists(st.tuples(st.integers(0, 5), _said), min_size=1, max_size=4)),
        st.tuples(st.just("upsert"), st.integers(0, 5), _said),
        st.tuples(st.just("end"), st.integers(0, 5), st.integers(0, 6)),
        st.tuples(st.just("open"), st.sampled_from(CHANNELS), _said),
        st.tuples(
            st.just("patch"),
            st.sampled_from(CHANNELS),
            st.integers(0, 7),
            st.sampled_from(("phones", "occupation", "name", "identifiers")),
            st.integers(0, 2),
        ),
        st.tuples(st.just("close"), st.sampled_from(CHANNELS), st.integers(0, 7), st.booleans()),
    ),
    min_size=2,
    max_size=9,
)
_seconds = count()
REFUSALS = (
    OpeningRefused, maintenance.CloseBlocked, maintenance.EvidenceMissing, maintenance.ChangeRequestStale,
    source_records.SourceRecordNotFound,
)  # fmt: skip


def _record(n: int, says: dict[str, Any]) -> PartyRecord:
    return record(("core", "card", "ebank")[n % 3], f"k{n}", **says)


def _patch(field: str, value: int) -> PartyRecord:
    said: dict[str, Any] = {
        "phones": tuple(Phone(PhoneKind.MOBILE, p) for p in (PHONES[value],) if p),
        "occupation": ("教师", "医生", "")[value],
        "name": NAMES[value],
        "identifiers": (Identifier(IdentifierKind.CITIZEN_ID, citizen(7 + value)),),
    }
    return replace(record("", ""), **{field: said[field]})


class Bank:
    """The services, a second apart, by one clerk and another who approves."""

    def __init__(self, engine: Engine, digests: KeyDigests) -> None:
        self.engine, self.digests = engine, digests

    def context(self, channel: Channel, clerk: str = "clerk") -> Context:
        now = NOW + timedelta(seconds=next(_seconds))
        return Context(now, "test", self.digests, Call("test", clerk, channel))

    def numbers(self) -> list[str]:
        """Every number ever issued, merged ones too."""
        with self.engine.connect() as connection:
            return list(connection.execute(text("SELECT customer_no FROM party ORDER BY 1")).scalars())

    def step(self, session: Session, verb: str, *given: Any) -> None:
        channel = next((word for word in given if isinstance(word, Channel)), Channel.API)
        context = self.context(channel)
        match verb, given:
            case "file", (rows,):
                ingest(session, context, [Delivery(_record(n, says)) for n, says in rows])
            case "upsert", (n, says):
                source_records.deliver(session, context, [_record(n, says)])
            case "end", (n, day):
                it = _record(n, {"day": day})
                source_records.end(session, context, (it.system, it.key), it.business_time)
            case "open", (_, says):
                key = f"ecif:{next(_seconds)}"
                new = replace(record(channel.value.lower(), key, **says), business_time=context.now)
                open_customer(session, context, new, profile=Profile.BASIC, verdicts={}, return_existing=True) if says[
                    "id"
                ] else None
            case _, (_, n, *how):
                self.change(session, context, verb, n, *how)

    def change(self, session: Session, context: Context, verb: str, n: int, *how: Any) -> None:
        numbers = self.numbers()
        if not numbers:
            return
        no = numbers[n % len(numbers)]
        if verb == "close":
            act = maintenance.close if how[0] else maintenance.reactivate
            act(session, context, no, expected=None, reason="test")
            return
        version = maintenance.known(session, context, no, context.call.channel).version  # type: ignore[union-attr]
        field, value = how
        done = maintenance.change(
            session, context, no, _patch(field, value), [field], expected=version, reason="test", evidence="x"
        )
        if done.request is not None:
            maintenance.approve(session, self.context(Channel.COUNTER, "chief"), done.request)

    def facts(self) -> list[PartyRecord]:
        """Every version of every record that was taken in."""
        with self.engine.connect() as connection:
            query = text("SELECT document FROM source_record_version ORDER BY record_id, version")
            return [load_record(document) for document in connection.execute(query).scalars()]


SOME = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SOME
@given(steps=_steps)
def test_calls_and_files_in_any_sequence_are_their_facts_at_once(
    server: Engine, digests: KeyDigests, steps: list[tuple[Any, ...]]
) -> None:
    empty(server)
    bank = Bank(server, digests)
    for step in steps:
        try:
            run_transaction(server, lambda session, step=step: bank.step(session, *step))  # type: ignore[misc]
        except REFUSALS:
            continue
    by_calls, facts = golden(server), bank.facts()
    report = run_transaction(server, lambda s: rebuild(s, bank.context(Channel.API)))
    assert report.changed == 0 and golden(server) == by_calls
    empty(server)
    run_transaction(server, lambda s: ingest(s, bank.context(Channel.API), [Delivery(fact) for fact in facts]))
    assert golden(server) == by_calls
    assert RecordStatus
