"""The plan of an ingest: what is desired minus what the index holds, read from its points alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from ingest.reconcile import Plan, actual_documents, plan
from rag.index.interface import Stored

PREFIX = "file:///docs/"


def points(uri: str, content: str, there: int, of: int | None = None) -> list[Stored]:
    """`there` points of a document that has `of` chunks (as many, where nothing is missing)."""
    payload = {"doc": uri, "doc_hash": content, "chunks": there if of is None else of}
    return [Stored(str(uuid.uuid5(uuid.NAMESPACE_URL, f"{uri} {content} {n}")), payload) for n in range(there)]


def planned(desired: dict[str, str], stored: Iterable[Stored], protected: Iterable[str] = ()) -> Plan:
    return plan(desired, protected, actual_documents(stored, PREFIX))


A, B = PREFIX + "a.md", PREFIX + "b.md"


class TestPlan:
    def test_what_is_not_there_is_added(self) -> None:
        assert planned({A: "1"}, []) == Plan(add=(A,), replace=(), keep=(), delete=())

    def test_what_is_there_as_desired_is_kept(self) -> None:
        assert planned({A: "1"}, points(A, "1", 3)) == Plan(add=(), replace=(), keep=(A,), delete=())

    def test_what_has_another_content_is_replaced(self) -> None:
        assert planned({A: "2"}, points(A, "1", 3)) == Plan(add=(), replace=(A,), keep=(), delete=())

    def test_what_is_gone_from_the_source_is_deleted(self) -> None:
        assert planned({A: "1"}, [*points(A, "1", 1), *points(B, "1", 2)]) == Plan((), (), (A,), (B,))

    def test_a_document_of_which_chunks_are_missing_is_replaced(self) -> None:
        assert planned({A: "1"}, points(A, "1", 2, of=3)).replace == (A,)

    def test_left_overs_of_an_older_content_make_a_complete_document_be_replaced(self) -> None:
        assert planned({A: "2"}, [*points(A, "1", 1, of=3), *points(A, "2", 3)]).replace == (A,)

    def test_a_document_that_cannot_be_read_now_stays_as_it_is(self) -> None:
        assert planned({}, points(A, "1", 3), protected=[A]) == Plan((), (), (), ())

    def test_an_incomplete_document_that_is_gone_is_deleted(self) -> None:
        assert planned({}, points(A, "1", 1, of=9)).delete == (A,)

    def test_the_order_is_the_sources(self) -> None:
        names = [PREFIX + name for name in "dbca"]
        assert planned(dict.fromkeys(names, "1"), []).add == tuple(names)


class TestActualDocuments:
    def test_documents_of_other_sources_are_not_seen(self) -> None:
        stored = [
            point for uri in ("file:///docs2/a.md", "file:///doc", "https://x/a.md") for point in points(uri, "1", 2)
        ]
        assert actual_documents(stored, PREFIX) == {}

    def test_a_single_files_source_owns_that_file_only(self) -> None:
        stored = [*points("file:///docs/a.md", "1", 1), *points("file:///docs/a.mdx", "1", 1)]
        assert set(actual_documents(stored, "file:///docs/a.md")) == {"file:///docs/a.md"}

    def test_points_that_belong_to_no_document_are_left_alone(self) -> None:
        record = Stored(str(uuid.uuid4()), {"kind": "key"})
        assert actual_documents([record, Stored(str(uuid.uuid4()), {"doc": None})], PREFIX) == {}

    def test_stale_are_all_points_but_those_of_the_content(self) -> None:
        old, new = points(A, "1", 2), points(A, "2", 3)
        found = actual_documents([*old, *new], PREFIX)[A]
        assert set(found.stale("2")) == {each.id for each in old}
        assert set(found.stale(None)) == {each.id for each in (*old, *new)}
        assert found.complete("1")
        assert not found.complete("3")


uris = st.sampled_from([PREFIX + name for name in "abcd"])
foreign = st.sampled_from(["file:///other/a.md", "file:///docsa.md"])
contents = st.sampled_from("xyz")
# By document and content: how many chunks are there, of how many.
holdings = st.dictionaries(
    st.tuples(st.one_of(uris, foreign), contents),
    st.integers(1, 3).flatmap(lambda of: st.tuples(st.integers(1, of), st.just(of))),
    max_size=8,
)


@given(st.dictionaries(uris, contents), st.sets(uris), holdings, st.randoms(use_true_random=False))
def test_the_plan_is_what_a_plain_reading_of_the_rules_says(
    desired: dict[str, str], protected: set[str], held: dict[tuple[str, str], tuple[int, int]], random: object
) -> None:
    protected = protected - set(desired)
    stored = [each for (uri, content), (there, of) in held.items() for each in points(uri, content, there, of)]
    random.shuffle(stored)  # type: ignore[attr-defined]
    made = planned(desired, stored, protected)

    owned = {uri for uri, _ in held if uri.startswith(PREFIX)}
    expected: dict[str, set[str]] = {"add": set(), "replace": set(), "keep": set(), "delete": set()}
    for uri in owned | set(desired):
        contents_held = {content: numbers for (each, content), numbers in held.items() if each == uri}
        if uri in protected:
            continue
        if uri not in desired:
            expected["delete"].add(uri)
        elif not contents_held:
            expected["add"].add(uri)
        elif list(contents_held) == [desired[uri]] and len(set(contents_held[desired[uri]])) == 1:
            expected["keep"].add(uri)
        else:
            expected["replace"].add(uri)
    assert {name: set(getattr(made, name)) for name in expected} == expected
    assert sum(len(getattr(made, name)) for name in expected) == sum(map(len, expected.values()))
