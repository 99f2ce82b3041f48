"""Files into the real database: nothing is lost, nothing is doubled, nothing older wins."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import empty
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people import citizen, scalar
from sources import EBANK_HEADER, SAMPLES, SYSTEMS, ebank_file, ebank_row, shipped
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from ecif.adapters.sources import LoadReport, SourceFileError, load_file
from ecif.services.context import KeyDigests
from ecif.services.ingest import Fate
from ecif.services.loads import list_rejects

FACTS = ("source_record", "source_record_version", "link", "party", "golden_record", "outbox_event", "reject")
OLD, NEW = "2026-01-01 10:00:00", "2026-01-02 10:00:00"


def load(engine: Engine, digests: KeyDigests, path: Path, system: str = "ebank") -> LoadReport:
    """Loads a file by the shipped contract."""
    return load_file(engine, digests, shipped(system), path)


def everything(engine: Engine) -> dict[str, list[str]]:
    """All that a load may leave behind but the book-keeping of the load itself."""
    with engine.connect() as connection:
        tables = {t: connection.execute(text(f'SELECT t::text FROM "{t}" t ORDER BY 1')).scalars() for t in FACTS}
        return {table: list(rows) for table, rows in tables.items()}


def rejects(engine: Engine) -> list[dict[str, Any]]:
    """The reject store as it is listed."""
    with Session(engine) as session:
        return [{c: getattr(r, c) for c in r.__table__.columns.keys()} for r in list_rejects(session)]  # noqa: SIM118


def names(engine: Engine) -> dict[str, str]:
    """The name that the newest version of each record holds."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT key, document FROM source_record"))
        return {key: orjson.loads(document)["name"] for key, document in rows}


def load_samples(engine: Engine, digests: KeyDigests) -> dict[str, LoadReport]:
    """Loads the four sample extracts."""
    return {s: load(engine, digests, SAMPLES / f"{s}.csv", s) for s in SYSTEMS}


def test_four_dirty_samples(engine: Engine, digests: KeyDigests) -> None:
    reports = load_samples(engine, digests)
    counts = {s: (r.read, r.accepted, r.rejected) for s, r in reports.items()}
    assert counts == {"core": (13, 10, 3), "loan": (12, 11, 1), "card": (11, 8, 3), "ebank": (12, 10, 2)}
    assert reports["ebank"].reject_codes == {"MISSING_KEY": 1, "UNKNOWN_CODE": 1}
    assert len(rejects(engine)) == 9
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT system, rows_read, rows_accepted, rows_rejected FROM load")).all()
        unfinished = connection.execute(text("SELECT count(*) FROM load WHERE finished_at IS NULL")).scalar()
    assert {row[0]: tuple(row[1:]) for row in kept} == counts
    assert unfinished == 0


def test_one_man_of_four_systems_is_one_customer(engine: Engine, digests: KeyDigests) -> None:
    load_samples(engine, digests)
    query = (
        "SELECT count(DISTINCT l.customer_no) FROM link l JOIN source_record r ON r.id = l.record_id WHERE"
        " l.ended_at IS NULL AND r.key IN ('10000000001', 'CI000000000001', '0000000001C', 'U0000000001')"
    )
    assert scalar(engine, query) == 1


def test_the_same_files_again_change_nothing(engine: Engine, digests: KeyDigests, tmp_path: Path) -> None:
    first = load_samples(engine, digests)
    before = everything(engine)
    again = load_samples(engine, digests)
    (tmp_path / "renamed.csv").write_bytes((SAMPLES / "core.csv").read_bytes())
    load(engine, digests, tmp_path / "renamed.csv", "core")
    assert everything(engine) == before
    for system in SYSTEMS:
        assert again[system].fates == {Fate.UNCHANGED: first[system].accepted}
        assert (again[system].read, again[system].rejected) == (first[system].read, first[system].rejected)


