"""A learned sparse encoder in BM25's place, from its folder to a search. A random model stands for a trained one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from eval.evaluation import _Encoders
from ingest.job import IngestJob
from ingest.sources import open_source
from rag.collections import check_readable, fingerprint
from rag.encoders import Bm25Encoder, Fields, sparse_encoder
from rag.encoders.folder import find_folder
from rag.encoders.learned import MOST_TERMS, LearnedSparseEncoder
from rag.errors import EncoderError, FingerprintMismatch
from rag.index.embedded import EmbeddedIndex
from rag.index.threaded import ThreadedIndex
from rag.retrieval import Retriever
from rag.schema import Scope
from rag.settings import Settings
from tests.ingest_kit import HashEncoder, write_folder

TEXTS = ["A pod runs containers.", "Glaciers melt.", "", "word " * 900]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer masked language model: it gives about half of all words a weight."""
    import torch
    from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

    torch.manual_seed(7)
    made = tmp_path_factory.mktemp("splade")
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "vocab_size": 30522, "max_position_embeddings": 80, "initializer_range": 0.5}
    AutoModelForMaskedLM.from_config(AutoConfig.for_model("bert", **sizes)).save_pretrained(made)
    tokenizer = AutoTokenizer.from_pretrained(find_folder("minilm"), local_files_only=True)
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def learned(folder: Path) -> LearnedSparseEncoder:
    return LearnedSparseEncoder(str(folder), Bm25Encoder())


def test_a_passage_keeps_its_heaviest_terms(learned: LearnedSparseEncoder) -> None:
    for vector in learned.encode_passages([Fields("", (), text) for text in TEXTS]):
        assert 0 < len(vector.indices) == len(set(vector.indices)) == len(vector.values) <= MOST_TERMS
        assert all(weight > 0 for weight in vector.values)


def test_a_vector_does_not_depend_on_what_is_encoded_beside_it(learned: LearnedSparseEncoder) -> None:
    together = learned.encode_passages([Fields("", (), text) for text in TEXTS])
    for text, vector in zip(TEXTS, together, strict=True):
        (alone,) = learned.encode_passages([Fields("", (), text)])
        held = dict(zip(alone.indices, alone.values, strict=True))
        least = min(held.values())  # which of two equally light words is the last to be kept is chance
        for index, weight in zip(vector.indices, vector.values, strict=True):
            assert held.get(index, least) == pytest.approx(weight, rel=1e-3)


def test_relevance_goes_on_comparing_words(learned: LearnedSparseEncoder) -> None:
    assert learned.terms("Pods running") == Bm25Encoder().terms("Pods running")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    with closing(EmbeddedIndex(tmp_path / "index")) as opened:
        yield opened


def test_documents_are_found_by_it(
    folder: Path, index: EmbeddedIndex, tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    chosen = settings(sparse_encoder=str(folder), dense_weight=0)
    docs = write_folder(tmp_path / "docs", {"pods.md": "A pod runs containers.", "ice.md": "Glaciers melt."})
    sparse = sparse_encoder(chosen)
    IngestJob(index, HashEncoder(), sparse, chosen).run(open_source(docs, chosen))
    found = asyncio.run(
        Retriever(ThreadedIndex(index), HashEncoder(), sparse, chosen).search("A pod runs containers.", Scope())
    )
    best = found.passages[0]
    assert best.path == "pods.md"
    asked = sparse.encode_query("A pod runs containers.")
    assert best.sparse_score is not None
    assert best.sparse_score > max(asked.values) ** 2  # a product of weights: rarity would make it about a tenth


def test_a_collection_is_read_by_the_encoder_that_wrote_it(
    folder: Path, index: EmbeddedIndex, tmp_path: Path, settings: Callable[..., Settings]
) -> None:
    chosen = settings(sparse_encoder=str(folder))
    docs = write_folder(tmp_path / "docs", {"pods.md": "A pod runs containers."})
    IngestJob(index, HashEncoder(), sparse_encoder(chosen), chosen).run(open_source(docs, chosen))
    with pytest.raises(FingerprintMismatch, match=r"sparse encoder '.*' \(.*\), but keywords by qdrant-bm25"):
        check_readable(index.describe("documents"), fingerprint(HashEncoder(), Bm25Encoder()))
    moved = LearnedSparseEncoder(str(shutil.copytree(folder, tmp_path / "moved")), Bm25Encoder())
    check_readable(index.describe("documents"), fingerprint(HashEncoder(), moved))


def test_an_evaluation_asks_the_encoder_of_each_configuration(folder: Path, settings: Callable[..., Settings]) -> None:
    encoders = _Encoders()
    named = {
        str(encoders.of(chosen)[1].fingerprint["name"])
        for chosen in (settings(), settings(sparse_encoder=str(folder)), settings(chunk_tokens=64))
    }
    assert named == {"qdrant-bm25", str(folder)}
    assert encoders.of(settings()) is encoders.of(settings(chunk_tokens=64))


def test_a_pickle_is_not_read(folder: Path, tmp_path: Path) -> None:
    import torch

    pickled = Path(shutil.copytree(folder, tmp_path / "pickled"))
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="LIBRARIAN_SPARSE_ENCODER"):
        LearnedSparseEncoder(str(pickled), Bm25Encoder()).encode_query("x")


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(EncoderError, match=r"/no/such.*LIBRARIAN_SPARSE_ENCODER"):
        _ = LearnedSparseEncoder("/no/such", Bm25Encoder()).fingerprint
