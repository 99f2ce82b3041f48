"""Source files for tests: the shipped contracts, the sample extracts, and files written on the spot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ecif.adapters.sources import Contract, Mapper, SourceFile, load_contract
from ecif.domain.records import PartyRecord, Rejection
from ecif.resources import resource_dir

SYSTEMS = ("core", "loan", "card", "ebank")
CONTRACTS = resource_dir("contracts") / "sources"
SAMPLES = Path(__file__).parent / "adapters" / "samples"
EBANK_HEADER = (
    "USER_ID,CUST_KIND,REAL_NAME,NAME_PY,CERT_TYPE,CERT_NO,GENDER,BIRTH,LOGIN_MOBILE,LOGIN_EMAIL,CONTACT_ADDR,"
    "CORP_USCC,LEGAL_NAME,REG_TIME,UPD_TIME,STATUS,ACCTS"
)


def shipped(system: str) -> Contract:
    """The contract of a system as it is shipped."""
    return load_contract(CONTRACTS / f"{system}.yaml")


def taken(contract: Contract, path: Path) -> tuple[list[PartyRecord], list[Rejection]]:
    """What a file says, and what of it says nothing."""
    source = SourceFile(path, delimiter=contract.delimiter, required=contract.columns)
    mapper = Mapper(contract, source.columns)
    try:
        rows = [row if isinstance(row, Rejection) else mapper.map(row) for row in source.rows()]
    finally:
        source.close()
    return [r for r in rows if isinstance(r, PartyRecord)], [r for r in rows if isinstance(r, Rejection)]


def sample(system: str) -> Mapping[str, PartyRecord]:
    """The records of a sample extract by key."""
    return {record.key: record for record in taken(shipped(system), SAMPLES / f"{system}.csv")[0]}


def ebank_row(key: str, name: str = "张三丰", **cells: str) -> str:
    """A good row of the e-banking layout, no cell of which needs quotes."""
    given = {"USER_ID": key, "CUST_KIND": "P", "REAL_NAME": name, "UPD_TIME": "2026-01-01 10:00:00", "STATUS": "N"}
    return ",".join((given | cells).get(column, "") for column in EBANK_HEADER.split(","))


def ebank_file(folder: Path, rows: Iterable[str], name: str = "ebank.csv") -> Path:
    """A file of the e-banking layout."""
    path = folder / name
    path.write_bytes("\n".join((EBANK_HEADER, *rows, "")).encode())
    return path