def test_the_reject_store_tells_file_line_reason_in_two_languages_and_text(
    engine: Engine, digests: KeyDigests, tmp_path: Path
) -> None:
    rows = [ebank_row("U1"), ebank_row("", "无主键"), "a,b", ebank_row("U2") + "\x00", ebank_row("U3", CUST_KIND="9")]
    path = ebank_file(tmp_path, rows, "电银.csv")
    report = load(engine, digests, path)
    assert (report.read, report.accepted, report.rejected) == (5, 1, 4)
    stored = rejects(engine)
    columns = ("system", "file_name", "line", "code", "field", "raw", "message_zh", "message_en")
    assert [tuple(r[c] for c in columns) for r in stored] == [
        ("ebank", "电银.csv", 3, "MISSING_KEY", "USER_ID", rows[1], "缺少主键", "the key is missing"),
        ("ebank", "电银.csv", 4, "RAGGED_ROW", "", "a,b", "应有 17 列, 实有 2 列", "2 cells where the header has 17"),
        ("ebank", "电银.csv", 5, "NUL_BYTE", "", rows[3].replace("\x00", "\\0"), "含有空字节", "holds a NUL byte"),
        ("ebank", "电银.csv", 6, "UNKNOWN_CODE", "CUST_KIND", rows[4], "未知的客户类型代码",
         "unknown code of the party type"),
    ]  # fmt: skip
    assert all(r["load_id"] and r["rejected_at"] for r in stored)


def test_equal_bad_rows_of_one_file_are_all_kept(engine: Engine, digests: KeyDigests, tmp_path: Path) -> None:
    path = ebank_file(tmp_path, ["x,y"] * 600)
    for _ in range(2):
        assert load(engine, digests, path).rejected == 600
        assert [r["line"] for r in rejects(engine)] == list(range(2, 602))


def test_findings_are_kept_with_the_record(engine: Engine, digests: KeyDigests, tmp_path: Path) -> None:
    row = ebank_row("U1", GENDER="7", BIRTH="1990-02-30", ACCTS="EB1:9", CONTACT_ADDR="长" * 300)
    report = load(engine, digests, ebank_file(tmp_path, [row, ebank_row("U2")]))
    assert (report.accepted, report.findings) == (2, 4)
    document = orjson.loads(scalar(engine, "SELECT document FROM source_record WHERE key = 'U1'"))
    assert {(f["code"], f["field"]) for f in document["findings"]} == {
        ("UNKNOWN_CODE", "GENDER"), ("BAD_DATE", "BIRTH"), ("UNKNOWN_CODE", "ACCTS"), ("TOO_LONG", "CONTACT_ADDR")
    }  # fmt: skip


