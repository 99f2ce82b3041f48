"""What the sample extracts say in the bank's own language: one whole record of each system, then quirk by quirk."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from people import citizen
from sources import EBANK_HEADER, SAMPLES, SYSTEMS, ebank_file, ebank_row, sample, shipped, taken

from ecif.adapters.sources import Mapper
from ecif.adapters.sources.reader import Row
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import (
    Account,
    AccountStatus,
    Address,
    AddressKind,
    Finding,
    Gender,
    Identifier,
    PartyRecord,
    PartyType,
    Phone,
    PhoneKind,
    RecordStatus,
    RelatedParty,
    RelationType,
)

USCC = "91440399MA5TE00099"
NEW_YEAR = datetime(2025, 12, 31, 16, tzinfo=UTC)  # midnight of 2026-01-01 in China
HEAD = RelatedParty(
    RelationType.LEGAL_REPRESENTATIVE, "乔华语", Identifier(IdentifierKind.CITIZEN_ID, citizen(5), None)
)


def zhang(system: str, key: str, **more: object) -> PartyRecord:
    """What all four systems say of one man."""
    common = dict(
        party_type=PartyType.PERSON, business_time=NEW_YEAR, name="张三丰", birth_date=date(1990, 1, 1),
        identifiers=(Identifier(IdentifierKind.CITIZEN_ID, citizen(1)),), gender=Gender.MALE, legal_entity="001",
        emails=("zsf@example.com",),
    )  # fmt: skip
    return PartyRecord(system, key, **(common | more))  # type: ignore[arg-type]


def test_core_record() -> None:
    assert sample("core")["10000000001"] == zhang(
        "core",
        "10000000001",
        latin_name="ZHANG SANFENG",
        identifiers=(Identifier(IdentifierKind.CITIZEN_ID, citizen(1), date(2039, 1, 21)),),
        nationality="CHN",
        phones=(Phone(PhoneKind.MOBILE, "13912345670"), Phone(PhoneKind.HOME, "0755-26535089")),
        addresses=(
            Address(AddressKind.CONTACT, "深圳市南山区人民路9号丰泽新村26栋3单元1801室"),
            Address(AddressKind.REGISTERED, "梅州市梅江区中山路1号"),
        ),
        postcode="518000",
        employer="深圳市信润运输有限公司",
        occupation="工程师",
        branch="440061",
        opened_on=date(2010, 1, 5),
        accounts=(
            Account("6217000000000000001", "SAVINGS", AccountStatus.NORMAL, date(2021, 3, 7)),
            Account("6217000000000000002", "CURRENT", AccountStatus.CLOSED, date(2026, 1, 1)),
            Account("6217000000000000003", "TIME_DEPOSIT", AccountStatus.NORMAL, None),
        ),
    )


def test_loan_record() -> None:
    assert sample("loan")["CI000000000001"] == zhang(
        "loan",
        "CI000000000001",
        nationality="CHN",
        phones=(
            Phone(PhoneKind.MOBILE, "139 1234 5670"),
            Phone(PhoneKind.HOME, "0755-1"),
            Phone(PhoneKind.WORK, "0755-2"),
        ),
        addresses=(
            Address(AddressKind.HOME, "深圳市南山区人民路9号"),
            Address(AddressKind.REGISTERED, "梅州市梅江区中山路1号"),
        ),
        employer="深圳市信润运输有限公司",
        occupation="工程师",
        education="20",
        marital_status="MARRIED",
        related=(RelatedParty(RelationType.SPOUSE, "康淑爱", Identifier(IdentifierKind.CITIZEN_ID, citizen(8))),),
        accounts=(
            Account("DK20150526777292", "经营贷", AccountStatus.NORMAL, date(2015, 5, 26)),
            Account("DK20150526777293", "房贷", AccountStatus.DORMANT, date(2015, 5, 27)),
        ),
        opened_on=date(2015, 5, 23),
    )


def test_card_record() -> None:
    assert sample("card")["0000000001C"] == zhang(
        "card",
        "0000000001C",
        latin_name="SANFENG ZHANG",
        nationality="CHN",
        phones=(
            Phone(PhoneKind.MOBILE, "13912345670"),
            Phone(PhoneKind.HOME, "0755-1"),
            Phone(PhoneKind.WORK, "0755-2"),
        ),
        addresses=(
            Address(AddressKind.HOME, "深圳市南山区人民路9号"),
            Address(AddressKind.WORK, "深圳市南山区南京路300号"),
        ),
        employer="深圳市信润运输有限公司",
        occupation="工程师",
        accounts=(
            Account("6225800000000001", "金卡", AccountStatus.NORMAL, date(2017, 3, 3)),
            Account("622580******0002", "联名卡", AccountStatus.CLOSED, date(2020, 10, 3)),
        ),
        opened_on=date(2015, 9, 16),
    )


def test_ebank_record() -> None:
    assert sample("ebank")["U0000000001"] == zhang(
        "ebank",
        "U0000000001",
        business_time=datetime(2026, 1, 1, 2, 37, tzinfo=UTC),
        latin_name="ZHANG SANFENG",
        phones=(Phone(PhoneKind.MOBILE, "13912345670"),),
        addresses=(Address(AddressKind.CONTACT, "深圳市南山区人民路9号"),),
        accounts=(
            Account("EB000000000001", "E_ACCOUNT", AccountStatus.NORMAL),
            Account("EB000000000002", "E_ACCOUNT", AccountStatus.CLOSED),
        ),
        opened_on=date(2008, 4, 1),
    )


def test_companies_of_each_system() -> None:
    core, loan = sample("core")["10000000006"], sample("loan")["CI000000000002"]
    card, ebank = sample("card")["0000000004C"], sample("ebank")["U0000000004"]
    for record in (core, loan, card, ebank):
        assert record.party_type is PartyType.ORGANIZATION
        assert record.name.replace(" ", "") == "深圳市治达水产有限公司"
        assert record.identifiers[0].kind is IdentifierKind.USCC
        assert record.identifiers[0].number.upper() == USCC
    assert core.related == loan.related == (HEAD,)
    assert [(i.kind, i.number) for i in core.identifiers[1:]] == [
        (IdentifierKind.ORG_CODE, "MA5TE000-9"),
        (IdentifierKind.TAX_NO, USCC),
    ]
    assert core.birth_date == date(2009, 12, 1)
    assert ebank.related == (RelatedParty(RelationType.LEGAL_REPRESENTATIVE, "乔华语"),)
    assert sample("loan")["CI000000000003"].party_type is PartyType.ORGANIZATION  # 个体工商户


def test_a_related_person_of_whom_only_the_number_or_only_the_name_is_known() -> None:
    nameless = RelatedParty(HEAD.relation, "", HEAD.identifier)
    assert sample("core")["10000000007"].related == (nameless,)
    assert sample("loan")["CI000000000003"].related == (nameless,)
    assert sample("loan")["CI000000000004"].related == (RelatedParty(RelationType.SPOUSE, "陈建平"),)


def test_what_nobody_sees_is_gone_and_full_width_codes_dates_and_accounts_are_read() -> None:
    record = sample("core")["10000000002"]
    assert record.name == "李四光"
    assert record.identifiers[0].kind is IdentifierKind.CITIZEN_ID
    assert (record.gender, record.birth_date, record.nationality) == (Gender.MALE, date(1990, 1, 1), "CHN")
    assert record.business_time == datetime(2026, 1, 1, 16, tzinfo=UTC)
    assert record.accounts == (
        Account("6217000000000000004", "SAVINGS", AccountStatus.NORMAL, date(2021, 3, 7)),
        Account("6217000000000000005", "CURRENT", AccountStatus.NORMAL, date(2021, 3, 8)),
    )
    assert record.findings == ()
    ebank = sample("ebank")["U0000000003"]
    assert [(a.number, a.status) for a in ebank.accounts] == [
        ("EB000000000003", AccountStatus.NORMAL),
        ("EB000000000004", AccountStatus.CLOSED),
    ]


def test_numbers_stay_as_the_source_wrote_them() -> None:
    """Masks and widths are judged later; here nothing is put right but what is invisible."""
    assert sample("core")["10000000008"].identifiers[0].number == citizen(6)[:-1] + "*"
    assert sample("ebank")["U0000000002"].identifiers[0].number == citizen(2)[:6] + "********" + citizen(2)[-4:]
    assert sample("ebank")["U0000000002"].name == "* 四光"
    assert sample("ebank")["U0000000003"].identifiers[0].number == "４４０３９９１９９００１０１００４２"
    assert sample("card")["0000000002C"].identifiers[0].number == citizen(2)


def test_line_breaks_inside_cells() -> None:
    record = sample("core")["10000000003"]
    assert record.identifiers == (Identifier(IdentifierKind.CITIZEN_ID, citizen(4)),)
    assert record.business_time == datetime(2026, 1, 2, 16, tzinfo=UTC)
    assert sample("ebank")["U0000000009"].addresses == (Address(AddressKind.CONTACT, "深圳市 南山区"),)


def test_closed_relationships() -> None:
    closed = {r.key for s in SYSTEMS for r in sample(s).values() if r.status != "ACTIVE"}
    assert closed == {"10000000008", "CI000000000005", "0000000003C", "U0000000005"}
    assert sample("core")["10000000008"].status is RecordStatus.CLOSED


def test_codes_that_mean_nothing_and_codes_that_nobody_knows() -> None:
    assert sample("card")["0000000003C"].gender is None
    assert sample("card")["0000000003C"].nationality == ""
    assert sample("card")["0000000003C"].findings == ()
    record = sample("card")["0000000006C"]
    assert record.identifiers == (Identifier(None, "123456"),)
    assert {f.field for f in record.findings} == {"ID_TYPE", "GENDER", "NATIONALITY", "STATUS"}
    assert {f.code for f in record.findings} == {"UNKNOWN_CODE"}
    assert sample("loan")["CI000000000005"].nationality == "GBR"  # an open code table
    assert sample("loan")["CI000000000004"].nationality == ""  # OTH


def test_values_that_are_too_long_are_findings() -> None:
    record = sample("core")["10000000010"]
    assert (record.name, record.occupation, record.branch) == ("", "", "")
    assert {(f.code, f.field) for f in record.findings} == {("TOO_LONG", c) for c in ("CUSTNM", "OCCUP", "OPNBR")}


def test_rows_that_name_nobody_are_rejected_with_line_reason_and_text() -> None:
    found = {
        system: [(r.line, r.code, r.field, r.raw[:11]) for r in taken(shipped(system), SAMPLES / f"{system}.csv")[1]]
        for system in ("core", "card", "ebank")
    }
    assert found["core"] == [
        (15, "MISSING_KEY", "CIFNO", "\u200b ,1,无主键,,,"),
        (16, "UNKNOWN_CODE", "CUSTTYPE", "10000000012"),
        (17, "RAGGED_ROW", "", "10000000013"),
    ]
    assert [row[1:3] for row in found["card"]] == [
        ("MISSING_KEY", "CUST_NO"),
        ("UNKNOWN_CODE", "CUST_CLASS"),
        ("TOO_LONG", "CUST_NO"),
    ]
    assert [row[1] for row in found["ebank"]] == ["MISSING_KEY", "UNKNOWN_CODE"]


def test_every_row_of_a_sample_is_a_record_or_a_rejection() -> None:
    counts = {s: tuple(map(len, taken(shipped(s), SAMPLES / f"{s}.csv"))) for s in SYSTEMS}
    assert counts == {"core": (10, 3), "loan": (11, 1), "card": (8, 3), "ebank": (10, 2)}


def only(system: str, **given: str) -> PartyRecord:
    """The record of a row with nothing but these cells and what a row needs."""
    contract = shipped(system)
    cells = {contract.key: "1", contract.party_type.column: next(iter(contract.party_type.codes))}
    cells |= {contract.business_time[0]: "20260101"} | given
    columns = {column: n for n, column in enumerate(sorted(contract.columns))}
    record = Mapper(contract, columns).map(Row(2, [cells.get(c, "") for c in columns], ""))
    assert isinstance(record, PartyRecord)
    return record


DAY_1990 = date(1990, 1, 1)


@pytest.mark.parametrize(
    ("system", "text", "day"),
    [
        ("core", "19900101", DAY_1990),
        ("core", "1990-01-01", DAY_1990),
        ("core", "1990/01/01", DAY_1990),
        ("core", "1990/1/1", DAY_1990),
        ("core", "１９９０－１－１", DAY_1990),
        ("core", "1 9900\u200b101\x1a", DAY_1990),
        ("ebank", "1990-01-01 00:00:00", DAY_1990),
        ("ebank", "1990-01-01 23:59:59", DAY_1990),
        ("core", "99991231", date(9999, 12, 31)),
        ("core", "00010101", date(1, 1, 1)),
        ("core", "19000101", date(1900, 1, 1)),
        *[
            ("ebank", bad, None)
            for bad in ("00000000", "0000-00-00", "19900230", "1990-13-01", "32874", "1990", "无", "1990-1-110:00:00",
                        "1990111", "1990-01-01 24:00:00", "1990-01-01T00:00:00+08:00", "9" * 5000)
        ],
    ],
)  # fmt: skip
def test_dates(system: str, text: str, day: date | None) -> None:
    column = shipped(system).birth_date or ""
    record = only(system, **{column: text})
    assert record.birth_date == day
    assert record.findings == (() if day else (Finding("BAD_DATE", column),))


@pytest.mark.parametrize(
    ("updated", "opened", "moment"),
    [
        ("2026-01-01 07:59:59", "", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-02-30 00:00:00", "2008/4/1", datetime(2008, 3, 31, 16, tzinfo=UTC)),
        ("9999-12-31 00:00:00", "2008-04-01", datetime(2008, 3, 31, 16, tzinfo=UTC)),
        ("0001-01-01 00:00:00", "2008-04-01", datetime(2008, 3, 31, 16, tzinfo=UTC)),
        ("1900-01-01", "", datetime(1970, 1, 1, tzinfo=UTC)),
        ("", "", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_business_time_is_the_first_that_can_be_one(
    tmp_path: Path, updated: str, opened: str, moment: datetime
) -> None:
    """A high value would make its record the newest for ever, a low value breaks time zones."""
    path = ebank_file(tmp_path, [ebank_row("U1", UPD_TIME=updated, REG_TIME=opened)])
    (record,), _ = taken(shipped("ebank"), path)
    assert record.business_time == moment
    assert bool(record.findings) is not (updated.startswith("2026-01"))


def accounts(system: str, cell: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    """The accounts of a cell, and what was found wrong with it."""
    columns = shipped(system).accounts
    record = only(system, **{columns.column if columns else "": cell})
    return [(a.number, a.kind, a.status.value) for a in record.accounts], [f.code for f in record.findings]


@pytest.mark.parametrize(
    ("cell", "found", "findings"),
    [
        ("", [], []),
        ("[]", [], []),
        (" \u200b", [], []),
        ('[{"card":1234567890123456789,"status":"正常"}]', [("1234567890123456789", "CARD", "NORMAL")], []),
        ('[{"card":' + "9" * 30 + ',"status":"正常"}]', [("9" * 30, "CARD", "NORMAL")], []),
        ('{"card":"1","product":"金卡","status":"冻结"}', [("1", "金卡", "FROZEN")], []),
        ('{"card":"1","product":"借记卡","status":"正常"}', [("1", "DEBIT_CARD", "NORMAL")], []),
        ('\ufeff[{"card":"1\\u0000","status":"正\x07常"}]\n', [("1", "CARD", "NORMAL")], []),
        ('[{"card":"1","status":"没有"}]', [("1", "CARD", "NORMAL")], ["UNKNOWN_CODE"]),
        ('[{"card":"1","status":"正常","open":"20170230"}]', [("1", "CARD", "NORMAL")], ["BAD_DATE"]),
        ('[{"card":"1","status":"正常"},"2"]', [("1", "CARD", "NORMAL")], ["BAD_ACCOUNT"]),
        ('["6217"]', [], ["BAD_ACCOUNT"]),
        ("[null, true, 1, [[]]]", [], ["BAD_ACCOUNT"] * 4),
        ('[{"card":{"a":1}}]', [], ["BAD_ACCOUNT"]),
        ('[{"card":6.2e18}]', [], ["BAD_ACCOUNT"]),
        ('[{"card":NaN}]', [], ["BAD_ACCOUNT"]),
        ('[{"card":"\\ud800"}]', [], ["BAD_ACCOUNT"]),
        ('[{"card":"' + "9" * 65 + '"}]', [], ["BAD_ACCOUNT"]),
        ("[{", [], ["BAD_ACCOUNTS"]),
        ("6217", [], ["BAD_ACCOUNTS"]),
        ("null", [], ["BAD_ACCOUNTS"]),
        ("[" * 60_000, [], ["BAD_ACCOUNTS"]),
    ],
)
def test_accounts_as_json(cell: str, found: list[tuple[str, str, str]], findings: list[str]) -> None:
    assert accounts("card", cell) == (found, findings)


@pytest.mark.parametrize(
    ("cell", "found", "findings"),
    [
        ("", [], []),
        ("1|SAV|0|20210307;", [("1", "SAVINGS", "NORMAL")], []),
        ("１｜ＣＵＲ｜１｜；", [("1", "CURRENT", "CLOSED")], []),
        ("1|XYZ|0|", [("1", "OTHER", "NORMAL")], ["UNKNOWN_CODE"]),
        ("1", [("1", "OTHER", "NORMAL")], ["UNKNOWN_CODE"]),
        ("|SAV|0|;2|SAV|0|", [("2", "SAVINGS", "NORMAL")], ["BAD_ACCOUNT"]),
        ("1|SAV|0|00000000", [("1", "SAVINGS", "NORMAL")], ["BAD_DATE"]),
    ],
)
def test_accounts_as_separated_values(cell: str, found: list[tuple[str, str, str]], findings: list[str]) -> None:
    assert accounts("core", cell) == (found, findings)


@pytest.mark.parametrize(
    ("cell", "found", "findings"),
    [
        ("1|SAV|0|20210307|1;2|SAV|0|20210307|2;3|CUR|0||3", ["I", "II", "III"], []),
        ("1|SAV|0|20210307;2|SAV|0|20210307|", [None, None], []),
        ("1|SAV|0|20210307|9", [None], ["UNKNOWN_CODE"]),
    ],
)
def test_classes_of_accounts(cell: str, found: list[str | None], findings: list[str]) -> None:
    columns = shipped("core").accounts
    said = only("core", **{columns.column if columns else "": cell})
    assert ([a.account_class for a in said.accounts], [f.code for f in said.findings]) == (found, findings)


def test_accounts_beyond_the_limit_are_told() -> None:
    found, findings = accounts("core", ";".join(f"{n}|SAV|0|" for n in range(201)))
    assert (len(found), findings) == (200, ["TOO_MANY_ACCOUNTS"])


def test_the_header_of_the_samples_is_what_the_contract_names() -> None:
    for system in SYSTEMS:
        header = (SAMPLES / f"{system}.csv").read_text("utf-8").splitlines()[0]
        assert set(header.split(",")) == shipped(system).columns
    assert set(EBANK_HEADER.split(",")) == shipped("ebank").columns
