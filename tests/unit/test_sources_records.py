"""Corpora in `.jsonl` files and in the BEIR layout."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources import Item, Skipped, Source, Unreadable, open_source
from ingest.sources.records import MAX_NAMED
from rag.errors import SourceError
from rag.settings import Settings

LIMIT = 1_000_000


def corpus(folder: Path, *lines: Any, name: str = "corpus.jsonl") -> Path:
    """A file of these lines: bytes as they are, anything else as JSON."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in lines)
    )
    return path


def record(number: object = 1, **fields: Any) -> dict[str, Any]:
    return {"_id": number, "title": "A title", "text": f"Text {number}.", **fields}


def opened(path: Path, **values: Any) -> Source:
    return open_source(path, Settings(**values))


def items(source: Source) -> list[Item]:
    return [each for each in source.items() if isinstance(each, Item)]


def bad(source: Source) -> list[Unreadable]:
    return [each for each in source.items() if isinstance(each, Unreadable)]


def test_each_record_is_a_document_with_its_title_and_metadata(tmp_path: Path) -> None:
    path = corpus(
        tmp_path, record("a b", url="https://x", metadata={"year": 2024, "none": None, "deep": {}}), record(2)
    )
    source = opened(path)
    first, second = items(source)
    assert first.uri == f"{path.as_uri()}#a%20b"
    assert (first.path, first.title, first.name) == ("corpus.jsonl#a b", "A title", "record.txt")
    assert first.metadata == {"year": "2024", "url": "https://x"}
    assert source.read(first, LIMIT) == b"Text a b."
    assert source.read(second, LIMIT) == b"Text 2."
    assert source.owns(first.uri)


@pytest.mark.parametrize("fields", [{"id": "x", "contents": "T"}, {"id": 7, "content": "T"}, {"_id": "x", "text": "T"}])
def test_the_usual_names_of_fields_are_known(tmp_path: Path, fields: dict[str, Any]) -> None:
    source = opened(corpus(tmp_path, fields))
    assert [source.read(each, LIMIT) for each in items(source)] == [b"T"]


def test_a_stamp_is_that_of_the_record_not_of_the_file(tmp_path: Path) -> None:
    before = {each.uri: each.stamp for each in items(opened(corpus(tmp_path, record(1), record(2))))}
    after = {
        each.uri: each.stamp for each in items(opened(corpus(tmp_path, record(0), record(1), record(2, text="?"))))
    }
    same = {uri for uri in before if before[uri] == after[uri]}
    assert {unquote(uri.rpartition("#")[2]) for uri in same} == {"1"}


def test_bad_lines_are_named_and_the_others_read(tmp_path: Path) -> None:
    path = corpus(
        tmp_path,
        record(1),
        b"{broken",
        b"\xff\xfe",
        b"[1]",
        b"",
        {"text": "no id"},
        {"_id": "no text"},
        {"_id": True, "text": "no id"},
        record(1, text="again"),
        b"[" * 100_000,
        b'{"_id": 1' + b"0" * 5000 + b', "text": ""}',
        record(2),
    )
    source = opened(path)
    assert [each.path for each in items(source)] == ["corpus.jsonl#1", "corpus.jsonl#2"]
    found = bad(source)
    assert [each.path.rpartition(" ")[2] for each in found] == ["2", "3", "4", "6", "7", "8", "9", "10", "11"]
    everything, named = f"{path.as_uri()}#", f"{path.as_uri()}#no%20text"
    assert [each.uri for each in found if each.uri in {everything, named}] == [
        *[everything] * 2,
        named,
        *[everything] * 2,
    ]
    assert {each.code for each in found} == {"bad_record"}


def test_a_file_of_mostly_bad_lines_is_reported_in_few_words(tmp_path: Path) -> None:
    source = opened(corpus(tmp_path, record(1), *[b"{"] * 1000))
    found = bad(source)
    assert len(found) == MAX_NAMED + 1
    assert f"{1000 - MAX_NAMED} further lines" in found[-1].reason


