"""Listing what can be asked opens no collection."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.index.edge import Shard
from rag.index.embedded import EmbeddedIndex
from tests.integration.api_feeding import feeding


def test_the_models_are_listed_without_loading_a_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with feeding(tmp_path) as api:
        for name in ("one", "two"):
            api.done(api.send({"a.md": b"x"}, collection=name))

    def refuse(*_: object) -> None:
        raise AssertionError("a shard was opened")

    index = EmbeddedIndex(tmp_path / "index")
    opened = Shard.__init__
    with feeding(tmp_path, index=index) as api:
        index._shards = {}  # as before the service looked at what is there
        monkeypatch.setattr(Shard, "__init__", refuse)
        names = [each["id"] for each in api.http.get("/v1/models").json()["data"]]
        monkeypatch.setattr(Shard, "__init__", opened)
    index.close()
    assert names == ["librarian", "librarian/one", "librarian/two"]
