"""Long texts with gold spans become documents with judgements, and no span is cut."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.datasets import open_dataset

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def guard_sets() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        import guard_sets  # type: ignore[import-not-found]

        yield guard_sets
        for name in ("guard_sets", "chunking_scoring"):
            del sys.modules[name]


texts = st.text("ab. \n", max_size=200)
spans = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 40)), max_size=4)


@given(texts, spans, st.integers(1, 50))
def test_the_parts_are_the_whole_text_and_no_span_is_cut(
    guard_sets: ModuleType, text: str, spans: list[tuple[int, int]], size: int
) -> None:
    gold = [(start, start + length) for start, length in spans]
    parts = guard_sets.cut(text, gold, size)
    assert "".join(text[start:end] for start, end in parts) == text
    assert all(end - start >= size for start, end in parts[:-1])
    for _, end in parts[:-1]:
        assert text[end - 1] in " \n"
        assert not any(first < end < last for first, last in gold)


def test_a_question_is_judged_to_be_answered_by_the_documents_that_hold_its_spans(
    guard_sets: ModuleType, tmp_path: Path
) -> None:
    text = "One is first. Two is second. Three is third."
    asked = sys.modules["chunking_scoring"].Question
    questions = [asked("a", "Which is first and third?", ((0, 13), (29, 44))), asked("b", "Nothing?", ((0, 3),))]
    assert guard_sets.write(tmp_path, {"a": text, "b": "Yes"}, questions, 10) == (4, 3)
    found = open_dataset(tmp_path)
    assert found.qrels == {"q0": {"a-0": 1, "a-2": 1}, "q1": {"b-0": 1}}
    assert [each.text for each in found.queries] == ["Which is first and third?", "Nothing?"]
