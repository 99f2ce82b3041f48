"""The command line: the composition root. Exit codes: 0 done, 1 something to look at, 2 wrong use, 3 cannot run."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ecif import server, terminal
from ecif.adapters.sources import (
    Contract,
    ContractError,
    LoadReport,
    SourceFile,
    SourceFileError,
    load_contract,
    load_file,
)
from ecif.api.tokens import EVERY, HOURS_MAX, SCOPES, SUBJECT_LENGTH_MAX, Verifier, is_subject, issue_token
from ecif.db import DatabaseError, bound_time, open_database, run_transaction, transaction
from ecif.domain.days import bank_day
from ecif.domain.events import EventType
from ecif.domain.judgements import Verdict
from ecif.domain.merge_policy import OVERRIDABLE
from ecif.domain.records import RecordName
from ecif.domain.review_policy import ReviewDecision, ReviewState
from ecif.migrate import MigrationError, differences, upgrade
from ecif.resources import resource_dir
from ecif.services import (
    answers,
    approvals,
    check_answers,
    derivation,
    documents_life,
    judging,
    merges,
    operations,
    reversals,
    review_decisions,
    review_queue,
    splits,
)
from ecif.services import customers as reads
from ecif.services.context import Call, Context, KeyDigests
from ecif.services.exports import live_links
from ecif.services.loads import list_rejects
from ecif.services.operations import Kind, Status
from ecif.services.rebuild import rebuild as rebuild_all
from ecif.services.review_queue import Filter, Place, Sort
from ecif.settings import Settings, SettingsError, local_secret

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it would print local variables, and with them people
    help="ECIF 企业级客户信息系统: customer master data of a bank",
)
File = Annotated[Path | None, typer.Option(exists=False, dir_okay=False, metavar="FILE")]


class System(StrEnum):
    """The source systems, as options name them."""

    CORE = "core"
    LOAN = "loan"
    CARD = "card"
    EBANK = "ebank"


BATCH = 500
"""What a daily job does in one transaction."""
FIRST_DAY = date(1900, 1, 1)
Done = TypeVar("Done", int, Counter[EventType])
Answered = TypeVar("Answered")

EVERYTHING = (derivation.DIGEST_KEY, derivation.POLICIES)
UNLIKE = {
    derivation.DIGEST_KEY: "ECIF_HOME 中的 digest.key 不是建库时的密钥, 请从原 ECIF_HOME 复制, 或运行 ecif rebuild "
    "the digest.key in ECIF_HOME is not the one this database was filled with: copy it from that ECIF_HOME, or run ecif rebuild",
    derivation.POLICIES: "数据库按其他版本的规则归并, 请先运行 ecif rebuild "
    "the database was filled under rules of another version: run ecif rebuild first",
}
"""What to do when the database does not fit."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a command works with."""

    settings: Settings
    engine: Engine
    digests: KeyDigests


@contextmanager
def _runtime(*, fits: Collection[str] = (derivation.DIGEST_KEY,)) -> Iterator[Runtime]:
    """A migrated database and the local keys.

    Args:
        fits: what must be the same as when the database was filled.
    """
    settings = Settings.from_env(os.environ)
    with open_database(settings) as engine:
        upgrade(engine)
        digests = KeyDigests(local_secret(settings.home, "digest.key"))
        with transaction(engine) as session:
            unlike = derivation.unlike(session, digests)
        for name in fits:
            if name in unlike:
                raise SettingsError(UNLIKE[name])
        yield Runtime(settings, engine, digests)