@pytest.mark.parametrize("rows", [[(OLD, "张旧"), (NEW, "张新")], [(NEW, "张新"), (OLD, "张旧")]])
def test_of_two_rows_of_one_key_the_newer_wins(
    engine: Engine, digests: KeyDigests, tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    """In one chunk, and with chunks between them."""
    near = [ebank_row("U1", name, UPD_TIME=time) for time, name in rows]
    far = [ebank_row("U2", name, UPD_TIME=time) for time, name in rows]
    filler = [ebank_row(f"F{n}", "", UPD_TIME=OLD) for n in range(300)]
    report = load(engine, digests, ebank_file(tmp_path, [*near, far[0], *filler, far[1]]))
    assert report.accepted == 304
    assert {key: name for key, name in names(engine).items() if key[0] == "U"} == {"U1": "张新", "U2": "张新"}
    assert scalar(engine, "SELECT count(*) FROM source_record_version") == 304
    assert scalar(engine, "SELECT count(*) FROM link WHERE ended_at IS NULL") == 302


def test_an_older_snapshot_overwrites_nothing(engine: Engine, digests: KeyDigests, tmp_path: Path) -> None:
    new = ebank_file(tmp_path, [ebank_row("U1", "张新", CERT_NO=citizen(1), UPD_TIME=NEW)], "new.csv")
    old = ebank_file(tmp_path, [ebank_row("U1", "张旧", CERT_NO=citizen(2), UPD_TIME=OLD), ebank_row("U2")], "old.csv")
    load(engine, digests, new)
    before = everything(engine)
    report = load(engine, digests, old)
    assert report.fates == {Fate.CREATED: 1, Fate.HISTORY: 1}
    after = everything(engine)
    for table in ("source_record", "link", "golden_record", "outbox_event"):
        assert set(before[table]) <= set(after[table])
        assert len(after[table]) == 2
    assert names(engine)["U1"] == "张新"
    assert scalar(engine, "SELECT count(*) FROM source_record_version") == 3


def test_a_high_value_does_not_make_a_record_the_newest_for_ever(
    engine: Engine, digests: KeyDigests, tmp_path: Path
) -> None:
    stuck = ebank_row("U1", "张旧", UPD_TIME="9999-12-31 00:00:00", REG_TIME=OLD)
    load(engine, digests, ebank_file(tmp_path, [stuck]))
    load(engine, digests, ebank_file(tmp_path, [ebank_row("U1", "张新", UPD_TIME=NEW)]))
    assert names(engine) == {"U1": "张新"}


def test_a_file_with_another_layout_leaves_no_trace(engine: Engine, digests: KeyDigests, tmp_path: Path) -> None:
    path = ebank_file(tmp_path, [ebank_row("U1")])
    path.write_bytes(path.read_bytes().replace(b"CERT_NO", b"CERT_NUMBER"))
    with pytest.raises(SourceFileError, match="CERT_NO"):
        load(engine, digests, path)
    assert scalar(engine, "SELECT count(*) FROM load") == 0


def test_a_file_name_that_is_no_text(engine: Engine, digests: KeyDigests, tmp_path: Path) -> None:
    path = ebank_file(tmp_path, [ebank_row("U1")], b"\xb5\xe7.csv".decode(errors="surrogateescape"))
    assert load(engine, digests, path).accepted == 1


CELLS = st.sampled_from(
    ("", "1", "P", "E", "张三丰", "ZHANG SANFENG", citizen(1), citizen(1)[:17] + "*", "13912345670", "1990-02-30",
     "00000000", "0001-01-01", "9999-12-31 23:59:59", "19000101", "45123", NEW, "EB1:1;EB1:1;:", "\x00", "\u200b\x1f",
     "\ud7ff\ue000\uffff", "²" * 18, "١٢٣", "长" * 500, '"', "a\nb", "a,b", "İß㍿", "|;|:", "\u202e倒", "'; --", "\\")
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)  # fmt: skip
ROW = st.lists(CELLS, min_size=17, max_size=17)
KEYED = st.tuples(st.sampled_from(("U1", "U2", "U3")), st.sampled_from("PE"), ROW).map(
    lambda r: [r[0], r[1], *r[2][2:]]
)
BYTES = st.sampled_from((b",", b'"', b"\x00", b"\xff\xfe", b"\r", b"U1,P", b"x" * 70_000)) | st.binary(max_size=9)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(KEYED | ROW | st.lists(CELLS, max_size=19) | BYTES, max_size=12))
def test_law_read_is_accepted_and_rejected(
    server: Engine, digests: KeyDigests, tmp_path: Path, rows: list[list[str] | bytes]
) -> None:
    """Whatever is in the file: every row is counted once and is found again, and a second load changes nothing."""
    empty(server)
    content = io.BytesIO()
    content.write(EBANK_HEADER.encode() + b"\n")
    for row in rows:
        line = io.StringIO()
        if not isinstance(row, bytes):
            csv.writer(line, lineterminator="\n").writerow(row)
        content.write(row + b"\n" if isinstance(row, bytes) else line.getvalue().encode())
    path = tmp_path / "ebank.csv"
    path.write_bytes(content.getvalue())
    report = load(server, digests, path)
    before = everything(server)
    assert report.read == report.accepted + report.rejected
    assert sum(report.fates.values()) == report.accepted
    with server.connect() as connection:
        (kept,) = connection.execute(text("SELECT rows_read, rows_accepted, rows_rejected FROM load")).all()
    assert tuple(kept) == (report.read, report.accepted, report.rejected)
    stored = rejects(server)
    assert Counter(r["code"] for r in stored) == report.reject_codes
    assert len(stored) == report.rejected
    assert all(r["message_zh"] and r["message_en"] and r["line"] > 1 for r in stored)
    versions = scalar(server, "SELECT count(*) FROM source_record_version")
    assert report.fates[Fate.CREATED] <= versions <= report.accepted
    load(server, digests, path)
    assert everything(server) == before
