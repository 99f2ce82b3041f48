"""The command line: the composition root. Exit codes: 0 done, 1 something to look at, 2 wrong use, 3 cannot run."""

from __future__ import annotations

import csv
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from ecif.adapters.sources import ContractError, LoadReport, SourceFileError, load_contract, load_file
from ecif.api.security import SCOPES, issue_token
from ecif.db import DatabaseError, open_database, transaction
from ecif.migrate import MigrationError, differences, upgrade
from ecif.resources import resource_dir
from ecif.services import customers as reads
from ecif.services.context import Context, KeyDigests
from ecif.services.exports import live_links
from ecif.services.loads import list_rejects
from ecif.services.rebuild import rebuild as rebuild_all
from ecif.settings import Settings, SettingsError, local_secret

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it would print local variables, and with them people
    help="ECIF 企业级客户信息系统: customer master data of a bank",
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
SYSTEMS = ("core", "loan", "card", "ebank")
File = Annotated[Path | None, typer.Option(exists=False, dir_okay=False, metavar="FILE")]


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a command works with."""

    settings: Settings
    engine: Engine
    digests: KeyDigests


@contextmanager
def _runtime() -> Iterator[Runtime]:
    """A migrated database and the local keys."""
    settings = Settings.from_env(os.environ)
    with open_database(settings) as engine:
        upgrade(engine)
        yield Runtime(settings, engine, KeyDigests(local_secret(settings.home, "digest.key")))


def main() -> None:
    """Runs a command; what stops it is told in one sentence, in Chinese and English."""
    try:
        app()
    except (SettingsError, DatabaseError, MigrationError, ContractError, SourceFileError) as error:
        err.print(f"[red]错误 error:[/] {error}", soft_wrap=True)
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def load(core: File = None, loan: File = None, card: File = None, ebank: File = None) -> None:
    """加载源系统文件 Load source files, in any order; loading one again changes nothing."""
    given = {name: path for name, path in zip(SYSTEMS, (core, loan, card, ebank), strict=True) if path}
    if not given:
        err.print("请至少给出一个文件 give at least one file: --core, --loan, --card or --ebank")
        raise typer.Exit(2)
    with _runtime() as runtime:
        _print_reports(*_load_files(runtime, given))


def _load_files(runtime: Runtime, given: dict[str, Path]) -> tuple[list[LoadReport], float]:
    """Loads files with a progress bar each; returns their reports and the seconds it took."""
    started = perf_counter()
    reports = []
    with Progress(
        TextColumn("{task.description:>6}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=err
    ) as progress:
        for name, path in given.items():
            contract = load_contract(resource_dir("contracts") / "sources" / f"{name}.yaml")
            task = progress.add_task(name, total=path.stat().st_size if path.is_file() else None)
            reports.append(
                load_file(runtime.engine, runtime.digests, contract, path, lambda n, t=task: progress.advance(t, n))  # type: ignore[misc]
            )
    return reports, perf_counter() - started


def _print_reports(reports: list[LoadReport], seconds: float) -> None:
    table = Table(
        "源 source", *("读取 read", "接受 accepted", "拒收 rejected", "问题 findings"), title="加载结果 Loaded"
    )
    for report in reports:
        table.add_row(
            report.system, *(f"{n:,}" for n in (report.read, report.accepted, report.rejected, report.findings))
        )
    out.print(table)
    read = sum(r.read for r in reports)
    created, merged = sum(r.customers_created for r in reports), sum(r.customers_merged for r in reports)
    fates = {fate: sum(r.fates[fate] for r in reports) for fate in reports[0].fates}
    out.print(f"新客户 customers opened {created:,}; 合并 merged {merged:,}")
    out.print(f"去重 duplicates removed {fates['CREATED'] - created + merged:,}")  # type: ignore[index]
    out.print("记录 records: " + ", ".join(f"{fate.value.lower()} {n:,}" for fate, n in fates.items()))
    out.print(f"疑似合并审核 reviews opened {sum(r.reviews_opened for r in reports):,}")
    out.print(f"{seconds:.1f} s, {read / max(seconds, 0.001):,.0f} 条/秒 records/s")
    if any(r.rejected for r in reports):
        out.print("拒收明细 see the rejected rows: ecif rejects")


@app.command("export-links")
def export_links(out_csv: Annotated[Path, typer.Argument(metavar="OUT.csv")]) -> None:
    """导出归属 Write source,source_key,customer_no, one row for each live source record."""
    with _runtime() as runtime, out_csv.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("source", "source_key", "customer_no"))
        with transaction(runtime.engine) as session:
            writer.writerows(live_links(session))


@app.command()
def migrate(check: Annotated[bool, typer.Option(help="only compare the schema with the program")] = False) -> None:
    """迁移数据库 Bring the database to this version's schema."""
    with _runtime() as runtime:
        found = differences(runtime.engine) if check else []
    for difference in found:
        err.print(difference)
    if found:
        raise typer.Exit(1)
    out.print("数据库已是最新 the database is up to date")


@app.command()
def rebuild(check: Annotated[bool, typer.Option(help="tell what would change, change nothing")] = False) -> None:
    """重建派生数据 Recompute everything derived from the facts."""
    with _runtime() as runtime:
        context = Context(datetime.now(UTC), "rebuild", runtime.digests)
        with Session(runtime.engine) as session, session.begin() as whole:
            report = rebuild_all(session, context)
            if check:
                whole.rollback()
    out.print(f"记录 records {report.records:,}, 变化 golden records changed {report.changed:,}")
    if report.changed:
        raise typer.Exit(1)