def main() -> None:
    """Runs a command; what stops it is told in one sentence, in Chinese and English."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stopped)
    try:
        app()
    except (SettingsError, DatabaseError, MigrationError, ContractError, SourceFileError) as error:
        terminal.complain(error)
    except OSError as error:
        terminal.complain(f"{error.filename or ''}: {error.strerror or error}; 请检查该路径 check this path")
    except Exception as error:  # its text may name a person, its place does not
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        place = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else ""
        terminal.complain(f"程序错误, 请报告 a fault of the program, please report it: {type(error).__name__} {place}")
    sys.exit(3)


def _stopped(number: int, _: object) -> NoReturn:
    """Leaves by the door, so that the database is stopped too."""
    sys.exit(128 + number)


@app.command()
def load(core: File = None, loan: File = None, card: File = None, ebank: File = None) -> None:
    """加载源系统文件 Load source files, in any order; loading one again changes nothing."""
    given = {name: path for name, path in zip(System, (core, loan, card, ebank), strict=True) if path}
    if not given:
        terminal.complain("请至少给出一个文件 give at least one file: --core, --loan, --card or --ebank")
        raise typer.Exit(2)
    _check_files(given)
    with _runtime(fits=EVERYTHING) as runtime:
        terminal.print_reports(*_load_files(runtime, given))


def _contract(system: System) -> Contract:
    return load_contract(resource_dir("contracts") / "sources" / f"{system}.yaml")


def _check_files(given: dict[System, Path]) -> None:
    """All files can be read, before anything of the first is stored."""
    for system, path in given.items():
        contract = _contract(system)
        SourceFile(path, delimiter=contract.delimiter, required=contract.columns).close()


def _load_files(runtime: Runtime, given: dict[System, Path]) -> tuple[list[LoadReport], float]:
    """Loads files with a progress bar each; returns their reports and the seconds it took."""
    started = perf_counter()
    with terminal.progress_bars() as bar:
        reports = [
            load_file(runtime.engine, runtime.digests, _contract(system), path, bar(system, path))
            for system, path in given.items()
        ]
    return reports, perf_counter() - started


@app.command("export-links")
def export_links(out_csv: Annotated[Path, typer.Argument(metavar="OUT.csv", dir_okay=False)]) -> None:
    """导出归属 Write source,source_key,customer_no, one row for each live source record."""
    with _runtime() as runtime, transaction(runtime.engine) as session:
        terminal.write_csv(out_csv, ("source", "source_key", "customer_no"), live_links(session))


@app.command()
def migrate(check: Annotated[bool, typer.Option("--check", help="only compare, change nothing")] = False) -> None:
    """迁移数据库 Bring the database to this version's schema."""
    with open_database(Settings.from_env(os.environ)) as engine:
        if not check:
            upgrade(engine)
        found = differences(engine) if check else []
    for difference in found:
        terminal.err.print(difference)
    if found:
        raise typer.Exit(1)
    terminal.out.print("数据库已是最新 the database is up to date")


@app.command()
def rebuild(
    check: Annotated[bool, typer.Option("--check", help="tell what would change, change nothing")] = False,
) -> None:
    """重建派生数据 Recompute everything derived from the facts."""
    with _runtime(fits=()) as runtime:
        context = Context(datetime.now(UTC), "rebuild", runtime.digests)
        with Session(runtime.engine) as session, session.begin() as whole:
            report = rebuild_all(session, context)
            if check:
                whole.rollback()
    terminal.out.print(f"记录 records {report.records:,}, 变化 golden records changed {report.changed:,}")
    if report.changed:
        raise typer.Exit(1)


@app.command()
def daily(
    on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="business day; today in China unless given"),
    ] = None,
) -> None:
    """日终作业 Tell documents that expire, once each, and drop answers that are kept for a time. Running it again does no harm."""
    day = on.date() if on else bank_day(datetime.now(UTC))
    if day < FIRST_DAY:
        terminal.complain(f"--on {day}: 日期过早 the date is too early")
        raise typer.Exit(2)
    with _runtime() as runtime, terminal.counting("日终作业 daily") as count:
        told = Counter[EventType]()
        for batch in _batches(runtime, lambda s, context: documents_life.tell(s, context, day, BATCH)):
            count((told := told + batch).total())
        forgotten = sum(_batches(runtime, lambda s, context: answers.forget(s, context, BATCH)))
        sum(_batches(runtime, lambda s, context: check_answers.forget(s, context, BATCH)))
    terminal.print_daily(day, told, forgotten)


def _batches(runtime: Runtime, work: Callable[[Session, Context], Done]) -> Iterator[Done]:
    """Works in transactions of a bounded size until nothing is left to do."""
    while done := run_transaction(
        runtime.engine, lambda s: work(s, Context(datetime.now(UTC), "daily", runtime.digests))
    ):
        yield done


