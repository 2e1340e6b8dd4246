"""Sources that are not on this machine: the servers are real and local."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.integration.remote_sources.local_site import Site


@pytest.fixture
def site() -> Iterator[Site]:
    with closing(Site()) as running:
        yield running
