"""Laws of the online service: what calls do one after another, or at one time, is what their facts say at once."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from conftest import empty
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people import NOW, citizen, golden, record, state
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from ecif.db import run_transaction
from ecif.domain.channels import Channel
from ecif.domain.completeness import Profile
from ecif.domain.documents import load_record
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import Identifier, PartyRecord, Phone, PhoneKind
from ecif.services import maintenance, source_records
from ecif.services.context import Call, Context, KeyDigests
from ecif.services.ingest import Delivery, ingest
from ecif.services.opening import OpeningRefused, VerdictContradicted, open_customer
from ecif.services.rebuild import rebuild

pytestmark = pytest.mark.slow

NAMES = ("张三丰", "張三豐", "李四光", "王五一")
NUMBERS = (citizen(1), citizen(1)[:6] + citizen(1)[8:17], citizen(3), citizen(5), "")
PHONES = ("13912345670", "13912345671", "")
CHANNELS = (Channel.COUNTER, Channel.EBANK, Channel.MOBILE)

_anybody = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "id": st.sampled_from(NUMBERS),
        "phone": st.sampled_from(PHONES),
        "day": st.integers(0, 4),
        "born": st.sampled_from((date(1990, 1, 1), None)),
        "male": st.sampled_from((True, None)),
    }
)
_namesake = st.fixed_dictionaries(
    {
        "name": st.just(NAMES[0]),
        "id": st.sampled_from((*NUMBERS[1:3], "")),
        "phone": st.just(PHONES[0]),
        "day": st.integers(0, 4),
        "male": st.just(True),
    }
)
"""People of one name and phone, about whom a clerk is asked."""
_said = st.one_of(_anybody, _namesake)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("file"), st.lists(st.tuples(st.integers(0, 5), _said), min_size=1, max_size=4)),
        st.tuples(st.just("upsert"), st.integers(0, 5), _said),
        st.tuples(st.just("end"), st.integers(0, 5), st.integers(0, 6)),
        st.tuples(st.just("open"), st.sampled_from(CHANNELS), _said, st.sampled_from((None, True, False))),
        st.tuples(
            st.just("patch"),
            st.sampled_from(CHANNELS),
            st.integers(0, 7),
            st.sampled_from(("phones", "occupation", "name", "identifiers", "nationality", "employer", "emails")),
            st.integers(0, 3),
        ),
        st.tuples(st.just("close"), st.sampled_from(CHANNELS), st.integers(0, 7), st.booleans()),
    ),
    min_size=2,
    max_size=9,
)
_seconds = count()
REFUSALS = (
    OpeningRefused, VerdictContradicted, maintenance.CloseBlocked, maintenance.ChangeRequestStale,
    maintenance.VersionConflict, source_records.SourceRecordNotFound,
)  # fmt: skip


def _record(n: int, says: dict[str, Any]) -> PartyRecord:
    return record(("core", "card", "ebank")[n % 3], f"k{n}", **says)


def _patch(field: str, value: int) -> PartyRecord:
    said: dict[str, Any] = {
        "phones": tuple(Phone(PhoneKind.MOBILE, p) for p in PHONES[: value % 3]),
        "name": NAMES[value],
        "identifiers": (
            Identifier(IdentifierKind.CITIZEN_ID, (citizen(1), citizen(5), citizen(7), citizen(8))[value]),
        ),
        "emails": (("a@example.com",), ("b@example.com",), ("b@example.com", "a@example.com"), ())[value],
        **dict.fromkeys(("occupation", "nationality", "employer"), ("甲公司", "乙公司", "丙公司", "")[value]),
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

    def take(self, step: tuple[Any, ...]) -> None:
        """Carries a step out, unless it is refused."""
        with suppress(*REFUSALS):
            run_transaction(self.engine, lambda session: self.step(session, *step))

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
            case "open", (_, says, same) if says["id"]:
                self.open(session, context, says, same)
            case "open", _:
                pass
            case _, (_, n, *how):
                self.change(session, context, verb, n, *how)

    def open(self, session: Session, context: Context, says: dict[str, Any], same: bool | None) -> None:
        """Opens; of suspects, all are said to be others, or the first to be the same."""
        key, system = f"ecif:{next(_seconds)}", context.call.channel.value.lower()  # type: ignore[union-attr]
        new = replace(record(system, key, **says), business_time=context.now, opened_on=context.day)
        how: dict[str, Any] = {"profile": Profile.BASIC, "return_existing": True}
        try:
            open_customer(session, context, new, verdicts={}, **how)
        except OpeningRefused as refused:
            if same is None:
                raise
            suspects = [seen.customer_no for seen in refused.found.candidates]
            verdicts = {no: same and no == suspects[0] for no in suspects}
            opened = open_customer(session, context, new, verdicts=verdicts, **how)
            assert opened.created is not same and (not same or opened.customer_no == suspects[0])

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


FEWER = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SOME = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _is_what_its_facts_are(server: Engine, bank: Bank) -> None:
    by_calls, facts = golden(server), bank.facts()
    assert state(server)["gaps"] == []
    report = run_transaction(server, lambda s: rebuild(s, bank.context(Channel.API)))
    assert report.changed == 0 and golden(server) == by_calls
    assert not any(names <= WRITTEN_ONTO for names in map(_kinds, by_calls)), "what was said of a customer is one"
    empty(server)
    run_transaction(server, lambda s: ingest(s, bank.context(Channel.API), [Delivery(fact) for fact in facts]))
    assert golden(server) == by_calls


WRITTEN_ONTO = frozenset({"ecif:" + "0" * 12})


def _kinds(names: frozenset[str]) -> frozenset[str]:
    """The records' keys, those that were written onto a customer without his number."""
    return frozenset(re.sub(r"^\w+:ecif:\d{12}$", "ecif:" + "0" * 12, name) for name in names)


@SOME
@given(steps=_steps)
def test_calls_and_files_in_any_sequence_are_their_facts_at_once(
    server: Engine, digests: KeyDigests, steps: list[tuple[Any, ...]]
) -> None:
    empty(server)
    bank = Bank(server, digests)
    for step in steps:
        bank.take(step)
    _is_what_its_facts_are(server, bank)


@FEWER
@given(sequences=st.lists(_steps, min_size=2, max_size=4))
def test_calls_and_files_at_one_time_are_their_facts_at_once(
    server: Engine, digests: KeyDigests, sequences: list[list[tuple[Any, ...]]]
) -> None:
    empty(server)
    bank = Bank(server, digests)
    with ThreadPoolExecutor(len(sequences)) as pool:
        callers = [pool.submit(lambda steps: [bank.take(step) for step in steps], steps) for steps in sequences]
        for caller in callers:
            caller.result()
    _is_what_its_facts_are(server, bank)