@app.command()
def token(
    scope: Annotated[list[str] | None, typer.Option(help="repeatable; every scope unless given")] = None,
    system: Annotated[list[str] | None, typer.Option(help="whose records it may write, repeatable; every one")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="in whose name it acts, repeatable; every one")] = None,
    subject: Annotated[str, typer.Option(help="who calls")] = "local",
    hours: Annotated[int, typer.Option(min=1, max=HOURS_MAX, help="how long it lasts")] = 12,
) -> None:
    """本地令牌 Print a token signed with the local key."""
    unknown = sorted(set(scope or ()) - set(SCOPES))
    if unknown:
        terminal.complain(f"未知权限 unknown scope: {', '.join(unknown)}; 可用 known: {', '.join(SCOPES)}")
        raise typer.Exit(2)
    if not is_subject(subject):
        terminal.complain(
            f"--subject: 应为 1–{SUBJECT_LENGTH_MAX} 个可见字符 1 to {SUBJECT_LENGTH_MAX} visible characters"
        )
        raise typer.Exit(2)
    limits = {"systems": system or [EVERY], "channels": channel or [EVERY], "hours": hours}
    print(_token(Settings.from_env(os.environ), subject=subject, scopes=scope or SCOPES, **limits))


def _token(settings: Settings, **claims: Any) -> str:
    """A local token, unless nobody would accept it."""
    if settings.jwks:
        raise SettingsError(
            "ECIF_JWKS: 已设置, 不接受本地令牌, 请向签发方申请 it is set, and local tokens are refused: ask your issuer for one"
        )
    return issue_token(local_secret(settings.home, "token.key"), now=datetime.now(UTC), **claims)


@app.command()
def customer(no: Annotated[str, typer.Argument(metavar="NO")]) -> None:
    """查看客户 Show a golden record, masked, with its sources."""
    with _runtime() as runtime, transaction(runtime.engine) as session:
        try:
            golden = reads.golden(session, no)
        except reads.CustomerNotFound:
            terminal.complain(f"客户号不存在 no such customer number: {no}")
            raise typer.Exit(1) from None
        terminal.print_customer(golden, reads.sources(session, golden.customer_no))


@app.command()
def rejects(
    system: Annotated[System | None, typer.Option(help="only of this system")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="rows shown")] = 50,
    export: Annotated[
        Path | None, typer.Option(metavar="OUT.csv", dir_okay=False, help="write all of them, with their raw text")
    ] = None,
) -> None:
    """拒收记录 List the rows that were not accepted, or export them."""
    with _runtime() as runtime, transaction(runtime.engine) as session:
        if export:
            rows = ([getattr(r, c) for c in terminal.REJECT_COLUMNS] for r in list_rejects(session, system=system))
            terminal.write_csv(export, terminal.REJECT_COLUMNS, rows, mode=0o600)
        else:
            terminal.print_rejects(list_rejects(session, system=system, limit=limit))


@app.command()
def serve() -> None:
    """启动服务 Serve the API at ECIF_HOST:ECIF_PORT (127.0.0.1:8000)."""
    settings = Settings.from_env(os.environ)
    listener = server.listen(settings)
    with _runtime() as runtime:
        terminal.print_address(settings.url)
        _serve(runtime, listener)


def _serve(runtime: Runtime, listener: socket.socket) -> None:
    from ecif.api.app import create_app

    settings = runtime.settings
    bound_time(runtime.engine)
    server.serve(create_app(runtime.engine, runtime.digests, _verifier(settings), home=settings.home), listener)


def _verifier(settings: Settings) -> Verifier:
    if settings.jwks:
        from ecif.api.jwks import Jwks  # not for every verb

        return Verifier(Jwks.at(settings.jwks), settings.jwt_issuer, settings.jwt_audience)
    return Verifier.local(local_secret(settings.home, "token.key"))


