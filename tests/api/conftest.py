"""The API over HTTP, on a database of its own, which no other test empties."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import Api, serving
from sqlalchemy import Engine

from ecif.services.context import KeyDigests


@pytest.fixture(scope="module")
def api(database: Engine, digests: KeyDigests) -> Iterator[Api]:
    """A service with a few customers."""
    with serving(database, digests) as api:
        yield api
