"""Every code has a Chinese name."""

from __future__ import annotations

import re

import pytest

from ecif.api.problems import MESSAGES
from ecif.api.routers.codes import TABLES
from ecif.domain import survivorship
from ecif.domain.codes import NAMES_ZH
from ecif.domain.document_life import DocumentStage
from ecif.domain.events import EventType
from ecif.domain.identifier_kinds import IdentifierKind


@pytest.mark.parametrize("enum", NAMES_ZH, ids=lambda enum: enum.__name__)
def test_every_member_of_an_enum_has_a_name_and_no_other(enum: type) -> None:
    assert NAMES_ZH[enum].keys() == enum.__members__.keys()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_names_each_code_once_in_chinese(name: str) -> None:
    assert re.fullmatch("[a-z_]+", name)
    rows = TABLES[name]
    assert rows and len({row["code"] for row in rows}) == len(rows)
    for row in rows:
        assert re.search("[一-鿿]", row["name_zh"]), row
        assert row.keys() == rows[0].keys()


def test_codes_are_the_words_of_the_enums() -> None:
    codes = {name: [row["code"] for row in rows] for name, rows in TABLES.items()}
    assert codes["identifier_kinds"] == [kind.value for kind in IdentifierKind]
    assert codes["event_types"] == [kind.value for kind in EventType]
    assert codes["document_stages"] == [stage.name for stage in DocumentStage]
    assert TABLES["identifier_kinds"][0] == {
        "code": "CITIZEN_ID", "name_zh": "居民身份证", "number_space": "CITIZEN", "party_type": "PERSON",
    }  # fmt: skip


def test_reasons_are_those_that_are_given() -> None:
    assert {row["code"] for row in TABLES["lost_reasons"]} == {*survivorship._REASONS.values(), "LOWER_QUALITY"}
    assert {row["code"] for row in TABLES["not_applied_reasons"]} == {*survivorship.Rule, "SAID_BY_OTHERS"}
    assert {row["code"] for row in TABLES["problems"]} == MESSAGES.keys()
