"""Which documents a job is about, and what a progress bar counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.failures import Failures, read_failures, write_failures
from ingest.options import Shard
from ingest.progress import Total
from ingest.report import Failure
from ingest.selection import Selection
from ingest.sources import open_source
from ingest.sources.interface import Item, Skipped, Unreadable
from rag.settings import Settings
from tests.fake_model import wait_until
from tests.ingest_kit import DictSource


def counted(source: DictSource, selection: Selection) -> int | None:
    total = Total(source, selection)
    assert wait_until(lambda: total.documents is not None, 10)
    return total.documents


def test_the_total_of_a_shard_is_the_shards() -> None:
    source = DictSource({f"{each}.md": b"x" for each in range(100)}, broken=["bad.pdf"])
    shards = [counted(source, Selection(Shard(each, 4))) for each in range(4)]
    assert sum(each or 0 for each in shards) == 101
    assert all(each and each < 50 for each in shards)


def test_the_total_of_a_second_try_is_what_failed() -> None:
    source = DictSource({f"{each}.md": b"x" for each in range(100)})
    assert counted(source, Selection(Shard(), frozenset({"test://docs/7.md", "test://docs/8.md"}))) == 2


def test_folders_and_archives_stand_for_what_is_in_them() -> None:
    chosen = Selection(Shard(), frozenset({"file:///a/", "file:///b.zip#"}))
    assert [chosen.has(each) for each in ("file:///a/x.md", "file:///b.zip#y.md", "file:///c.md")] == [
        True,
        True,
        False,
    ]


def test_what_is_not_read_is_not_counted() -> None:
    found = [Item("a", "a", "a"), Unreadable("b", "b", "no"), Skipped("c.bin", ".bin")]
    assert Selection(Shard()).count(found) == 2


@pytest.mark.parametrize("line", ['{"text": "no id"}', "[1]"])
def test_a_mended_line_without_an_id_is_tried_again(tmp_path: Path, line: str) -> None:
    file = tmp_path / "corpus.jsonl"
    good = [json.dumps({"_id": str(each), "text": "words"}) for each in range(3)]
    file.write_text("\n".join([*good, line]))
    settings = Settings(data_dir=tmp_path)
    source = open_source(str(file), settings)
    failed = [
        Failure(each.uri, each.path, each.code, each.reason) for each in source.items() if isinstance(each, Unreadable)
    ]
    source.close()
    assert len(failed) == 1
    asked = Failures((str(file),), "documents", "default", frozenset())
    write_failures(tmp_path / "failures.jsonl", settings, asked, failed)
    again = Selection(Shard(), read_failures(tmp_path / "failures.jsonl").uris)
    file.write_text("\n".join([*good, json.dumps({"_id": "mended", "text": "words"})]))
    source = open_source(str(file), settings)
    assert any(
        again.has(each.uri) for each in source.items() if isinstance(each, Item) and each.uri.endswith("#mended")
    )
    source.close()


def test_a_line_with_an_id_is_tried_again_alone(tmp_path: Path) -> None:
    failed = [Failure("file:///c.jsonl#a", "c.jsonl line 1", "bad_record", "it has no text.")]
    asked = Failures(("c.jsonl",), "documents", "default", frozenset())
    write_failures(tmp_path / "f.jsonl", Settings(data_dir=tmp_path), asked, failed)
    assert read_failures(tmp_path / "f.jsonl").uris == {"file:///c.jsonl#a"}
