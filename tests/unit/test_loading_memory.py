"""A loader that runs out of memory says so to whoever set the limit, not that the document is too large."""

from __future__ import annotations

from typing import NoReturn

import pytest

from ingest.loading import reading


def test_memory_that_runs_out_is_not_turned_into_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*_: object) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr(reading, "loader_of", lambda _: hungry)
    with pytest.raises(MemoryError):
        reading.load("a.md", b"x")
