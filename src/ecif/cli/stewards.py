"""The verbs of stewards: merges, splits, undoes and judgements, and the queue of reviews."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from sqlalchemy.orm import Session

from ecif import terminal
from ecif.api.cursors import CURSOR, cursor, place_of
from ecif.api.tokens import is_subject
from ecif.cli.runtime import EVERYTHING, app, open_runtime, readable, utf8, wrong_use
from ecif.db import run_transaction
from ecif.domain.judgements import Verdict
from ecif.domain.merge_policy import OVERRIDABLE
from ecif.domain.records import RecordName
from ecif.domain.review_policy import REMARK_MAX, ReviewDecision, ReviewKind, ReviewState
from ecif.services import approvals, judging, merges, operations, reversals, review_decisions, review_queue, splits
from ecif.services.context import Call, Context
from ecif.services.operations import Kind, Status
from ecif.services.review_queue import Filter, Place, Sort

Answered = TypeVar("Answered")
By = Annotated[
    str, typer.Option("--by", parser=readable, metavar="PERSON", help="经办人或复核人 who asks, or who decides")
]
Number = Annotated[str, typer.Argument(parser=utf8, metavar="NO")]
OfCustomer = Annotated[
    str, typer.Option("--customer", parser=utf8, metavar="NO", help="客户号 also one that was merged")
]
Survivor = Annotated[
    str, typer.Option(parser=utf8, metavar="NO", help="存续客户号 the number that stays; by rule unless given")
]
Reason = Annotated[str, typer.Option(parser=readable, metavar="TEXT", help="原因 why")]
Evidence = Annotated[str, typer.Option(parser=readable, metavar="TEXT", help="证明材料编号 where the proof is kept")]
Override = Annotated[list[str] | None, typer.Option(metavar="RULE", help="越过的规则 rules to set aside")]
Preview = Annotated[bool, typer.Option("--preview", help="只预览 only show what it would do")]
PERSON_LENGTH_MAX, REASON_LENGTH_MAX, EVIDENCE_LENGTH_MAX = 64, 500, 200


def _says_who(by: str) -> None:
    if not (is_subject(by) and len(by) <= PERSON_LENGTH_MAX):
        wrong_use("--by: 请注明经办人 say who you are")


def _within(most: int, **texts: str) -> None:
    for option, text in texts.items():
        if len(text) > most:
            wrong_use(f"--{option}: 最多 {most} 字 at most {most} characters")


def _asks(by: str, reason: str, evidence: str = "") -> None:
    """Who asks for something has to say who he is and why."""
    _says_who(by)
    if not reason:
        wrong_use("--reason: 请注明原因 say why")
    _within(REASON_LENGTH_MAX, reason=reason)
    _within(EVIDENCE_LENGTH_MAX, evidence=evidence)


def _overrides(rules: list[str] | None) -> None:
    """Only some rules can be set aside."""
    if set(rules or ()) - set(OVERRIDABLE):
        wrong_use(f"--override: 可用 known: {', '.join(OVERRIDABLE)}")


def _named(text: str) -> RecordName:
    """A source record, as ``core:10000000001`` names it."""
    system, colon, key = text.partition(":")
    if not (system and colon and key):
        wrong_use("源记录应写为 source records are written as system:key")
    return system, key


@contextmanager
def _steward(by: str = "") -> Iterator[Callable[[Callable[[Session, Context], Answered]], Answered]]:
    """Gives a function that carries work out for a person; what a service refuses is told in the words of the API."""
    from ecif.api.refusals import REFUSALS, refusal  # not for every verb

    with open_runtime(fits=EVERYTHING) as runtime:

        def run(work: Callable[[Session, Context], Answered]) -> Answered:
            context = Context(datetime.now(UTC), "cli", runtime.digests, Call("cli", by))
            return run_transaction(runtime.engine, lambda session: work(session, context))

        try:
            yield run
        except tuple(REFUSALS) as error:
            terminal.complain_of(refusal(error).body)
            raise typer.Exit(1) from None


@app.command()
def merge(
    members: Annotated[list[str], typer.Argument(parser=utf8, metavar="NO NO ...")],
    survivor: Survivor = "",
    by: By = "",
    reason: Reason = "",
    evidence: Evidence = "",
    override: Override = None,
    preview: Preview = False,
) -> None:
    """合并客户 Ask for a merge of customers, which another person approves; or preview it."""
    if not 2 <= len(members) <= merges.MEMBERS_MAX:
        wrong_use(f"请给出 2–{merges.MEMBERS_MAX} 个客户号 give 2 to {merges.MEMBERS_MAX} customer numbers")
    _overrides(override)
    if preview:
        with _steward(by) as run:
            terminal.print_preview(run(lambda s, c: merges.preview_merge(s, c, members, survivor)))
        return
    _asks(by, reason, evidence)
    with _steward(by) as run:
        given: dict[str, Any] = {"reason": reason, "evidence": evidence, "override": override or ()}
        terminal.print_operation(run(lambda s, c: merges.ask_merge(s, c, members, survivor, **given)))


@app.command()
def split(
    no: Number,
    record: Annotated[
        list[str], typer.Option(parser=utf8, metavar="SYSTEM:KEY", help="分出的源记录 a record that leaves, repeatable")
    ],
    account: Annotated[
        list[str] | None,
        typer.Option(
            parser=utf8,
            metavar="SYSTEM:KEY:NUMBER",
            help="留下的源记录的账户 an account that leaves a record that stays",
        ),
    ] = None,
    by: By = "",
    reason: Reason = "",
    evidence: Evidence = "",
    preview: Preview = False,
) -> None:
    """拆分客户 Ask for source records to leave for a number of their own (多人一证); or preview it."""
    names = [_named(text) for text in record]
    parts = (text.rpartition(":") for text in account or ())
    accounts = [(_named(name), number) for name, _, number in parts]
    if preview:
        with _steward(by) as run:
            terminal.print_preview(run(lambda s, c: splits.preview_split(s, c, no, names, accounts)))
        return
    _asks(by, reason, evidence)
    with _steward(by) as run:
        asked = run(lambda s, c: splits.ask_split(s, c, no, names, accounts, reason=reason, evidence=evidence))
        terminal.print_operation(asked)


@app.command()
def undo(
    merge: Annotated[int, typer.Argument(metavar="OPERATION", min=1)],
    by: By = "",
    reason: Reason = "",
    evidence: Evidence = "",
    preview: Preview = False,
) -> None:
    """撤销合并 Ask for the undo of a merge; or preview it, with all that was done under the number since."""
    if preview:
        with _steward(by) as run:
            terminal.print_preview(*run(lambda s, c: reversals.preview_reverse(s, c, merge)))
        return
    _asks(by, reason, evidence)
    with _steward(by) as run:
        asked = run(lambda s, c: reversals.ask_reverse(s, c, merge, reason=reason, evidence=evidence))
        terminal.print_operation(asked)


@app.command()
def judge(
    one: Annotated[str, typer.Argument(parser=utf8, metavar="SYSTEM:KEY")],
    other: Annotated[str, typer.Argument(parser=utf8, metavar="SYSTEM:KEY")],
    verdict: Annotated[Verdict, typer.Argument()],
    by: By = "",
    reason: Reason = "",
    evidence: Evidence = "",
    override: Override = None,
) -> None:
    """人工裁决 Say of two source records that they are one party's or not, or take it back."""
    names = _named(one), _named(other)
    if verdict is Verdict.UNDECIDED:  # which operations say, and nobody
        wrong_use("SAME, NOT_SAME, WITHDRAWN")
    _overrides(override)
    _asks(by, reason, evidence)
    with _steward(by) as run:
        given: dict[str, Any] = {"reason": reason, "evidence": evidence, "override": override or ()}
        asked = run(lambda s, c: judging.judge(s, c, *names, verdict, **given))
        if asked:
            terminal.print_operation(asked)
        else:
            terminal.out.print(f"裁决已生效 the judgement holds: {one} {other} {verdict}")


