"""A layout is configuration: what changes in a source system changes in a contract, and no code."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from sources import CONTRACTS, SAMPLES, SYSTEMS, ebank_file, ebank_row, shipped, taken

from ecif.adapters.sources import ContractError, SourceFileError, load_contract
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import RecordStatus


def changed(folder: Path, system: str, *changes: tuple[str, str]) -> Path:
    """A copy of a shipped contract with some text replaced."""
    text = (CONTRACTS / f"{system}.yaml").read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{system}.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("system", SYSTEMS)
def test_any_column_may_be_renamed(tmp_path: Path, system: str) -> None:
    """To names as they are in real files: Chinese, with full-width brackets and spaces."""
    original = shipped(system)
    document = yaml.safe_load((CONTRACTS / f"{system}.yaml").read_text("utf-8"))
    text = (SAMPLES / f"{system}.csv").read_bytes().decode()
    header, rest = text.split("\n", 1)
    names = {column: f"列 （{n}）" for n, column in enumerate(header.strip().split(","))}

    def rename(part: object) -> object:
        if isinstance(part, dict):
            return {k: v if k == "codes" or (k, type(v)) == ("kind", str) else rename(v) for k, v in part.items()}
        if isinstance(part, list):
            return [rename(p) for p in part]
        return names.get(part, part) if isinstance(part, str) else part

    (tmp_path / "c.yaml").write_text(yaml.safe_dump(rename(document), allow_unicode=True), "utf-8")
    (tmp_path / "s.csv").write_bytes((",".join(names.values()) + "\n" + rest).encode("gb18030"))
    contract = load_contract(tmp_path / "c.yaml")
    records, rejections = taken(contract, tmp_path / "s.csv")
    was, _ = taken(original, SAMPLES / f"{system}.csv")
    plain = {c.replace(" ", "").replace("（", "(").replace("）", ")"): old for old, c in names.items()}
    assert [(r.name, r.identifiers, r.accounts, r.related) for r in records] == [
        (r.name, r.identifiers, r.accounts, r.related) for r in was
    ]
    assert [[(f.code, plain[f.field]) for f in r.findings] for r in records] == [
        [(f.code, f.field) for f in r.findings] for r in was
    ]
    assert len(rejections) + len(records) > 9


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_file_without_a_column_of_its_contract_is_refused(tmp_path: Path, system: str) -> None:
    """It would pass for a source that no longer knows anybody's number."""
    header, rest = (SAMPLES / f"{system}.csv").read_bytes().decode().split("\n", 1)
    for column in header.strip().split(","):
        path = tmp_path / "s.csv"
        path.write_bytes((f",{header.strip()},".replace(f",{column},", ",OTHER,").strip(",") + "\n" + rest).encode())
        with pytest.raises(SourceFileError, match=column):
            taken(shipped(system), path)


def test_new_codes(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        "ebank",
        ("codes: {N: ACTIVE, L: CLOSED}", "codes: {N: ACTIVE, L: CLOSED, 注 销: CLOSED}"),
        ('"2": PASSPORT', '"2": PASSPORT\n        Ｚ: HKID'),
        ("{P: PERSON, E: ORGANIZATION}", "{P: PERSON, E: ORGANIZATION, VIP: PERSON}"),
    )
    row = ebank_row("U1", CUST_KIND="VIP", CERT_TYPE="Z", CERT_NO="A123456(3)", STATUS="注销")
    (record,), rejections = taken(load_contract(path), ebank_file(tmp_path, [row]))
    assert record.identifiers[0].kind is IdentifierKind.HKID
    assert record.status is RecordStatus.CLOSED
    assert record.findings == () and rejections == []
    assert taken(shipped("ebank"), ebank_file(tmp_path, [row]))[1][0].code == "UNKNOWN_CODE"


def test_another_delimiter_and_another_date_format(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        "ebank",
        ("key: USER_ID", 'delimiter: "|"\nkey: USER_ID'),
        ('["%Y-%m-%d %H:%M:%S"', '["%Y-%m-%dT%H:%M:%S%z", "%Y年%m月%d日", "%Y-%m-%d %H:%M:%S"'),
    )
    row = ebank_row("U1", UPD_TIME="2026-01-01T00:00:00Z", BIRTH="1990年1月1日").replace(",", "|")
    file = ebank_file(tmp_path, [row])
    file.write_bytes(file.read_bytes().replace(b",", b"|"))
    (record,), _ = taken(load_contract(path), file)
    assert record.business_time.isoformat() == "2026-01-01T00:00:00+00:00"
    assert str(record.birth_date) == "1990-01-01"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("key: USER_ID", "", "key"),
        ("key: USER_ID", "key: ''", "key"),
        ("key: USER_ID", "schlüssel: USER_ID", "schlüssel"),
        ("key: USER_ID", "key: [", "YAML"),
        ("system: ebank", "system: E Bank", "system"),
        ("{P: PERSON, E: ORGANIZATION}", "{P: PEOPLE}", "party_type"),
        ("{P: PERSON, E: ORGANIZATION}", "{1: PERSON}", "party_type"),
        ('"%Y/%m/%d"', '"%Y/%m"', "names no day"),
        ('"%Y/%m/%d"', '"%Y/%m/%d %Q"', "dates"),
        ("key: USER_ID", 'key: USER_ID\ndelimiter: "||"', "delimiter"),
        ("number: 0", "number: account", "JSON members are named"),
        ('parts: ":"', "", "go together"),
        ('items: ";"', 'items: ""', "items"),
        ("default: E_ACCOUNT", f"default: {'E' * 41}", "default"),
    ],
)
def test_a_contract_that_cannot_be_used_says_where_and_why(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ContractError, match=said) as caught:
        load_contract(changed(tmp_path, "ebank", (old, new)))
    assert "ebank.yaml" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"just text", None])
def test_something_that_is_no_contract(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ContractError, match=r"c\.yaml"):
        load_contract(path)
