"""Which type a change is told as, and which paths it names."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import permutations

import orjson
import pytest
from event_contract import schemas
from hypothesis import given
from hypothesis import strategies as st
from people import citizen, record

from ecif.domain.document_life import STARTS, DocumentStage, dated, stage
from ecif.domain.events import EventType, change_data, changed_paths, event_type
from ecif.domain.golden import golden_record, merged_record
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import Identifier, PartyRecord, Phone, PhoneKind, RecordStatus
from ecif.services.documents_life import TOLD_AS

NO, NOW = "100000000016", datetime(2026, 7, 1, tzinfo=UTC)
BASE = record("core", "1", "张三丰", id=citizen(1), phone="13912345670", nationality="156")


def golden(*records: PartyRecord) -> dict[str, object]:
    return orjson.loads(golden_record(NO, records))


def changed(*after: PartyRecord) -> list[str]:
    return changed_paths(golden(BASE), golden(*after))


@pytest.mark.parametrize(
    ("new", "regrouped", "paths", "old", "now", "told"),
    [
        (True, None, ["fields.name"], "ACTIVE", "ACTIVE", EventType.CREATED),
        (True, None, ["status"], "ACTIVE", "CLOSED", EventType.CREATED),
        (False, EventType.UNMERGED, ["fields.name"], "MERGED", "ACTIVE", EventType.UNMERGED),
        (True, EventType.SPLIT, ["fields.name"], "ACTIVE", "ACTIVE", EventType.SPLIT),
        (False, None, ["status", "identifiers"], "ACTIVE", "CLOSED", EventType.CLOSED),
        (False, None, ["status", "identifiers"], "CLOSED", "ACTIVE", EventType.KEY_IDENTITY_CHANGED),
        (False, None, ["status", "identifiers"], "CLOSED", "RESTRICTED", EventType.RESTRICTED),
        (False, None, ["status"], "RESTRICTED", "DECEASED", EventType.STATUS_CHANGED),
        (False, None, ["fields.birth_date"], "ACTIVE", "ACTIVE", EventType.KEY_IDENTITY_CHANGED),
        (False, None, ["fields.nationality"], "CLOSED", "CLOSED", EventType.KEY_IDENTITY_CHANGED),
        (False, None, ["status"], "CLOSED", "ACTIVE", EventType.STATUS_CHANGED),
        (False, None, ["phones", "identifiers.valid_to"], "ACTIVE", "ACTIVE", EventType.UPDATED),
        (False, None, [], "CLOSED", "CLOSED", EventType.UPDATED),
    ],
)
def test_the_first_type_that_fits(
    new: bool, regrouped: EventType | None, paths: list[str], old: str, now: str, told: EventType
) -> None:
    assert event_type(new=new, regrouped=regrouped, changed=paths, old_status=old, new_status=now) is told


def test_paths_of_values_and_not_of_who_says_them() -> None:
    same = record("card", "2", "张三丰", id=citizen(1), phone="13912345670", nationality="156", day=3)
    assert changed(BASE, same) == ["source_records"]
    assert changed(BASE) == []
    more = record("core", "1", "张三丰", id=citizen(1), phone="13912345671", nationality="344", employer="市一医院")
    assert changed(more) == ["fields.employer", "fields.nationality", "phones"]


def test_a_renewed_document_is_no_change_of_identity() -> None:
    def with_document(*given: Identifier) -> PartyRecord:
        return record("core", "1", "张三丰", phone="13912345670", nationality="156", identifiers=given)

    old = golden(with_document(Identifier(IdentifierKind.CITIZEN_ID, citizen(1), date(2026, 1, 1))))
    renewed = with_document(Identifier(IdentifierKind.CITIZEN_ID, citizen(1), date(2046, 1, 1)))
    assert changed_paths(old, golden(renewed)) == ["identifiers.valid_to"]
    register = with_document(Identifier(IdentifierKind.HOUSEHOLD_REGISTER, citizen(1), date(2026, 1, 1)))
    assert changed_paths(old, golden(register)) == ["identifiers.kind"]
    other = with_document(Identifier(IdentifierKind.CITIZEN_ID, citizen(3), date(2026, 1, 1)))
    assert "identifiers" in changed_paths(old, golden(other))


def test_a_changed_mobile_number_has_to_cool_down() -> None:
    phones = lambda *given: record("core", "1", "张三丰", phones=tuple(given))  # noqa: E731
    mobile, other = Phone(PhoneKind.MOBILE, "13912345670"), Phone(PhoneKind.MOBILE, "13912345671")
    home = Phone(PhoneKind.HOME, "075512345678")
    known = golden(phones(mobile))
    assert "cool_down_until" not in change_data(1, None, known, NOW)
    assert "cool_down_until" not in change_data(2, known, golden(phones(mobile, home)), NOW)
    assert change_data(2, known, golden(phones(other)), NOW)["cool_down_until"] == "2026-07-02T00:00:00+00:00"
    assert "cool_down_until" in change_data(2, known, golden(phones(mobile, other)), NOW)
    merged = orjson.loads(merged_record(NO, "PERSON", "100000000024"))
    assert "cool_down_until" not in change_data(3, merged, known, NOW)


def test_every_type_has_a_schema_and_every_schema_a_type() -> None:
    assert schemas().keys() == {kind.value for kind in EventType} | {"envelope"}
    for name, schema in schemas().items():
        assert schema["$id"] == f"urn:ecif:event:{name}" and any("一" <= c <= "鿿" for c in schema["title"])
    for name, kind in TOLD_AS.items():
        assert schemas()[kind]["properties"]["data"]["properties"]["stage"]["const"] == name.name


LAST = date(2026, 3, 31)


@pytest.mark.parametrize(
    ("on", "wanted"),
    [
        (date(2026, 2, 28), DocumentStage.VALID),
        (date(2026, 3, 1), DocumentStage.EXPIRING),
        (date(2026, 3, 31), DocumentStage.EXPIRING),
        (date(2026, 4, 1), DocumentStage.EXPIRED),
        (date(2026, 6, 29), DocumentStage.EXPIRED),
        (date(2026, 6, 30), DocumentStage.RESTRICT_NONCOUNTER),
        (date(9999, 12, 31), DocumentStage.RESTRICT_NONCOUNTER),
        (date(1, 1, 1), DocumentStage.VALID),
    ],
)
def test_stages_of_a_document(on: date, wanted: DocumentStage) -> None:
    assert stage(LAST, on) is wanted


@given(valid_to=st.dates(), on=st.dates(), later=st.dates())
def test_a_document_never_gets_younger(valid_to: date, on: date, later: date) -> None:
    assert stage(valid_to, min(on, later)) <= stage(valid_to, max(on, later))
    assert list(STARTS) == sorted(STARTS) and list(STARTS.values()) == sorted(STARTS.values())


def test_dated_documents_of_a_golden_record() -> None:
    kinds = IdentifierKind
    given = [
        Identifier(kinds.PASSPORT, "E12345678", date(2026, 1, 1)),
        Identifier(kinds.PASSPORT, "E87654321", date(2036, 1, 1)),
        Identifier(kinds.CITIZEN_ID, citizen(1)),
        Identifier(kinds.HM_PERMIT, "H12345678", date(2027, 1, 1)),
        Identifier(kinds.HKID, "H********", date(2020, 1, 1)),
        Identifier(kinds.MILITARY_ID, "军2001988", date(2021, 1, 1), replaced=True),
    ]
    wanted = {"PASSPORT": date(2036, 1, 1), "HM_PERMIT": date(2027, 1, 1)}
    for order in permutations(given[:4]):
        assert dated(golden(record("core", "1", identifiers=(*order, *given[4:])))) == wanted
    assert dated(golden(record("core", "1", identifiers=tuple(given), status=RecordStatus.CLOSED))) == {}
    assert dated(orjson.loads(merged_record(NO, "PERSON", "100000000024"))) == {}
