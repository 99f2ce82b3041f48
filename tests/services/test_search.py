"""Search: by every name that somebody ever had, whichever came first, and never by looking at everybody."""

from __future__ import annotations

from itertools import permutations

import pytest
from people import NOW, citizen, deliver, record
from sqlalchemy import Engine

from ecif.db import run_transaction, transaction
from ecif.services.context import Context, KeyDigests
from ecif.services.customers import find, search_keys
from ecif.services.rebuild import rebuild

ID = citizen(1)
WED = [record("core", "1", name, id=ID, day=day) for day, name in enumerate(("李秀英", "李秀瑛", "王李秀英"))]


def found(engine: Engine, digests: KeyDigests, name: str) -> int:
    """How many are found by a name."""
    with transaction(engine) as session:
        return len(find(session, digests, search_keys(name=name)))


@pytest.mark.parametrize("order", list(permutations(WED)))
@pytest.mark.parametrize("together", [True, False])
def test_former_names_lead_to_their_holder(
    engine: Engine, digests: KeyDigests, order: tuple[object, ...], together: bool
) -> None:
    """In any order, also where an older version comes late, and after a rebuild."""
    for batch in [order] if together else [(one,) for one in order]:
        deliver(engine, digests, *batch)  # type: ignore[arg-type]
    names = ("李秀英", "李秀瑛", "王李秀英", "li xiuying", "Wang Li Xiuying")
    assert [found(engine, digests, name) for name in names] == [1] * 5
    run_transaction(engine, lambda s: rebuild(s, Context(NOW, "test", digests)))
    assert [found(engine, digests, name) for name in names] == [1] * 5
    assert found(engine, digests, "王秀英") == 0
