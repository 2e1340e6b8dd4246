"""What is decided for each document of a source, beside what the index holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.ledger import Ledger
from ingest.options import Options, Shard
from ingest.planning import Fail, Keep, Planner, Write, in_shard, terms
from ingest.preparing import content_hash
from ingest.sources.interface import Item
from rag.errors import SourceError
from rag.index.interface import Stored
from rag.schema import Scope
from tests.ingest_kit import PREFIX, DictSource

OPTIONS = Options()


class Held:
    """Stands for an index that holds some documents whole: (path, hash, stamp) of each."""

    def __init__(self, documents: Sequence[tuple[str, str, str]], state: str = "whole") -> None:
        self.documents = documents
        self.state = state

    def scroll(self, *_: Any) -> Iterator[Stored]:
        for path, version, stamp in self.documents:
            payload = {"doc": PREFIX + path, "doc_hash": version, "chunks": 1, "stamp": stamp, "state": self.state}
            yield Stored("id", {**payload, "ordinal": 0})

    def count(self, *_: Any) -> int:
        return len(self.documents)


def hash_of(data: bytes, path: str, options: Options = OPTIONS) -> str:
    return content_hash(data, Item(PREFIX + path, path, path), options.groups, options.metadata)


def planner(
    source: DictSource, held: Sequence[tuple[str, str, str]] = (), options: Options = OPTIONS, **more: Any
) -> Planner:
    ledger = Ledger()
    ledger.read(Held(held), "c", Scope.owner())  # type: ignore[arg-type]
    return Planner(source, ledger, options, limit=1000, **more)


def kinds(made: Planner, **more: Any) -> dict[str, str]:
    found = {}
    for step in made.steps(**more):
        if isinstance(step, Write):
            found[step.item.path] = "replace" if step.held else "add"
        elif isinstance(step, Keep):
            found[step.held.uri.removeprefix(PREFIX)] = "keep" if step.stamp is None else "restamp"
        else:
            found[step.failure.path] = "fail"
    return found


def gone(made: Planner) -> list[str]:
    return [each.uri.removeprefix(PREFIX) for each in made.gone()]


def stamp_of(source: DictSource, path: str, options: Options = OPTIONS) -> str:
    stamp = next(each.stamp for each in source.items() if isinstance(each, Item) and each.path == path)
    return f"{stamp}|{terms(options.groups, options.metadata)}"


def test_what_the_index_does_not_hold_is_added() -> None:
    assert kinds(planner(DictSource({"a": b"1", "b": b"2"}))) == {"a": "add", "b": "add"}


def test_a_document_with_the_stamp_on_record_is_kept_unread() -> None:
    source = DictSource({"a": b"1"})
    assert kinds(planner(source, [("a", "any hash", stamp_of(source, "a"))])) == {"a": "keep"}
    assert source.reads == []


def test_another_stamp_makes_the_content_decide() -> None:
    source = DictSource({"a": b"1", "b": b"2"})
    held = [("a", hash_of(b"1", "a"), "another"), ("b", hash_of(b"old", "b"), "another")]
    assert kinds(planner(source, held)) == {"a": "restamp", "b": "replace"}
    assert source.reads == ["a", "b"]


def test_without_a_stamp_the_content_always_decides() -> None:
    source = DictSource({"a": b"1"}, stamped=False)
    assert kinds(planner(source, [("a", hash_of(b"1", "a"), "")])) == {"a": "keep"}
    assert source.reads == ["a"]


def test_verifying_reads_what_the_stamp_says_is_the_same() -> None:
    source = DictSource({"a": b"new"})
    held = [("a", hash_of(b"old", "a"), stamp_of(source, "a"))]
    assert kinds(planner(source, held)) == {"a": "keep"}
    assert kinds(planner(source, held, verify=True)) == {"a": "replace"}


@pytest.mark.parametrize("options", [Options(groups=("staff",)), Options(metadata={"team": "a"})])
def test_other_groups_or_metadata_replace_an_unchanged_document(options: Options) -> None:
    source = DictSource({"a": b"1"})
    held = [("a", hash_of(b"1", "a"), stamp_of(source, "a"))]
    assert kinds(planner(source, held, options)) == {"a": "replace"}


def test_a_document_that_a_killed_job_left_is_replaced_though_its_content_is_the_same() -> None:
    source = DictSource({"a": b"1"})
    ledger = Ledger()
    ledger.read(Held([("a", hash_of(b"1", "a"), stamp_of(source, "a"))], "writing"), "c", Scope.owner())  # type: ignore[arg-type]
    assert kinds(Planner(source, ledger, OPTIONS, 1000)) == {"a": "replace"}


def test_what_the_source_has_no_more_is_gone_and_nothing_else_is() -> None:
    made = planner(DictSource({"a": b"1"}), [("a", "1", ""), ("b", "1", ""), ("../other/c", "1", "")])
    list(made.steps())
    assert gone(made) == ["../other/c", "b"]
    elsewhere = planner(DictSource({"a": b"1"}), [("b", "1", "")])
    elsewhere._source.owns = lambda uri: False  # type: ignore[method-assign]
    list(elsewhere.steps())
    assert gone(elsewhere) == []


def test_what_cannot_be_read_now_is_not_gone() -> None:
    held = [("a", "1", ""), ("folder/b", "1", ""), ("x.zip#/c", "1", "")]
    made = planner(DictSource({"keep": b"1"}, broken=["a", "folder/", "x.zip"]), held)
    assert kinds(made) == {"keep": "add", "a": "fail", "folder/": "fail", "x.zip": "fail"}
    assert gone(made) == []


def test_a_document_over_the_limit_fails_and_stays() -> None:
    made = planner(DictSource({"a": b"x" * 1001}), [("a", "1", "")])
    assert kinds(made) == {"a": "fail"}
    assert gone(made) == []


def test_a_listing_that_breaks_off_is_an_error() -> None:
    source = DictSource({"a": b"1", "b": b"2"})
    source.fails_after = 1
    with pytest.raises(SourceError, match="broke off"):
        list(planner(source).steps())


def test_only_the_named_documents_are_looked_at() -> None:
    source = DictSource({"a": b"1", "b": b"2"})
    assert kinds(planner(source), only=frozenset({PREFIX + "b"})) == {"b": "add"}


@given(st.sets(st.text(max_size=20), max_size=50), st.integers(1, 7))
def test_every_document_is_in_exactly_one_shard(uris: set[str], count: int) -> None:
    for uri in uris:
        assert sum(in_shard(uri, Shard(index, count)) for index in range(count)) == 1


def test_shards_are_the_same_in_every_version() -> None:
    assert [in_shard("file:///docs/a.md", Shard(each, 4)) for each in range(4)] == [False, False, False, True]


def test_a_shard_adds_and_deletes_its_own_only() -> None:
    documents = {f"{n}.md": b"x" for n in range(40)}
    held = [(f"old{n}.md", "1", "") for n in range(40)]
    added: list[str] = []
    deleted: list[str] = []
    for index in range(3):
        made = planner(DictSource(documents, broken=["bad.md"]), held, Options(shard=Shard(index, 3)))
        added += kinds(made)
        deleted += gone(made)
    assert sorted(added) == sorted([*documents, "bad.md"])
    assert sorted(deleted) == sorted(each for each, _, _ in held)


def test_a_failure_names_the_document_and_the_reason() -> None:
    steps = list(planner(DictSource({}, broken=["a"])).steps())
    assert isinstance(steps[0], Fail)
    assert (steps[0].failure.path, steps[0].failure.reason) == ("a", "it cannot be opened.")


def test_a_failed_folder_or_archive_is_tried_again_with_all_that_is_in_it() -> None:
    source = DictSource({"a.zip#/x": b"1", "a.zipper": b"2", "folder/y": b"3", "b": b"4"})
    only = frozenset({PREFIX + "a.zip", PREFIX + "folder/"})
    assert kinds(planner(source), only=only) == {"a.zip#/x": "add", "folder/y": "add"}
