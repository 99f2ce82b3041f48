"""The verbs that serve the API, and what one needs to look at it: a token, a customer, a demo bank."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ecif import server, terminal
from ecif.api.tokens import EVERY, HOURS_MAX, SCOPES, SUBJECT_LENGTH_MAX, Verifier, is_subject, issue_token
from ecif.cli.loading import load_files
from ecif.cli.runtime import EVERYTHING, Runtime, System, app, open_runtime, utf8, wrong_use
from ecif.db import bound_time, transaction
from ecif.services import customers as reads
from ecif.settings import Settings, SettingsError, local_secret


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
        wrong_use(f"未知权限 unknown scope: {', '.join(unknown)}; 可用 known: {', '.join(SCOPES)}")
    if not is_subject(subject):
        wrong_use(f"--subject: 应为 1–{SUBJECT_LENGTH_MAX} 个可见字符 1 to {SUBJECT_LENGTH_MAX} visible characters")
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
def customer(no: Annotated[str, typer.Argument(metavar="NO", parser=utf8)]) -> None:
    """查看客户 Show a golden record, masked, with its sources."""
    with open_runtime() as runtime, transaction(runtime.engine) as session:
        try:
            golden = reads.golden(session, no)
        except reads.CustomerNotFound:
            terminal.complain(f"客户号不存在 no such customer number: {no}")
            raise typer.Exit(1) from None
        terminal.print_customer(golden, reads.sources(session, golden.customer_no))


@app.command()
def serve() -> None:
    """启动服务 Serve the API at ECIF_HOST:ECIF_PORT (127.0.0.1:8000)."""
    settings = Settings.from_env(os.environ)
    listener = server.listen(settings)
    with open_runtime() as runtime:
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
    with open_runtime(fits=EVERYTHING) as runtime:
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
    terminal.print_reports(*load_files(runtime, {system: folder / f"{system}.csv" for system in System}))
    unfinished.unlink()