@app.command("operations")
def list_operations(
    status: Annotated[Status | None, typer.Option(help="操作状态")] = None,
    kind: Annotated[Kind | None, typer.Option(help="操作种类")] = None,
    customer: OfCustomer = "",
    after: Annotated[int, typer.Option(min=0, help="from the one after this on")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="how many are shown")] = 50,
) -> None:
    """归并操作 List merges, splits, undoes and judgements that were asked for, oldest first."""
    asked = {"status": status or "", "kind": kind or "", "customer_no": customer}
    with _steward() as run:
        terminal.print_operations(run(lambda s, c: operations.listing(s, **asked, after=after, limit=limit)))


@app.command()
def approve(
    operation: Annotated[int, typer.Argument(metavar="OPERATION", min=1)],
    by: By = "",
    note: Annotated[str, typer.Option(parser=readable, metavar="TEXT", help="复核意见")] = "",
    reject: Annotated[bool, typer.Option("--reject", help="拒绝 turn it down instead")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="撤回 take back what one asked for oneself")] = False,
) -> None:
    """复核 Carry out what another person asked for, or turn it down; or take back what one asked for."""
    if reject and withdraw:
        wrong_use("--reject --withdraw: 只能选一个 choose one")
    _says_who(by)
    _within(REASON_LENGTH_MAX, note=note)
    decide = approvals.reject if reject else approvals.withdraw if withdraw else approvals.approve
    with _steward(by) as run:
        terminal.print_operation(run(lambda s, c: decide(s, c, operation, note=note)))


