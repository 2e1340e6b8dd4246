"""Encoders trained on a tiny model: they learn, go on where they were killed, and serve as any other encoder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.encoders import LocalEncoder
from rag.tuning.encoder import train_encoder
from rag.tuning.errors import BadPairs
from rag.tuning.options import EncoderTraining, RerankerTraining, Step
from rag.tuning.pairs import PairSet
from rag.tuning.reranker import train_reranker
from rag.tuning.state import checkpoints, last_checkpoint
from rag.tuning.trained import Trained
from tests.tuning_kit import tiny_encoder, toy_pairs

OPTIONS = EncoderTraining(
    epochs=3, batch_size=8, learning_rate=5e-3, negatives=1, max_tokens=32, evaluations=1, patience=50, seed=5
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairSet:
    return toy_pairs(tmp_path_factory.mktemp("pairs"))


def train(base: Path, pairs: PairSet, work: Path, options: EncoderTraining = OPTIONS, **more: object) -> Trained:
    work.mkdir(parents=True, exist_ok=True)
    tell = more.get("tell", lambda _: None)
    return train_encoder(base, pairs, work, options, tell)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(base: Path, pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(base, pairs, tmp_path_factory.mktemp("work"))


def work(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


class Killed(Exception):
    """Stands for whatever ends a process."""


def killed_at(step: int) -> Callable[[Step], None]:
    def tell(now: Step) -> None:
        if now.step >= step:
            raise Killed

    return tell


def test_it_learns_what_the_pairs_say(trained: Trained) -> None:
    assert np.mean(trained.after) > np.mean(trained.before) + 0.1
    assert trained.losses[-1][1] < trained.losses[0][1]


def test_the_result_is_an_encoder_like_any_other(trained: Trained, base: Path) -> None:
    tuned = LocalEncoder(str(trained.folder), "cpu", "torch-fp32")
    assert tuned.fingerprint["sha256"] != LocalEncoder(str(base)).fingerprint["sha256"]
    assert (tuned.dimension, tuned.max_tokens) == (32, 64)
    texts = ["espresso about some", "boulder never"]
    plain = tuned.encode_documents(texts)
    for backend, least in (("onnx-fp32", 0.9999), ("onnx-int8", 0.97)):
        vectors = LocalEncoder(str(trained.folder), "cpu", backend).encode_documents(texts)  # type: ignore[arg-type]
        assert (plain * vectors).sum(axis=1).min() > least
    assert not [each for each in trained.folder.rglob("*") if each.suffix in {".bin", ".pt", ".py"}]


def test_a_checkpoint_that_was_not_finished_is_passed_over(base: Path, pairs: PairSet, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(base, pairs, tmp_path, tell=killed_at(13))
    last = last_checkpoint(checkpoints(tmp_path))
    assert last is not None
    torn = checkpoints(tmp_path) / "checkpoint-999"
    shutil.copytree(last, torn)
    (torn / "trainer_state.json").write_text('{"epoch": ')
    assert last_checkpoint(checkpoints(tmp_path)) == last


@pytest.mark.parametrize("change", [{"seed": 6}, {"learning_rate": 1e-3}])
def test_another_training_does_not_go_on_from_that_state(
    base: Path, pairs: PairSet, tmp_path: Path, change: dict[str, float]
) -> None:
    with pytest.raises(Killed):
        train(base, pairs, tmp_path, tell=killed_at(13))
    short = replace(OPTIONS, max_steps=2, **change)  # type: ignore[arg-type]
    assert not train(base, pairs, tmp_path, short).resumed


def test_a_batch_in_parts_has_the_loss_of_the_whole_one(base: Path, pairs: PairSet, tmp_path: Path) -> None:
    short = replace(OPTIONS, max_steps=3)
    whole = train(base, pairs, tmp_path / "whole", short)
    parts = train(base, pairs, tmp_path / "parts", replace(short, mini_batch=2))
    assert parts.losses[0][1] == pytest.approx(whole.losses[0][1], rel=0.2)


def test_low_rank_changes_end_up_in_the_weights(base: Path, pairs: PairSet, tmp_path: Path) -> None:
    found = train(base, pairs, tmp_path, replace(OPTIONS, lora_rank=4, learning_rate=2e-2))
    assert np.mean(found.after) > np.mean(found.before)
    assert not list(found.folder.rglob("adapter*"))
    tuned, plain = (LocalEncoder(str(each), "cpu", "torch-fp32") for each in (found.folder, base))
    assert not np.allclose(tuned.encode_query("coffee"), plain.encode_query("coffee"), atol=1e-3)


def test_the_prompts_of_a_model_are_used_and_kept(pairs: PairSet, tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path / "base", query="ask: ", document="read: ")
    found = train(base, pairs, tmp_path / "work", replace(OPTIONS, max_steps=2))
    from sentence_transformers import SentenceTransformer

    prompts = SentenceTransformer(str(found.folder), device="cpu", local_files_only=True).prompts
    assert (prompts["query"], prompts["document"]) == ("ask: ", "read: ")


def test_it_stops_where_held_out_questions_gain_nothing(base: Path, pairs: PairSet, tmp_path: Path) -> None:
    found = train(base, pairs, tmp_path, replace(OPTIONS, learning_rate=1e-12, patience=1))
    assert found.steps < 18


def test_pairs_without_held_out_questions_are_refused(base: Path, pairs: PairSet, tmp_path: Path) -> None:
    with pytest.raises(BadPairs, match="0 questions held out"):
        train(base, replace(pairs, held_out=()), tmp_path)


def test_a_rerankers_order_is_learnt_besides(base: Path, pairs: PairSet, trained: Trained, tmp_path: Path) -> None:
    reranking = RerankerTraining(epochs=3, batch_size=8, learning_rate=1e-2, negatives=1, max_tokens=32, seed=5)
    teacher = train_reranker(base, pairs, work(tmp_path / "teacher"), reranking, lambda _: None).folder
    taught = train_encoder(base, pairs, work(tmp_path / "taught"), OPTIONS, lambda _: None, teacher)
    assert np.mean(taught.after) > np.mean(taught.before) + 0.1
    assert taught.losses[0][1] > trained.losses[0][1]  # the same ranking loss, and the teacher's on top of it


@pytest.mark.parametrize("options", [replace(OPTIONS, mini_batch=4), replace(OPTIONS, negatives=0)])
def test_a_teacher_needs_negatives_and_whole_batches(
    base: Path, pairs: PairSet, tmp_path: Path, options: EncoderTraining
) -> None:
    with pytest.raises(BadPairs, match="teacher"):
        train_encoder(base, pairs, work(tmp_path / "work"), options, lambda _: None, base)
