"""The benchmark's measures, on cases that can be counted by hand."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from rag.reach import Reach

FILE = Path(__file__).parents[2] / "benchmarks" / "chunking_scoring.py"


@pytest.fixture(scope="module")
def scoring() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("chunking_scoring", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["chunking_scoring"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["chunking_scoring"]


def test_recall_precision_and_iou_count_characters(scoring: ModuleType) -> None:
    question = scoring.Question("a", "?", ((0, 10), (100, 110)))
    found = scoring.score(question, [scoring.Piece("a", 5, 25, ""), scoring.Piece("b", 0, 20, "")])
    assert (found.recall, found.precision, found.iou) == (5 / 20, 5 / 40, 5 / 55)


def test_what_passages_share_is_found_once_and_retrieved_twice(scoring: ModuleType) -> None:
    question = scoring.Question("a", "?", ((0, 10), (5, 20)))
    found = scoring.score(question, [scoring.Piece("a", 0, 20, ""), scoring.Piece("a", 0, 20, "")])
    assert (found.recall, found.precision, found.iou) == (1.0, 0.5, 0.5)


def test_neighbours_are_joined_within_their_corpus_and_into_one_passage_only(scoring: ModuleType) -> None:
    pieces = [scoring.Piece("a", n * 10, n * 10 + 9, "") for n in range(6)]
    pieces += [scoring.Piece("b", n * 10, n * 10 + 9, "") for n in range(3)]
    spans = [
        (each.corpus, each.start, each.end) for each in scoring.joined([2, 3, 4, 6, 0], pieces, 4, Reach(1, 1, 0, {}))
    ]
    assert spans == [("a", 10, 39), ("a", 40, 59), ("b", 0, 19), ("a", 0, 9)]


def test_without_neighbours_the_best_chunks_are_the_passages(scoring: ModuleType) -> None:
    pieces = [scoring.Piece("a", n * 10, n * 10 + 9, "") for n in range(6)]
    assert scoring.joined([5, 1, 0], pieces, 2, Reach(0, 0, 0, {})) == [pieces[5], pieces[1]]


def test_with_a_share_only_neighbours_that_fit_the_question_are_joined(scoring: ModuleType) -> None:
    pieces = [scoring.Piece("a", n * 10, n * 10 + 9, "") for n in range(6)]
    cosines = {str(n): cosine for n, cosine in enumerate((0.1, 0.7, 0.9, 0.2, 0.1, 0.1))}
    assert scoring.joined([2], pieces, 1, Reach(2, 2, 0.8, cosines)) == [scoring.Piece("a", 10, 29, "")]
