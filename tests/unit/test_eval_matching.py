"""Documents of an index are recognised as those that the judgements name."""

from __future__ import annotations

from pathlib import Path

from eval.matching import names_anywhere, names_below


def test_a_record_is_named_by_its_id() -> None:
    uris = ["file:///data/corpus.jsonl#Warsaw%230", "file:///data/corpus.jsonl#a%20b"]
    assert list(names_below(uris, Path("/data/corpus.jsonl"), beir=True).values()) == ["Warsaw#0", "a b"]


def test_a_file_is_named_by_its_path_below_the_folder() -> None:
    uris = ["file:///data/my%20pages/a%20b/one.md", "file:///data/my%20pages/all.zip#/two.md"]
    assert list(names_below(uris, Path("/data/my pages"), beir=False).values()) == ["a b/one.md", "all.zip#/two.md"]


def test_in_a_collection_from_anywhere_the_end_of_the_path_tells() -> None:
    uris = ["https://docs.example/wiki/tasks/run.md", "file:///srv/wiki/index.md", "file:///srv/other.md"]
    found = names_anywhere(uris, {"tasks/run.md", "index.md"})
    assert [found[each] for each in uris] == ["tasks/run.md", "index.md", uris[2]]


def test_a_record_and_an_upload_are_known_by_their_id_too() -> None:
    uris = ["file:///x/corpus.jsonl#12", "upload:13"]
    assert list(names_anywhere(uris, {"12", "13"}).values()) == ["12", "13"]


def test_a_name_that_several_documents_could_have_goes_to_the_one_under_the_common_root() -> None:
    uris = ["file:///w/index.md", "file:///w/a/index.md", "file:///w/a/one.md", "file:///w/two.md", "file:///w/x.md"]
    found = names_anywhere(uris, {"index.md", "a/one.md", "two.md", "x.md"})
    assert found["file:///w/index.md"] == "index.md"
    assert found["file:///w/a/index.md"] == "file:///w/a/index.md"


def test_only_whole_parts_of_a_path_are_compared() -> None:
    uri = "file:///w/another.md"
    assert names_anywhere([uri], {"other.md"}) == {uri: uri}
