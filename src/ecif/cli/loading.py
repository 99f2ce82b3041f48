"""The verbs by which files come in and links go out, and what keeps the database as it has to be."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated, TypeVar

import typer
from sqlalchemy.orm import Session

from ecif import terminal
from ecif.adapters.sources import Contract, LoadReport, SourceFile, load_contract, load_file
from ecif.cli.runtime import EVERYTHING, Runtime, System, app, open_runtime, wrong_use
from ecif.db import open_database, run_transaction, transaction
from ecif.domain.days import bank_day
from ecif.domain.events import EventType
from ecif.migrate import differences, upgrade
from ecif.resources import resource_dir
from ecif.services import answers, check_answers, documents_life
from ecif.services.context import Context
from ecif.services.exports import live_links
from ecif.services.loads import list_rejects
from ecif.services.rebuild import rebuild as rebuild_all
from ecif.settings import Settings

File = Annotated[Path | None, typer.Option(exists=False, dir_okay=False, metavar="FILE")]
BATCH = 500
"""What a daily job does in one transaction."""
FIRST_DAY = date(1900, 1, 1)
Done = TypeVar("Done", int, Counter[EventType])


@app.command()
def load(core: File = None, loan: File = None, card: File = None, ebank: File = None) -> None:
    """加载源系统文件 Load source files, in any order; loading one again changes nothing."""
    given = {name: path for name, path in zip(System, (core, loan, card, ebank), strict=True) if path}
    if not given:
        wrong_use("请至少给出一个文件 give at least one file: --core, --loan, --card or --ebank")
    _check_files(given)
    with open_runtime(fits=EVERYTHING) as runtime:
        terminal.print_reports(*load_files(runtime, given))


def _contract(system: System) -> Contract:
    return load_contract(resource_dir("contracts") / "sources" / f"{system}.yaml")


def _check_files(given: dict[System, Path]) -> None:
    """All files can be read, before anything of the first is stored."""
    for system, path in given.items():
        contract = _contract(system)
        SourceFile(path, delimiter=contract.delimiter, required=contract.columns).close()


def load_files(runtime: Runtime, given: dict[System, Path]) -> tuple[list[LoadReport], float]:
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
    with open_runtime() as runtime, transaction(runtime.engine) as session:
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
    with open_runtime(fits=()) as runtime:
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
        wrong_use(f"--on {day}: 日期过早 the date is too early")
    with open_runtime() as runtime, terminal.counting("日终作业 daily") as count:
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
def rejects(
    system: Annotated[System | None, typer.Option(help="only of this system")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="rows shown")] = 50,
    export: Annotated[
        Path | None, typer.Option(metavar="OUT.csv", dir_okay=False, help="write all of them, with their raw text")
    ] = None,
) -> None:
    """拒收记录 List the rows that were not accepted, or export them."""
    with open_runtime() as runtime, transaction(runtime.engine) as session:
        if export:
            rows = ([getattr(r, c) for c in terminal.REJECT_COLUMNS] for r in list_rejects(session, system=system))
            terminal.write_csv(export, terminal.REJECT_COLUMNS, rows, mode=0o600)
        else:
            terminal.print_rejects(list_rejects(session, system=system, limit=limit))
