"""Cross-encoders trained on a tiny model: they learn, and rerank as any other."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from rag.reranking import LocalReranker
from rag.tuning.errors import BadPairs
from rag.tuning.options import RerankerTraining
from rag.tuning.pairs import PairSet
from rag.tuning.reranker import train_reranker
from rag.tuning.trained import Trained
from tests.tuning_kit import tiny_encoder, toy_pairs

OPTIONS = RerankerTraining(
    epochs=3, batch_size=8, learning_rate=1e-2, negatives=1, max_tokens=32, evaluations=1, patience=50, seed=5
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairSet:
    return toy_pairs(tmp_path_factory.mktemp("pairs"), easy=True)


@pytest.fixture(scope="module")
def trained(base: Path, pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train_reranker(base, pairs, tmp_path_factory.mktemp("work"), OPTIONS, lambda _: None)


def test_it_learns_what_the_pairs_say(trained: Trained) -> None:
    assert trained.losses[-1][1] < trained.losses[0][1] - 0.1
    tuned = LocalReranker(str(trained.folder), "cpu", "torch-fp32")
    right, wrong = tuned.scores("coffee about", ["espresso some more", "nothing some more"], math.inf)
    assert right > wrong


def test_the_result_is_a_reranker_like_any_other(trained: Trained) -> None:
    texts = ["espresso about some", "boulder never"]
    found = {}
    for backend in ("torch-fp32", "onnx-fp32", "onnx-int8"):
        tuned = LocalReranker(str(trained.folder), "cpu", backend)  # type: ignore[arg-type]
        tuned.check()
        found[backend] = tuned.scores("coffee about", texts, math.inf)
    assert found["onnx-fp32"] == pytest.approx(found["torch-fp32"], abs=1e-4)
    assert found["onnx-int8"] == pytest.approx(found["torch-fp32"], abs=0.1)
    assert not [each for each in trained.folder.rglob("*") if each.suffix in {".bin", ".pt", ".py"}]


def test_a_cross_encoder_goes_on_with_its_own_head(pairs: PairSet, trained: Trained, tmp_path: Path) -> None:
    more = train_reranker(trained.folder, pairs, tmp_path, replace(OPTIONS, max_steps=1), lambda _: None)
    assert more.before == trained.after


def test_pairs_without_negatives_are_refused(base: Path, pairs: PairSet, tmp_path: Path) -> None:
    bare = replace(pairs, pairs=tuple(replace(each, negatives=()) for each in pairs.pairs))
    with pytest.raises(BadPairs, match="has a negative"):
        train_reranker(base, bare, tmp_path, OPTIONS, lambda _: None)