@app.command()
def demo(
    records: Annotated[int, typer.Option(min=100, max=5_000_000, help="source records, about")] = 22_000,
    seed: Annotated[int, typer.Option(help="another bank")] = 20_260_101,
    serve: Annotated[bool, typer.Option("--serve", help="serve the API afterwards")] = False,
) -> None:
    """演示银行 Make a demo bank, load it, and tell what happened."""
    settings = Settings.from_env(os.environ)
    listener = server.listen(settings) if serve else None
    held = _token(settings, subject="local", scopes=SCOPES) if serve else ""
    with _runtime(fits=EVERYTHING) as runtime:
        _load_demo(runtime, records, seed)
        if listener:
            with transaction(runtime.engine) as session:
                no = reads.richest(session)
            terminal.print_welcome(settings.url, held, no)
            _serve(runtime, listener)


def _load_demo(runtime: Runtime, records: int, seed: int) -> None:
    """Loads the demo bank into an empty database, or goes on where it was stopped; never beside a bank's own customers."""
    from ecif.demo import generate

    folder = runtime.settings.home / f"demo-{records}-{seed}"
    unfinished = folder / "unfinished"
    with transaction(runtime.engine) as session:
        empty = reads.is_empty(session)
    if not (empty or unfinished.exists()):
        terminal.out.print("数据库已有客户, 不再加载 the database holds customers already, nothing is loaded")
        return
    if not (folder / "truth.csv").exists():
        terminal.err.print("生成演示数据 making the demo bank …")
        generate(folder, records=records, seed=seed)
    unfinished.touch()
    terminal.print_reports(*_load_files(runtime, {system: folder / f"{system}.csv" for system in System}))
    unfinished.unlink()


By = Annotated[str, typer.Option("--by", metavar="PERSON", help="经办人或复核人 who asks, or who decides")]
Reason = Annotated[str, typer.Option(help="原因 why")]
Evidence = Annotated[str, typer.Option(help="证明材料编号 where the proof is kept")]
Preview = Annotated[bool, typer.Option("--preview", help="只预览 only show what it would do")]
PERSON_LENGTH_MAX, REASON_LENGTH_MAX, EVIDENCE_LENGTH_MAX = 64, 500, 200


def _asks(by: str, reason: str, evidence: str = "") -> None:
    """Who asks for something has to say who he is and why."""
    if not (is_subject(by) and len(by) <= PERSON_LENGTH_MAX):
        _wrong_use("--by: 请注明经办人 say who you are")
    if not reason.strip() or len(reason) > REASON_LENGTH_MAX or len(evidence) > EVIDENCE_LENGTH_MAX:
        _wrong_use(
            f"--reason: 请注明原因, 最多 {REASON_LENGTH_MAX} 字; --evidence 最多 {EVIDENCE_LENGTH_MAX} 字 say why, in at most"
            f" {REASON_LENGTH_MAX} characters, and {EVIDENCE_LENGTH_MAX} of evidence"
        )


def _wrong_use(sentence: str) -> NoReturn:
    terminal.complain(sentence)
    raise typer.Exit(2)


def _named(text: str) -> RecordName:
    """A source record, as ``core:10000000001`` names it."""
    system, colon, key = text.partition(":")
    if not (system and colon and key):
        _wrong_use("源记录应写为 source records are written as system:key")
    return system, key


