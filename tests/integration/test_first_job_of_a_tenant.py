"""A tenant's first job while a re-index swaps the alias: kept out or carried over, never lost.

qdrant-client's `:memory:` mode stands for the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.lease import Lease, all_out, lease
from ingest.options import Shard
from rag.errors import IndexLocked
from rag.index.server import ServerIndex
from rag.settings import Settings
from tests.ingest_kit import memory_server
from tests.integration.reindexing import HashEncoder, fill, reindex

URL = "http://stands.for.a.server:6333"
BEAT = 0.1


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerIndex]:
    monkeypatch.setattr(Lease.__init__, "__defaults__", (BEAT,))
    opened = memory_server()
    yield opened
    opened.close()


def test_while_all_are_kept_out_a_tenant_that_has_nothing_yet_is_told_to_wait(
    index: ServerIndex, settings: Callable[..., Settings]
) -> None:
    here = settings(qdrant_url=URL)
    newcomer = here.model_copy(update={"tenant": "new"})
    with all_out(index, here, list), pytest.raises(IndexLocked, match="wait"), lease(index, newcomer, Shard()):
        raise AssertionError("it was let in")
    with lease(index, newcomer, Shard()) as held:
        held.check()


def test_a_job_that_has_not_written_yet_is_waited_for(index: ServerIndex, settings: Callable[..., Settings]) -> None:
    here = settings(qdrant_url=URL)
    newcomer = here.model_copy(update={"tenant": "new"})
    with lease(index, newcomer, Shard()), pytest.raises(IndexLocked), all_out(index, here, list):
        raise AssertionError("it was overlooked")


def test_other_collections_go_on(index: ServerIndex, settings: Callable[..., Settings]) -> None:
    here = settings(qdrant_url=URL)
    with all_out(index, here, list), lease(index, here.model_copy(update={"collection": "other"}), Shard()) as held:
        held.check()


def test_a_reindex_does_not_swap_under_a_tenants_first_job(
    index: ServerIndex, settings: Callable[..., Settings], tmp_path: Path
) -> None:
    old = fill(index, HashEncoder())
    newcomer = settings(qdrant_url=URL, tenant="new")
    with lease(index, newcomer, Shard()), pytest.raises(IndexLocked):
        reindex(index, HashEncoder("second"), tmp_path, qdrant_url=URL)
    assert index.describe("documents").name == old
    assert reindex(index, HashEncoder("second"), tmp_path, qdrant_url=URL).new == index.describe("documents").name
