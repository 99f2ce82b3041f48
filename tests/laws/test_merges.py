"""Laws of merges: whatever is delivered, judged, merged, split and undone, in any sequence, numbers and facts hold together."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any, ClassVar

import pytest
from conftest import empty
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from people import citizen, deliver, golden, record, scalar
from promises import DERIVED, MANUAL, MOVES, NAMED, STANDING, broken, derived
from sqlalchemy import Engine, text
from stewards import Stewards, name

from ecif.db import run_transaction
from ecif.domain.documents import load_record
from ecif.domain.judgements import Verdict
from ecif.domain.review_policy import ReviewDecision
from ecif.services import judging, merges, operations, outcomes, regrouping, reversals, review_decisions, splits
from ecif.services.context import KeyDigests
from ecif.services.operations import Kind, OperationDecided
from ecif.services.rebuild import rebuild
from ecif.services.source_records import SourceRecordNotFound, located

pytestmark = pytest.mark.slow

SAID = (Verdict.SAME, Verdict.NOT_SAME, Verdict.WITHDRAWN)
"""What a person says."""
STEPS_MIN = 2000
"""Steps that a run takes at least."""
KEYS = tuple(f"{('core', 'card', 'loan')[n % 3]}:{n}" for n in range(8))
NAMES = ("张三丰", "张三丰", "张三豐", "李四光", "张叁丰")
NUMBERS = (citizen(1), citizen(1), citizen(3), citizen(5, "19900102"), "", "")
PHONES = ("13912345670", "13912345670", "13912345671", "")
_JUDGED_OF = (
    "UPDATE judgement j SET basis_lo = :of_lo, basis_hi = :of_hi FROM n a, n b"
    " WHERE a.id = j.record_lo AND b.id = j.record_hi AND a.name = :lo AND b.name = :hi"
)
REFUSALS = (
    merges.MergeBlocked, merges.NothingToMerge, splits.NotOfCustomer, splits.NothingStays, splits.OnlyByUndo,
    reversals.NotReversible, reversals.ReverseBlocked, outcomes.OperationStale, judging.JudgementContradicts,
    OperationDecided, SourceRecordNotFound, review_decisions.DecisionMoves,
)  # fmt: skip
"""What a service says no with; anything else is a fault."""

_key = st.sampled_from(KEYS)
_some = st.sampled_from(KEYS[:5])
_said = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "id": st.sampled_from(NUMBERS),
        "phone": st.sampled_from(PHONES),
        "male": st.sampled_from((True, None)),
        "day": st.integers(0, 6),
    }
)
_stated = st.tuples(st.sampled_from(("", "", "", "same_as", "not_same_as")), _key)


class Bank(RuleBasedStateMachine):
    """A few people whose records share names, numbers and phones, and stewards who say what they like of them."""

    server: ClassVar[Engine]
    digests: ClassVar[KeyDigests]
    done: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        empty(self.server)
        self.stewards = Stewards(self.server, self.digests)
        self.merged: list[int] = []

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.server.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def several(self) -> list[list[str]]:
        """The records of each customer who has more than one."""
        query = "SELECT array_agg(n.name ORDER BY n.id) FROM link JOIN n ON n.id = record_id WHERE ended_at IS NULL"
        return [
            row[0]
            for row in self.rows(f"{NAMED} {query} GROUP BY customer_no HAVING count(*) > 1 ORDER BY customer_no")
        ]

    def bank(self) -> dict[str, list[str]]:
        return derived(self.server)

    def documents(self) -> list[tuple[Any, ...]]:
        """The live golden documents, to the byte, with the numbers that lead to each."""
        return sorted(
            self.rows(DERIVED["documents"].replace("g.document", "CASE WHEN merged_into IS NULL THEN document END"))
        )

    # What systems send

    @initialize(said=st.lists(_said, min_size=5, max_size=8))
    def begin(self, said: list[dict[str, Any]]) -> None:
        self.deliver([record(*name(key), **says) for key, says in zip(KEYS, said, strict=False)])

    @rule(key=_key, said=_said, stated=_stated)
    def send(self, key: str, said: dict[str, Any], stated: tuple[str, str]) -> None:
        """A new record, a newer version, or an older one that changes nothing."""
        how, other = stated
        more = {how: (name(other),)} if how and other != key else {}
        self.deliver([record(*name(key), **said, **more)])

    @rule(sent=st.lists(st.tuples(_key, _said), min_size=2, max_size=4))
    def send_file(self, sent: list[tuple[str, dict[str, Any]]]) -> None:
        self.deliver([record(*name(key), **said) for key, said in sent])

    @rule(n=st.integers(0, 7))
    def send_again(self, n: int) -> None:
        """What was sent is sent once more: nothing happens."""
        documents = self.rows("SELECT document FROM source_record_version ORDER BY record_id, version")
        before = self.bank(), scalar(self.server, "SELECT count(*) FROM outbox_event")
        self.deliver([load_record(documents[n % len(documents)][0])])
        assert (self.bank(), scalar(self.server, "SELECT count(*) FROM outbox_event")) == before

    def deliver(self, records: list[Any]) -> None:
        """Who was placed by a person stays, but for merges; nobody else leaves a customer unasked, but to go back."""
        manual, homes, retired, asked = dict(self.rows(MANUAL)), self.homes(), self.retired(), self.rows(MOVES)  # type: ignore[arg-type]
        deliver(self.server, self.digests, *records)
        self.done["sent"] += 1
        now, gone = self.homes(), self.retired()
        left = {r: (no, now[r]) for r, no in manual.items() if now[r] != no}
        assert all(gone.get(no) == to or retired.get(to) == no for no, to in left.values()), left
        led = {r: {gone.get(no, no), now[r]} for r, no in homes.items() if gone.get(no, no) != now[r]}
        self.done["moved by themselves"] += len(led)
        back = {(record, gone.get(came, came)) for record, came, *_ in asked}
        about = [(record, {*ends}) for record, _, *ends in self.rows(MOVES)]
        assert [r for r, ends in led.items() if (r, ends) not in about and (r, now[r]) not in back] == []

    def homes(self) -> dict[str, str]:
        """Under which number each record is."""
        links = "SELECT n.name, customer_no FROM link JOIN n ON n.id = record_id WHERE ended_at IS NULL"
        return dict(self.rows(NAMED + links))  # type: ignore[arg-type]

    def retired(self) -> dict[str, str]:
        return dict(self.rows("SELECT customer_no, merged_into FROM party WHERE merged_into IS NOT NULL"))  # type: ignore[arg-type]

    # What stewards say

    @rule(a=_some, b=_some, verdict=st.sampled_from(SAID))
    def judge(self, a: str, b: str, verdict: Verdict) -> None:
        if a != b:
            done = self.attempt("judged", self.stewards.judge, a, b, verdict)
            self.merged += [done.id] if done and done.outcome["retired"] else []

    @rule(keys=st.lists(_some, min_size=2, max_size=3, unique=True), evidence=st.sampled_from(("证明", "证明", "")))
    def merge(self, keys: list[str], evidence: str) -> None:
        asked = set(self.stewards.nos(keys))
        done = self.attempt("merged", self.stewards.merge, *keys, evidence=evidence)
        if done and done.outcome:
            assert set(done.outcome["retired"]) < asked, "nobody else is drawn in"
        self.merged += [done.id] if done and done.kind is Kind.MERGE else []

    @rule(keys=st.lists(_some, min_size=2, max_size=3, unique=True), last=st.booleans())
    def merge_and_back(self, keys: list[str], last: bool) -> None:
        """A merge that is undone at once leaves every number and every document as it was, to the byte."""
        before = self.documents()
        survivor = keys[-1] if last else ""
        merge = self.attempt("merged", self.stewards.merge, *keys, survivor=survivor, evidence="证明")
        if merge:
            self.stewards.reverse(merge)
            self.done["undone at once"] += 1
            assert self.documents() == before

    @precondition(lambda self: self.several())
    @rule(n=st.integers(0, 7), leave=st.lists(st.integers(0, 7), min_size=1, max_size=3))
    def split(self, n: int, leave: list[int]) -> None:
        several = self.several()
        members = several[n % len(several)]
        keys = sorted({members[place % len(members)] for place in leave})
        if self.attempt("split", self.stewards.split, members[0], *keys):
            stay = [key for key in members if key not in keys]
            assert len({*self.stewards.nos(keys)}) == len({*self.stewards.nos(stay)}) == 1
            assert self.stewards.no(keys[0]) != self.stewards.no(stay[0])

    @precondition(lambda self: self.merged)
    @rule(n=st.integers(0, 20))
    def reverse(self, n: int) -> None:
        """The numbers that the merge retired live again, each for itself."""
        merge = run_transaction(self.server, lambda s: operations.get(s, self.merged[n % len(self.merged)]))
        assert merge.outcome
        done = self.attempt("undone", self.stewards.reverse, merge)
        if done:
            led = dict(self.rows("SELECT customer_no, coalesce(merged_into, customer_no) FROM party"))
            assert all(led[no] == no for no in merge.outcome["retired"])
            assert led[merge.outcome["survivor"]] not in merge.outcome["retired"]  # a later merge may have retired it

    @rule(n=st.integers(0, 7))
    def keep(self, n: int) -> None:
        """A steward says that records which moved, or no longer fit, are where they belong: no record moves, and nobody asks
        again before they change."""
        asked = self.rows("SELECT id FROM merge_review WHERE closed_at IS NULL AND kind <> 'PAIR' ORDER BY id")
        if asked:
            before, review = self.rows(NAMED + DERIVED["links"]), asked[n % len(asked)][0]
            done = self.attempt(
                "kept", self.stewards.run, review_decisions.decide, review, ReviewDecision.SAME, reason="x"
            )
            homes = [{(name, no) for name, no, *_ in links} for links in (before, self.rows(NAMED + DERIVED["links"]))]
            assert homes[0] == homes[1] and (done is None or done.outcome == "SAME")

    @rule(n=st.integers(0, 7))
    def tell_apart(self, n: int) -> None:
        """One person may say of two customers in the queue that they are not one: it moves nobody."""
        asked = self.rows("SELECT id FROM merge_review WHERE closed_at IS NULL AND kind = 'PAIR' ORDER BY id")
        if asked:
            before, review = self.documents(), asked[n % len(asked)][0]
            self.attempt(
                "told apart", self.stewards.run, review_decisions.decide, review, ReviewDecision.NOT_SAME, reason="x"
            )
            assert self.documents() == before

    @rule(a=_some, b=_some)
    def preview(self, a: str, b: str) -> None:
        """Looking changes nothing."""
        before = self.bank()
        self.attempt("previewed", self.stewards.run, merges.preview_merge, self.stewards.nos([a, b]))
        self.attempt("previewed", self.stewards.run, splits.preview_split, self.stewards.no(a), [name(a)])
        assert self.bank() == before

    def attempt(self, what: str, work: Any, *arguments: Any, **options: Any) -> Any:
        with suppress(*REFUSALS):
            result = work(*arguments, **options)
            self.done[what] += 1
            return result
        self.done[f"{what}: refused"] += 1
        return None

    # Laws

    @rule(really=st.sampled_from((True, False, False)))
    def rebuild(self, really: bool) -> None:
        """What is stored is what comes of the facts."""
        if not really:
            return
        before = self.bank()
        report = run_transaction(self.server, lambda s: rebuild(s, self.stewards.context(), chunk=3))
        self.done["rebuilt"] += 1
        after = self.bank()
        assert {what: set(after[what]) ^ set(before[what]) for what in before} == {what: set() for what in before}
        assert report.changed == 0

    @invariant()
    def nothing_is_broken(self) -> None:
        self.done["steps"] += 1
        assert broken(self.server) == []

    def teardown(self) -> None:
        """The same facts in another order give the same parties and the same documents."""
        if sys.exc_info()[0]:
            return
        documents = golden(self.server)
        versions = [
            load_record(d)
            for (d,) in self.rows("SELECT document FROM source_record_version ORDER BY record_id, version")
        ]
        said, told = self.rows(STANDING), list[Any]()
        rng = Random(len(versions))
        rng.shuffle(versions)
        rng.shuffle(said)
        empty(self.server)
        half = len(versions) // 2
        for part in (versions[:half], versions[half:]):
            if part:
                deliver(self.server, self.digests, *part)
            here = {
                f"{r.system}:{r.key}"
                for (d,) in self.rows("SELECT document FROM source_record")
                for r in [load_record(d)]
            }
            ready = [word for word in said if {*word[:2]} <= here]
            said, told = [word for word in said if word not in ready], told + ready
            for a, b, verdict, *_ in ready:
                self.stewards.run(state, name(a), name(b), Verdict(verdict))
        self.judged_of(told)
        assert golden(self.server) == documents

    def judged_of(self, told: list[Any]) -> None:
        """Lets each judgement be one of whom the records told of when it was made: that is a part of the fact."""
        with self.server.begin() as connection:
            for a, b, _, of_a, of_b in told:
                for lo, hi, of_lo, of_hi in ((a, b, of_a, of_b), (b, a, of_b, of_a)):
                    given = {"lo": lo, "hi": hi, "of_lo": of_lo, "of_hi": of_hi}
                    connection.execute(text(f"{NAMED} {_JUDGED_OF}"), given)
        run_transaction(self.server, lambda s: rebuild(s, self.stewards.context()))


def state(session: Any, context: Any, one: Any, other: Any, verdict: Verdict) -> None:
    """Writes a judgement down as it stands, whatever it moves."""
    (a, one_no), (b, other_no) = located(session, [one, other]).values()
    members = regrouping.lock(session, {one_no, other_no})
    regrouping.apply(session, context, members, {regrouping.pair(a, b): verdict}, reason="事实", person="maker")


def test_numbers_and_facts_hold_together(server: Engine, digests: KeyDigests) -> None:
    Bank.server, Bank.digests, Bank.done = server, digests, Counter()
    seek = int(os.environ.get("ECIF_SEEK", "0"))  # so many examples that nobody has seen
    given = settings(
        max_examples=seek or 70, stateful_step_count=40, deadline=None, derandomize=not seek, report_multiple_bugs=False,
        phases=[Phase.generate, *([Phase.shrink] if seek else [])], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Bank, settings=given)  # type: ignore[no-untyped-call]
    print(json.dumps(Bank.done))
    assert Bank.done["steps"] >= STEPS_MIN
