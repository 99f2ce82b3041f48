"""Lists as they are sent to the server arrive as they were."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from ecif.db import reading
from ecif.services.rows import query

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
KINDS = {
    "text": TEXTS,
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "uuid": st.uuids(),
    "bytea": st.binary(max_size=20),
    "timestamptz": st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    "date": st.dates(date(1, 1, 1), date(9999, 12, 31)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_arrives_as_it_was(engine: Engine, kind: str) -> None:
    with reading(engine) as connection:

        @settings(max_examples=60, deadline=None)
        @given(st.lists(st.none() | KINDS[kind], max_size=5))
        def same(values: list[Any]) -> None:
            ((found,),) = query(connection, f"SELECT %(values)b::{kind}[]", values=values)
            assert found == values

        same()


class Word(StrEnum):
    A = "甲"


def test_words_of_code_tables_are_texts_and_small_numbers_fit_small_columns(engine: Engine) -> None:
    with reading(engine) as connection:
        ((words, numbers),) = query(
            connection, "SELECT %(words)b::text[], %(numbers)b::smallint[]", words=[Word.A, "b"], numbers=[1, None, 3]
        )
    assert (words, numbers) == (["甲", "b"], [1, None, 3])
