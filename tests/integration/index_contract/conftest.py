"""What every driver of the index promises: an index of each driver, and names to share a server with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.index import Index
from tests.integration.index_contract.drivers import DRIVERS, SYNC_DRIVERS, Names, lent


@pytest.fixture(params=DRIVERS)
def index(request: pytest.FixtureRequest, tmp_path: Path, names: Names) -> Iterator[Index]:
    yield from lent(request.param, tmp_path, names)


@pytest.fixture(params=SYNC_DRIVERS)
def scrolled(request: pytest.FixtureRequest, tmp_path: Path, names: Names) -> Iterator[Index]:
    """The drivers that have `scroll` and `optimize`, which the async interface does not ask for."""
    yield from lent(request.param, tmp_path, names)


@pytest.fixture
def names() -> Names:
    return Names()