@app.command()
def token(scope: Annotated[list[str] | None, typer.Option(help="repeatable; every scope unless given")] = None) -> None:
    """本地令牌 Print a token signed with the local key."""
    unknown = sorted(set(scope or ()) - set(SCOPES))
    if unknown:
        err.print(f"未知权限 unknown scope: {', '.join(unknown)}; 可用 known: {', '.join(SCOPES)}")
        raise typer.Exit(2)
    print(_token(Settings.from_env(os.environ), scope or list(SCOPES)))


def _token(settings: Settings, scopes: list[str]) -> str:
    secret = local_secret(settings.home, "token.key")
    return issue_token(secret, subject="local", scopes=scopes, now=datetime.now(UTC))


@app.command()
def customer(no: str) -> None:
    """查看客户 Show a golden record, masked, with its sources."""
    from ecif.api.views import SECTIONS, customer_view

    with _runtime() as runtime, transaction(runtime.engine) as session:
        try:
            found = reads.resolve(session, no)
        except reads.CustomerNotFound:
            err.print(f"客户号不存在 no such customer number: {no}")
            raise typer.Exit(1) from None
        golden = reads.golden_records(session, [found.customer_no])[0]
        view = customer_view(golden.document, sections=list(SECTIONS), provenance=False, clear=False)
        if found.redirected:
            out.print(f"{no} → {found.customer_no} (已合并 merged)")
        out.print_json(data={"version": golden.version, **view})
        table = Table("源 source", "键 key", "规则 rule", "业务时间 as of", title="源记录 Source records")
        for row in reads.sources(session, found.customer_no):
            table.add_row(row.system, row.key, row.rule, f"{row.business_time:%Y-%m-%d %H:%M}")
        out.print(table)


@app.command()
def rejects(
    system: Annotated[str | None, typer.Option(help="core, loan, card or ebank")] = None,
    limit: Annotated[int, typer.Option(min=1, help="rows shown")] = 50,
    export: Annotated[
        Path | None, typer.Option(metavar="OUT.csv", help="write all of them, with their raw text")
    ] = None,
) -> None:
    """拒收记录 List the rows that were not accepted, or export them."""
    columns = ("system", "file_name", "line", "code", "field", "message_zh", "message_en")
    with _runtime() as runtime, transaction(runtime.engine) as session:
        if export:
            with export.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow((*columns, "raw"))
                writer.writerows(
                    [getattr(r, c) for c in (*columns, "raw")] for r in list_rejects(session, system=system)
                )
            return
        table = Table("源", "文件", "行", "代码", "字段", "原因 reason", title="拒收 Rejected rows")
        for row in list_rejects(session, system=system, limit=limit):
            table.add_row(
                row.system, row.file_name, str(row.line), row.code, row.field, f"{row.message_zh} {row.message_en}"
            )
        out.print(table)


@app.command()
def serve() -> None:
    """启动服务 Serve the API at ECIF_HOST:ECIF_PORT (127.0.0.1:8000)."""
    settings = Settings.from_env(os.environ)
    _check_port(settings)
    with _runtime() as runtime:
        _serve(runtime)


def _check_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"{settings.host}:{settings.port} 无法监听 cannot listen there ({error.strerror});"
                f" 请换一个端口 choose another port: ECIF_PORT={settings.port + 1}"
            ) from error


def _serve(runtime: Runtime) -> None:
    import uvicorn

    from ecif.api.app import create_app

    settings = runtime.settings
    service: Any = create_app(runtime.engine, runtime.digests, local_secret(settings.home, "token.key"))
    uvicorn.run(service, host=settings.host, port=settings.port, log_level="warning")


@app.command()
def demo(
    records: Annotated[int, typer.Option(min=100, max=5_000_000, help="source records, about")] = 22_000,
    seed: Annotated[int, typer.Option(help="another bank")] = 20_260_101,
    serve: Annotated[bool, typer.Option(help="serve the API afterwards")] = False,
) -> None:
    """演示银行 Make a demo bank, load it, and tell what happened."""
    from ecif.demo import generate

    settings = Settings.from_env(os.environ)
    if serve:
        _check_port(settings)
    folder = settings.home / f"demo-{records}-{seed}"
    if not (folder / "truth.csv").exists():
        err.print("生成演示数据 making the demo bank …")
        generate(folder, records=records, seed=seed)
    with _runtime() as runtime:
        if _is_empty(runtime.engine):
            _print_reports(*_load_files(runtime, {name: folder / f"{name}.csv" for name in SYSTEMS}))
        else:
            out.print("数据库已有客户, 不再加载 the database holds customers already, nothing is loaded")
        if serve:
            _print_welcome(runtime)
            _serve(runtime)


def _is_empty(engine: Engine) -> bool:
    with engine.connect() as connection:
        return not connection.execute(
            text("SELECT EXISTS (SELECT 1 FROM load WHERE finished_at IS NOT NULL AND system = 'ebank')")
        ).scalar()


def _print_welcome(runtime: Runtime) -> None:
    base = f"http://{runtime.settings.host}:{runtime.settings.port}"
    with runtime.engine.connect() as connection:
        query = "SELECT customer_no FROM link WHERE ended_at IS NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        no = connection.execute(text(query)).scalar()
    held = _token(runtime.settings, list(SCOPES))
    auth = f"-H 'Authorization: Bearer {held}'"
    out.print(f"\n服务已启动 serving at {base}   文档 docs: {base}/docs   (Ctrl-C 停止 stops)")
    out.print("令牌 token:\n", end="")
    print(held)
    out.print("\n试一试 try:")
    for path in (f"/v1/customers/{no}", f"/v1/customers/{no}/sources", f"/v1/customers/{no}/lineage"):
        print(f"curl -s {auth} '{base}{path}'")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