def test_a_repeated_id_does_not_keep_what_is_gone(tmp_path: Path) -> None:
    path = corpus(tmp_path, record(1), *[record(1)] * 100)
    assert not any(each.uri == f"{path.as_uri()}#" for each in bad(opened(path)))


def test_a_line_longer_than_a_document_may_be_is_passed_over(tmp_path: Path) -> None:
    source = opened(corpus(tmp_path, record(1), record(2, text="x" * 200_000), record(3)), max_document_bytes=1000)
    assert [each.path for each in items(source)] == ["corpus.jsonl#1", "corpus.jsonl#3"]
    assert "LIBRARIAN_MAX_DOCUMENT_BYTES" in bad(source)[0].reason


def test_a_text_over_the_limit_is_refused(tmp_path: Path) -> None:
    source = opened(corpus(tmp_path, record(1, text="x" * 2000)))
    with pytest.raises(SourceError, match="LIBRARIAN_MAX_DOCUMENT_BYTES"):
        source.read(items(source)[0], 1000)


def test_a_file_that_changes_between_listing_and_reading_is_told(tmp_path: Path) -> None:
    path = corpus(tmp_path, record(1), record(2))
    source = opened(path)
    last = items(source)[-1]
    corpus(tmp_path, record(0), record(1), record(2))
    with pytest.raises(SourceError, match="changed while it was read"):
        source.read(last, LIMIT)


def test_other_json_lines_are_one_document_where_such_files_are_read_at_all(tmp_path: Path) -> None:
    corpus(tmp_path, {"level": "info"}, name="log.jsonl")
    (tmp_path / "a.md").write_text("Words.")
    found = {each.path: type(each) for each in opened(tmp_path).items()}
    assert found["log.jsonl"] in {Item, Skipped}


def test_a_file_that_is_no_json_keeps_what_is_indexed_of_it(tmp_path: Path) -> None:
    path = corpus(tmp_path, b"\0\1\2", b"nonsense", name="x.jsonl")
    (tmp_path / "a.md").write_text("Words.")
    assert [each.uri for each in bad(opened(tmp_path))] == [f"{path.as_uri()}#"]
    assert [each.uri for each in bad(opened(path))] == [f"{path.as_uri()}#"]


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    source = opened(corpus(tmp_path, b"\xef\xbb\xbf" + json.dumps(record(1)).encode()))
    assert [source.read(each, LIMIT) for each in items(source)] == [b"Text 1."]


@pytest.mark.parametrize("beside", ["queries.jsonl", "qrels/test.tsv"])
def test_of_a_beir_folder_only_the_corpus_is_read(tmp_path: Path, beside: str) -> None:
    folder = tmp_path / "set"
    corpus(folder, record(1))
    corpus(folder, record(9), name=beside)
    (folder / "README.md").write_text("About it.")
    for root in (folder, tmp_path):
        assert [each.path.rpartition("/")[2] for each in items(opened(root))] == ["corpus.jsonl#1"]


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=10, unique=True))
def test_an_id_of_any_characters_is_one_document_that_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str]
) -> None:
    source = opened(corpus(tmp_path_factory.mktemp("ids"), *(record(each, text=each) for each in ids)))
    found = items(source)
    assert len({each.uri for each in found}) == len(ids)
    assert [source.read(each, LIMIT).decode() for each in found] == ids
    assert all(each.uri.isascii() and source.owns(each.uri) for each in found)
    source.close()


def test_a_lone_surrogate_is_replaced_not_fatal(tmp_path: Path) -> None:
    source = opened(corpus(tmp_path, b'{"_id": "\\ud800", "text": "a\\ud800b", "metadata": {"k": "\\ud800"}}'))
    found = items(source)
    assert source.read(found[0], LIMIT) == b"a?b"
    found[0].path.encode()


def test_a_large_corpus_is_streamed(tmp_path: Path) -> None:
    path = corpus(tmp_path, *(record(number, text="x" * 20_000) for number in range(500)))
    assert path.stat().st_size > 10_000_000
    source = opened(path)
    tracemalloc.start()
    count = sum(1 for _ in source.items())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 500
    assert peak < 2_000_000
