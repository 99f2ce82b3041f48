"""What the command line shows and writes: tables, progress, the welcome of the demo, CSV files."""

from __future__ import annotations

import csv
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Column, Table

from ecif.adapters.sources import LoadReport
from ecif.api.merge_views import preview_view, since_view
from ecif.api.review_views import review_view, whole_view
from ecif.api.views import customer_view
from ecif.domain.events import EventType
from ecif.services.customers import Golden
from ecif.services.ingest import Fate
from ecif.services.operations import Operation, Status
from ecif.services.outcomes import Preview
from ecif.services.reversals import Since
from ecif.services.review_queue import Review

_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters that nobody sees, but that move the cursor, colour, turn or break what is shown."""


def _shown(text: str) -> str:
    """What a reader sees of a text."""
    if text.isprintable():
        return text
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in _STEERING)


class _Console(Console):
    """Names, keys and remarks are others': whatever is shown of them only shows, and never steers the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else _shown(text), style, control)


# No markup: a file name or an argument may hold brackets.
out = _Console(highlight=False, markup=False)
err = _Console(stderr=True, highlight=False, markup=False)

REJECT_COLUMNS = ("system", "file_name", "line", "code", "field", "message_zh", "message_en", "raw")


def complain(sentence: object) -> None:
    """Tells an error."""
    err.print(f"错误 error: {sentence}", style="red", soft_wrap=True)


def complain_of(problem: Mapping[str, Any]) -> None:
    """Tells what was refused, as the API would: the reason, and all that it says beside."""
    told = f"{problem['code']} {problem['message_zh']} {problem['message_en']}"
    beside = "; ".join(_member(name, value) for name, value in problem.items() if name not in _OF_ALL and value)
    complain(f"{told}: {beside}" if beside else told)


_OF_ALL = frozenset({"type", "title", "status", "code", "message_zh", "message_en", "field", "rule"})
"""What every problem says; what is wrong with a field is in ``errors``."""
_SENTENCES = frozenset({"detail", "errors", "findings", "source_records"})
"""Members that need no name to be understood."""
LISTED_MAX = 20
"""Things of a kind that are told of one problem."""


def _member(name: str, value: Any) -> str:
    return _plain(value) if name in _SENTENCES else f"{name} {_plain(value)}"


