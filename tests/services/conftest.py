"""Whatever a test of a service does, the events that it leaves keep their contract."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from event_contract import check_event
from sqlalchemy import text


@pytest.fixture(autouse=True)
def events_keep_their_contract(request: pytest.FixtureRequest) -> Iterator[None]:
    """Looks at the outbox afterwards."""
    engine = request.getfixturevalue("engine") if "engine" in request.fixturenames else None
    yield
    if engine:
        with engine.connect() as connection:
            for (document,) in connection.execute(text("SELECT document FROM outbox_event")):
                check_event(json.loads(document))
