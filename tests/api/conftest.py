"""The API over HTTP, on a database of its own, which no other test empties."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import Api, serving

from ecif.db import open_database
from ecif.services.context import KeyDigests
from ecif.settings import Settings


@pytest.fixture(scope="module")
def api(homes: Callable[[], Path], digests: KeyDigests) -> Iterator[Api]:
    """A service with a few customers."""
    with open_database(Settings(homes())) as engine, serving(engine, digests) as api:
        yield api