@contextmanager
def _steward(by: str = "") -> Iterator[Callable[[Callable[[Session, Context], Answered]], Answered]]:
    """Gives a function that carries work out for a person; what a service refuses is told in the words of the API."""
    from ecif.api.refusals import REFUSALS, refusal  # not for every verb

    with _runtime(fits=EVERYTHING) as runtime:

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
    members: Annotated[list[str], typer.Argument(metavar="NO NO ...")],
    survivor: Annotated[
        str, typer.Option(metavar="NO", help="存续客户号 the number that stays; by rule unless given")
    ] = "",
    by: By = "",
    reason: Reason = "",
    evidence: Evidence = "",
    override: Annotated[list[str] | None, typer.Option(metavar="RULE", help="越过的规则 rules to set aside")] = None,
    preview: Preview = False,
) -> None:
    """合并客户 Ask for a merge of customers, which another person approves; or preview it."""
    if not 2 <= len(members) <= merges.MEMBERS_MAX:
        _wrong_use(f"请给出 2–{merges.MEMBERS_MAX} 个客户号 give 2 to {merges.MEMBERS_MAX} customer numbers")
    if set(override or ()) - set(OVERRIDABLE):
        _wrong_use(f"--override: 可用 known: {', '.join(OVERRIDABLE)}")
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
    no: Annotated[str, typer.Argument(metavar="NO")],
    record: Annotated[
        list[str], typer.Option(metavar="SYSTEM:KEY", help="分出的源记录 a record that leaves, repeatable")
    ],
    account: Annotated[
        list[str] | None,
        typer.Option(metavar="SYSTEM:KEY:NUMBER", help="留下的源记录的账户 an account that leaves a record that stays"),
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
    one: Annotated[str, typer.Argument(metavar="SYSTEM:KEY")],
    other: Annotated[str, typer.Argument(metavar="SYSTEM:KEY")],
    verdict: Annotated[Verdict, typer.Argument()],
    by: By = "",
    reason: Reason = "",
    evidence: Evidence = "",
) -> None:
    """人工裁决 Say of two source records that they are one party's or not, or take it back."""
    names = _named(one), _named(other)
    _asks(by, reason, evidence)
    with _steward(by) as run:
        asked = run(lambda s, c: judging.judge(s, c, *names, verdict, reason=reason, evidence=evidence))
        if asked:
            terminal.print_operation(asked)
        else:
            terminal.out.print(f"裁决已生效 the judgement holds: {one} {other} {verdict}")


@app.command("operations")
def list_operations(
    status: Annotated[Status | None, typer.Option(help="操作状态")] = None,
    kind: Annotated[Kind | None, typer.Option(help="操作种类")] = None,
    customer: Annotated[str, typer.Option(metavar="NO", help="客户号 also one that was merged")] = "",
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
    note: Annotated[str, typer.Option(help="复核意见")] = "",
    reject: Annotated[bool, typer.Option("--reject", help="拒绝 turn it down instead")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="撤回 take back what one asked for oneself")] = False,
) -> None:
    """复核 Carry out what another person asked for, or turn it down; or take back what one asked for."""
    if reject and withdraw:
        _wrong_use("--reject --withdraw: 只能选一个 choose one")
    _asks(by, note or "-")
    decide = approvals.reject if reject else approvals.withdraw if withdraw else approvals.approve
    with _steward(by) as run:
        terminal.print_operation(run(lambda s, c: decide(s, c, operation, note=note)))


@app.command("reviews")
def list_reviews(
    state: Annotated[ReviewState | None, typer.Option(help="审核状态; all that are open unless given")] = None,
    customer: Annotated[str, typer.Option(metavar="NO", help="客户号 either of the two")] = "",
    sort: Annotated[Sort, typer.Option(help="priority: 风险 × 时长 risk × age")] = Sort.PRIORITY,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="how many are shown")] = 50,
) -> None:
    """疑似合并审核 List the queue of reviews, the most urgent first."""
    now = datetime.now(UTC)
    wanted = Filter(state=state or "", customer=customer)
    with _steward() as run:
        found = run(lambda s, c: review_queue.listing(s, wanted, sort, Place(now), limit=limit))
    terminal.print_reviews(found.reviews, now)


@app.command("review")
def show_review(
    review: Annotated[int, typer.Argument(min=1, max=2**63 - 1, metavar="REVIEW")],
    decide: Annotated[ReviewDecision | None, typer.Option(help="裁决 what is decided")] = None,
    by: By = "",
    reason: Reason = "",
    evidence: Evidence = "",
) -> None:
    """审核详情 Show a review with its evidence and history, masked; or decide it (a merge waits for another person)."""
    if decide:
        _asks(by, reason, evidence)
    given: dict[str, Any] = {"reason": reason, "evidence": evidence}
    with _steward(by) as run:
        if decide:
            terminal.print_decided(run(lambda s, c: review_decisions.decide(s, c, review, decide, **given)))
        else:
            found, entries = run(lambda s, c: (review_queue.get(s, c.digests, review), review_queue.history(s, review)))
            terminal.print_review(found, entries, datetime.now(UTC))


if __name__ == "__main__":
    main()