@app.command("reviews")
def list_reviews(
    state: Annotated[ReviewState | None, typer.Option(help="审核状态; all that are open unless given")] = None,
    kind: Annotated[ReviewKind | None, typer.Option(help="审核种类")] = None,
    customer: OfCustomer = "",
    sort: Annotated[Sort, typer.Option(help="priority: 风险 × 时长 risk × age")] = Sort.PRIORITY,
    after: Annotated[str, typer.Option(metavar="PLACE", help="from where the page before ended")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="how many are shown")] = 50,
) -> None:
    """疑似合并审核 List the queue of reviews, the most urgent first."""
    if not re.fullmatch(CURSOR, after) or after[:1] not in ("", sort[0]):
        wrong_use("--after: 应为同一排序上一页所示 what the page before told, in the same order, is wanted")
    now = datetime.now(UTC)
    wanted = Filter(state=state or "", kind=kind or "", customer=customer)
    with _steward() as run:
        place = place_of(sort, after) or Place(now)
        found = run(lambda s, c: review_queue.listing(s, wanted, sort, place, limit=limit))
    terminal.print_reviews(found.reviews, now, cursor(sort, found.next))


@app.command("review")
def on_review(
    review: Annotated[int, typer.Argument(min=1, max=2**63 - 1, metavar="REVIEW")],
    decide: Annotated[ReviewDecision | None, typer.Option(help="裁决 what is decided")] = None,
    claim: Annotated[bool, typer.Option("--claim", help="认领 take it for oneself, for eight hours")] = False,
    release: Annotated[bool, typer.Option("--release", help="放回 give it back to the queue")] = False,
    comment: Annotated[str | None, typer.Option(parser=readable, metavar="TEXT", help="备注 add a remark")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="所见的版本 the version that was shown")] = None,
    by: By = "",
    reason: Reason = "",
    evidence: Evidence = "",
    override: Override = None,
    survivor: Survivor = "",
) -> None:
    """审核详情 Show a review with its evidence and history, masked; or claim, release, comment or decide it (a merge waits for
    another person)."""
    asked: dict[str, Any] = {
        "decision": decide,
        "reason": reason, "evidence": evidence, "override": override or (), "survivor": survivor, "expected": version,
    }  # fmt: skip
    acts: dict[str, tuple[object, Callable[[Session, Context], Any]]] = {
        "--decide": (decide, lambda s, c: review_decisions.decide(s, c, review, **asked)),
        "--claim": (claim, lambda s, c: review_decisions.claim(s, c, review, expected=version)),
        "--release": (release, lambda s, c: review_decisions.release(s, c, review, expected=version)),
        "--comment": (comment is not None, lambda s, c: review_decisions.comment(s, c, review, comment or "")),
    }
    chosen = [name for name, (wanted, _) in acts.items() if wanted]
    if not chosen:
        return _show_review(review)
    if len(chosen) > 1:
        wrong_use(f"{' '.join(chosen)}: 只能选一个 choose one")
    _says_who(by)
    if decide:
        _decides(version, by, reason, evidence, override)
    if comment is not None:
        _remarks(comment)
    with _steward(by) as run:
        terminal.print_decided(run(acts[chosen[0]][1]), datetime.now(UTC))
    return None


def _show_review(review: int) -> None:
    with _steward() as run:
        found, entries = run(lambda s, c: (review_queue.get(s, c.digests, review), review_queue.history(s, review)))
    terminal.print_review(found, entries, datetime.now(UTC))


def _decides(version: int | None, by: str, reason: str, evidence: str, override: list[str] | None) -> None:
    """Who decides a review has to have seen it, as it is."""
    if not version:
        wrong_use("--version: 请注明所见的版本 say which version of the review you have seen")
    _overrides(override)
    _asks(by, reason, evidence)


def _remarks(comment: str) -> None:
    if not comment:
        wrong_use("--comment: 请填写备注 say something")
    _within(REMARK_MAX, comment=comment)