def _plain(value: Any) -> str:
    """JSON for people."""
    match value:
        case {"system": system, "key": key}:
            return f"{system}:{key}"
        case {"message_zh": zh, "message_en": en}:
            more = {"lift": value.get("lift")} | value.get("data", {})
            return " ".join((value["rule"], zh, en, *(f"[{name} {_plain(it)}]" for name, it in more.items() if it)))
        case Mapping():
            return ", ".join(f"{name} {_plain(it)}" for name, it in value.items())
        case [[*_], *_]:
            return ", ".join(" + ".join(map(_plain, those)) for those in value[:LISTED_MAX])
        case [*_]:
            return ", ".join(map(_plain, value[:LISTED_MAX])) + (" …" if len(value) > LISTED_MAX else "")
    return str(value)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, Path], Callable[[int], None]]]:
    """Gives a function that starts a file's bar, and returns what moves it on by so many bytes."""
    columns = (TextColumn("{task.description:>6}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:

        def bar(name: str, path: Path) -> Callable[[int], None]:
            task = progress.add_task(name, total=path.stat().st_size)
            return lambda done: progress.advance(task, done)

        yield bar


def print_reports(reports: Sequence[LoadReport], seconds: float) -> None:
    """What loads did."""
    columns = ("源 source", "读取 read", "接受 accepted", "拒收 rejected", "问题 findings")
    table = Table(*columns, title="加载结果 Loaded")
    for r in reports:
        table.add_row(r.system, *(f"{n:,}" for n in (r.read, r.accepted, r.rejected, r.findings)))
    out.print(table)
    read = sum(r.read for r in reports)
    created, merged = sum(r.customers_created for r in reports), sum(r.customers_merged for r in reports)
    fates = {fate: sum(r.fates[fate] for r in reports) for fate in Fate}
    out.print(f"新客户 customers opened {created:,}; 合并 merged {merged:,}")
    out.print(f"去重 duplicates removed {fates[Fate.CREATED] - created + merged:,}")
    out.print("记录 records: " + ", ".join(f"{fate.value.lower()} {n:,}" for fate, n in fates.items()))
    out.print(f"疑似合并审核 reviews opened {sum(r.reviews_opened for r in reports):,}")
    out.print(f"{seconds:.1f} s, {read / max(seconds, 0.001):,.0f} 条/秒 records/s")
    for r in reports:
        _print_codes(f"拒收 rejected in {r.system}", r.reject_codes)
        _print_codes(f"问题 findings in {r.system}", r.finding_codes)
    if any(r.rejected for r in reports):
        out.print("拒收明细 see the rejected rows: ecif rejects")


def _print_codes(what: str, codes: Mapping[str, int]) -> None:
    if codes:
        out.print(f"{what}: " + ", ".join(f"{code} {n:,}" for code, n in sorted(codes.items())))


def print_customer(golden: Golden, sources: Iterable[Any]) -> None:
    """A golden record, masked, and its source records."""
    view = customer_view(golden.document)
    if golden.redirected:
        out.print(f"{golden.requested_no} → {golden.customer_no} (已合并 merged)")
    out.print_json(data={"version": golden.version, **view}, ensure_ascii=False)
    table = Table("源 source", "键 key", "规则 rule", "业务时间 as of", title="源记录 Source records")
    for row in sources:
        table.add_row(row.system, row.key, row.rule, f"{row.business_time:%Y-%m-%d %H:%M}")
    out.print(table)


def print_operation(operation: Operation) -> None:
    """What was asked for or decided, and what is to be done next."""
    out.print(
        f"操作 operation {operation.id}: {operation.kind} {operation.status}, 客户号 customer {operation.customer_no}"
    )
    if operation.status is Status.PENDING:
        next_step = f"须由另一人复核 another person has to decide: ecif approve {operation.id} --by …"
        out.print(next_step, soft_wrap=True)
    if operation.outcome:
        _print_numbers(operation.outcome)


def _print_numbers(outcome: Mapping[str, Any]) -> None:
    named = (("retired", "合并 retired"), ("resurrected", "恢复 resurrected"), ("created", "新建 created"))
    told = [f"{what} {' '.join(outcome[part])}" for part, what in named if outcome[part]]
    out.print(f"存续 survivor {outcome['survivor']}" + "".join(f"; {text}" for text in told), soft_wrap=True)


def print_operations(rows: Iterable[Operation]) -> None:
    """Operations, oldest first."""
    table = Table("号", "种类", "状态", "客户号", "经办", "复核", "时间", title="归并操作 Operations")
    for o in rows:
        made = f"{o.made_at:%Y-%m-%d %H:%M}"
        table.add_row(str(o.id), o.kind, o.status, o.customer_no, o.maker, o.checker or "", made)
    out.print(table)


def print_reviews(rows: Iterable[Any], now: datetime, after: str = "") -> None:
    """The queue, in its order; ``after`` begins the next page."""
    number = Column("客户号", min_width=12)  # half a number is none
    heads = ("号", "种类", "状态", number, "级别", "规则", "风险", "天", "认领/结果")
    table = Table(*heads, title="疑似合并审核 Reviews", pad_edge=False)
    for row in rows:
        view = review_view(row, now)
        days = str((now - row.opened_at).days)
        ends = " ".join(sorted(set(view["customers"])))
        cells = (view["state"], ends, row.level, row.rule, str(row.risk), days, row.outcome or view["claimed_by"] or "")
        table.add_row(str(row.id), row.kind, *cells)
    out.print(table)
    if after:
        out.print(f"下一页 next page: --after {after}", soft_wrap=True)


def print_review(review: Review, entries: Iterable[Any], now: datetime) -> None:
    """A review with its evidence, masked, and what was done with it."""
    out.print_json(data=whole_view(review, now, ()), ensure_ascii=False, default=str)
    table = Table("时间", "操作", "人", "备注 text", title="审核记录 History")
    for entry in entries:
        table.add_row(
            f"{entry.made_at:%Y-%m-%d %H:%M}", entry.action, entry.person, f"{entry.text} {entry.evidence}".strip()
        )
    out.print(table)


def print_decided(row: Any, now: datetime) -> None:
    """What became of a review, and what is to be done next."""
    view = review_view(row, now)
    held = f", 认领 held by {view['claimed_by']}" if view["claimed_by"] and not row.closed_at else ""
    out.print(f"审核 review {row.id}: {row.state}" + (f" {row.outcome}" if row.outcome else "") + held, soft_wrap=True)
    if row.operation_id and not row.closed_at:
        out.print(f"须由另一人复核 another person has to decide: ecif approve {row.operation_id} --by …")


def print_preview(preview: Preview, since: Since | None = None) -> None:
    """What an operation would do, masked: every field before and after, what moves, what blocks it."""
    view = preview_view(preview)
    _print_numbers(view)
    table = Table("字段 field", "之前 before", "之后 after", "来源 source", "未取 lost", title="预览 Preview")
    for row in view["fields"]:
        cells = [_cell(row["before"]), _cell(row["after"]), _sources(row["after"]), _lost(row["after"])]
        table.add_row(row["field"], *cells)
    out.print(table)
    _print_moves(view)
    for level, what in (("blockers", "阻止 blocked"), ("warnings", "注意 look at")):
        for finding in view[level]:
            out.print(f"{what}: {finding['rule']} {finding['message_zh']} {finding['message_en']}", soft_wrap=True)
    if since:
        _print_since(since_view(since))


def _cell(told: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"{one['customer_no']} {one['value']}" for one in told)


def _sources(told: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"{one['system']}:{one['key']}" for one in told if "system" in one)


def _lost(told: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(
        f"{lost['value']} {lost['system']} {lost['reason']}" for one in told for lost in one.get("lost", ())
    )


def _print_moves(view: Mapping[str, Any]) -> None:
    moved = view["moved"]
    out.print(f"源记录转移 records that move {moved['total']:,}")
    for record in moved["items"]:
        out.print(f"  {record['system']}:{record['key']} {record['from']} → {record['to']}")
    for held in view["holdings"]:
        out.print(f"{held['kind']} 转移 move {held['moves']['total']:,}")


def _print_since(view: Mapping[str, Any]) -> None:
    """What was done under a merged number since."""
    counts = ((part, f"{len(those['items']):,}{'+' if those['more'] else ''}") for part, those in view.items())
    out.print("合并后 since the merge: " + ", ".join(f"{part} {n}" for part, n in counts), soft_wrap=True)
    for record in view["arrived"]["items"]:
        what = "新记录 new" if record["new"] else f"新版本 {record['versions']} newer versions"
        out.print(
            f"  {record['received_at']:%Y-%m-%d %H:%M:%S} {record['system']}:{record['key']} {what} → {record['to']}"
        )
    for check in view["checks"]["items"]:
        out.print(f"  {check['answered_at']:%Y-%m-%d %H:%M:%S} {check['kind']} {check['result']} {check['caller']}")
    for event in view["events"]["items"]:
        out.print(f"  {event['occurred_at']:%Y-%m-%d %H:%M:%S} {event['type']} {event['action'] or ''}".rstrip())


def print_rejects(rows: Iterable[Any]) -> None:
    """Rejected rows without their text: it is somebody's data, and a terminal is no place for it."""
    table = Table("源", "文件", "行", "代码", "字段", "原因 reason", title="拒收 Rejected rows")
    for r in rows:
        table.add_row(r.system, r.file_name, str(r.line), r.code, r.field, f"{r.message_zh} {r.message_en}")
    out.print(table)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """Gives a function that shows how much of an unknown amount is done."""
    with err.status(what) as status:
        yield lambda done: status.update(f"{what} {done:,}")


def print_daily(on: date, told: Mapping[EventType, int], forgotten: int) -> None:
    """What the daily jobs did."""
    kinds = [kind for kind in EventType if kind.startswith("document.")]
    out.print(f"{on} 证件提醒 documents told: " + ", ".join(f"{kind} {told.get(kind, 0):,}" for kind in kinds))
    out.print(f"清理答复 stored answers dropped {forgotten:,}")


def print_address(base: str) -> None:
    """Where the service is."""
    out.print(f"服务已启动 serving at {base}   文档 docs: {base}/docs   (Ctrl-C 停止 stops)", soft_wrap=True)
    sys.stdout.flush()


def print_welcome(base: str, token: str, no: str | None) -> None:
    """Where the service is, and lines to paste."""
    print_address(base)
    print(f"令牌 token:\n{token}\n\n试一试 try:")
    for path in (f"/v1/customers/{no}", f"/v1/customers/{no}/sources", f"/v1/customers/{no}/lineage"):
        print(f"curl -s -H 'Authorization: Bearer {token}' '{base}{path}'")
    sys.stdout.flush()


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], mode: int = 0o644) -> None:
    """Writes a file that is whole or not there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    device = path.exists() and not path.is_file()
    draft = path if device else path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, flags, mode), "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        if not device:
            draft.replace(path)
    finally:
        if not device:
            draft.unlink(missing_ok=True)
