"""The encoders: unit vectors, honest token counts, fingerprints that change with the model, and BM25's weights."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag import encoders
from rag.embedded import embedded_text
from rag.encoders import Bm25Encoder, LocalEncoder, load_token_counts
from rag.encoders.folder import find_folder
from rag.errors import EncoderError
from rag.settings import Settings

TEXTS = ["A pod is the smallest unit.", "Kubernetes – naïve café 東京 🚀", "", "x"]


@pytest.fixture(scope="session")
def small_files(tmp_path_factory: pytest.TempPathFactory, minilm: LocalEncoder) -> Path:
    """The packaged model's folder without its weights: enough for a fingerprint."""
    folder = tmp_path_factory.mktemp("model")
    for path in minilm._folder.iterdir():
        if path.is_file() and path.stat().st_size < 1_000_000:
            shutil.copy(path, folder)
    return folder


@functools.cache
def own_tokenizer() -> Any:
    """The packaged model's tokenizer as transformers loads it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(find_folder("minilm"), local_files_only=True)


@pytest.fixture
def copied(small_files: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_files, tmp_path / "model"))


def sha256(folder: Path) -> str:
    return str(LocalEncoder(str(folder)).fingerprint["sha256"])


class TestDense:
    def test_documents_become_unit_vectors_one_each(self, minilm: LocalEncoder) -> None:
        vectors = minilm.encode_documents(TEXTS)
        assert vectors.shape == (len(TEXTS), minilm.dimension)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=0.01)

    def test_a_query_becomes_one_unit_vector(self, minilm: LocalEncoder) -> None:
        vector = minilm.encode_query("What is a pod?")
        assert vector.shape == (minilm.dimension,)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=0.01)

    def test_no_documents_become_no_vectors(self, minilm: LocalEncoder) -> None:
        assert minilm.encode_documents([]).shape == (0, minilm.dimension)

    def test_a_text_has_the_same_vector_in_any_company(self, minilm: LocalEncoder) -> None:
        alone = minilm.encode_documents(["A pod is the smallest unit."])[0]
        among = minilm.encode_documents(["word " * 200, "A pod is the smallest unit.", "x"])[1]
        assert float(alone @ among) == pytest.approx(1, abs=0.01)

    def test_a_question_is_nearer_to_its_answer_than_to_another(self, minilm: LocalEncoder) -> None:
        answer, other = minilm.encode_documents(["A pod is the smallest unit of Kubernetes.", "Bread needs yeast."])
        query = minilm.encode_query("What is the smallest unit in Kubernetes?")
        assert float(query @ answer) > float(query @ other) + 0.3


class TestTokens:
    @settings(max_examples=30)
    @given(text=st.text(max_size=200))
    def test_counts_are_what_the_models_own_tokenizer_makes(self, minilm: LocalEncoder, text: str) -> None:
        own = own_tokenizer()(text, truncation=False)["input_ids"]
        assert minilm.token_counts([text]) == [len(own)]

    def test_a_long_text_is_counted_to_its_end(self, minilm: LocalEncoder) -> None:
        assert minilm.token_counts(["pod " * 5000]) == [5002]

    def test_each_text_is_counted_for_itself(self, minilm: LocalEncoder) -> None:
        assert minilm.token_counts(TEXTS) == [minilm.token_counts([each])[0] for each in TEXTS]

    def test_offsets_are_the_texts_own_characters(self, minilm: LocalEncoder) -> None:
        text = "Pods run Kubernetes."
        pieces = [text[start:end] for start, end in minilm.token_offsets(text)]
        assert pieces[:2] == ["Pods", "run"]
        assert "".join(pieces) == "PodsrunKubernetes."
        assert len(pieces) > 4  # a long word is several tokens

    @settings(max_examples=30)
    @given(text=st.text(max_size=200))
    def test_there_is_an_offset_for_every_token_but_the_special_ones(self, minilm: LocalEncoder, text: str) -> None:
        offsets = minilm.token_offsets(text)
        assert len(offsets) + 2 == minilm.token_counts([text])[0]
        assert all(0 <= start <= end <= len(text) for start, end in offsets)
        assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)

    def test_counting_goes_on_after_the_model_has_encoded(self, minilm: LocalEncoder) -> None:
        before = minilm.token_counts(["pod " * 900])
        minilm.encode_documents(["pod " * 900])
        assert minilm.token_counts(["pod " * 900]) == before

    def test_counts_and_lengths_are_had_without_the_model(self) -> None:
        encoder = LocalEncoder("minilm")
        assert encoder.token_counts(["pods run"]) == [4]
        assert (encoder.max_tokens, encoder.dimension) == (256, 384)
        assert encoder.tokenizer_file.name == "tokenizer.json"
        assert not encoder.loaded

    def test_a_counter_from_the_file_counts_as_the_encoder_does(self, minilm: LocalEncoder) -> None:
        counter = load_token_counts(minilm.tokenizer_file)
        assert counter.token_counts(TEXTS) == minilm.token_counts(TEXTS)
        assert counter.token_offsets(TEXTS[1]) == minilm.token_offsets(TEXTS[1])

    def test_a_folder_without_a_fast_tokenizer_is_an_error(self, copied: Path) -> None:
        (copied / "tokenizer.json").unlink()
        with pytest.raises(EncoderError, match=r"has no fast tokenizer \(tokenizer.json\).*Set LIBRARIAN_ENCODER"):
            _ = LocalEncoder(str(copied)).tokenizer_file

    def test_a_broken_tokenizer_file_is_an_error(self, copied: Path) -> None:
        (copied / "tokenizer.json").write_text('{"version": ')
        with pytest.raises(EncoderError, match="cannot be read") as caught:
            LocalEncoder(str(copied)).token_counts(["x"])
        assert "\n" not in str(caught.value)


class TestFingerprints:
    def test_it_is_the_same_wherever_the_folder_lies(self, copied: Path, small_files: Path) -> None:
        assert sha256(copied) == sha256(small_files)

    @pytest.mark.parametrize("change", ["changed", "added", "removed", "renamed"])
    def test_a_file_that_changes_the_vectors_changes_it(self, copied: Path, change: str) -> None:
        before = sha256(copied)
        if change == "changed":
            (copied / "config.json").write_text((copied / "config.json").read_text() + " ")
        elif change == "added":
            (copied / "model.safetensors").write_bytes(b"weights")
        elif change == "removed":
            (copied / "config.json").unlink()
        else:
            (copied / "config.json").rename(copied / "konfig.json")
        assert sha256(copied) != before

    def test_what_changes_no_vector_does_not(self, copied: Path) -> None:
        before = sha256(copied)
        (copied / "README.md").write_text("read me")
        (copied / ".cache.json").write_text("{}")
        assert sha256(copied) == before

    def test_a_folder_without_a_model_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(EncoderError, match="holds no model"):
            sha256(tmp_path)


class TestErrors:
    @pytest.fixture(autouse=True)
    def _offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # it reads the variable once

    @pytest.mark.parametrize("name", ["/nowhere/model", "./model", "~/no-such-model", "a/b/c"])
    def test_a_folder_that_is_not_there(self, name: str) -> None:
        with pytest.raises(EncoderError, match=f"encoder folder '{name}' does not exist; set LIBRARIAN_ENCODER"):
            LocalEncoder(name).encode_query("x")

    @pytest.mark.parametrize("name", ["minilmm", "nobody/no-such-model-2"])
    def test_a_name_that_nothing_answers_to(self, name: str) -> None:
        with pytest.raises(EncoderError) as caught:
            _ = LocalEncoder(name).fingerprint
        assert f"'{name}' is neither a packaged name (minilm), nor a folder" in str(caught.value)
        assert "Check LIBRARIAN_ENCODER" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_folder_that_holds_no_usable_model(self, copied: Path) -> None:
        with pytest.raises(EncoderError, match=r"cannot be loaded: .*Set LIBRARIAN_ENCODER") as caught:
            LocalEncoder(str(copied)).encode_query("x")
        assert "\n" not in str(caught.value)

    def test_an_unknown_language(self) -> None:
        with pytest.raises(EncoderError, match="LIBRARIAN_BM25_LANGUAGE 'klingon' is not one that BM25 knows"):
            Bm25Encoder("klingon")

    def test_making_an_encoder_loads_and_checks_nothing(self) -> None:
        assert LocalEncoder("/nowhere/model").name == "/nowhere/model"


def weight(frequency: int, length: int, k: float = 1.2, b: float = 0.75, average: float = 256) -> float:
    """BM25's term weight without the inverse document frequency (Robertson and Zaragoza, 2009)."""
    return frequency * (k + 1) / (frequency + k * (1 - b + b * length / average))


class TestKeywords:
    def test_a_documents_terms_weigh_by_the_formula(self) -> None:
        vector = Bm25Encoder().encode_document("pod pod pod node kubernetes")
        assert sorted(vector.values) == pytest.approx(sorted([weight(3, 5), weight(1, 5), weight(1, 5)]), rel=1e-5)

    def test_a_longer_document_weighs_a_term_less(self) -> None:
        short = Bm25Encoder().encode_document("pod")
        long = Bm25Encoder().encode_document("pod " + " ".join(f"term{number}" for number in range(300)))
        assert dict(zip(short.indices, short.values, strict=True))[short.indices[0]] == pytest.approx(weight(1, 1))
        assert dict(zip(long.indices, long.values, strict=True))[short.indices[0]] == pytest.approx(weight(1, 301))

    def test_a_querys_terms_weigh_one_each(self) -> None:
        vector = Bm25Encoder().encode_query("pod pod node")
        assert vector.values == (1.0, 1.0)

    def test_query_and_document_share_their_terms_whatever_the_form_of_the_word(self) -> None:
        query, document = Bm25Encoder().encode_query("PODS running"), Bm25Encoder().encode_document("a pod runs")
        assert set(query.indices) == set(document.indices)

    def test_words_without_meaning_weigh_nothing(self) -> None:
        assert Bm25Encoder().encode_document("the and of is").indices == ()
        assert Bm25Encoder().encode_query("").indices == ()

    def test_a_title_of_weight_three_counts_as_if_it_stood_there_three_times(self) -> None:
        embedded = embedded_text("Pods", ("Probes", "Readiness"), "Some text.")
        weighted = Bm25Encoder(title_weight=3).encode_passage("Pods", ("Probes", "Readiness"), embedded)
        assert weighted == Bm25Encoder().encode_document(f"Pods Pods {embedded}")
        weighted = Bm25Encoder(heading_weight=2).encode_passage("Pods", ("Probes", "Readiness"), embedded)
        assert weighted == Bm25Encoder().encode_document(f"Probes Readiness {embedded}")

    @given(st.text(), st.lists(st.text(), max_size=3), st.text())
    def test_weights_of_one_change_nothing(self, title: str, headings: list[str], text: str) -> None:
        embedded = embedded_text(title, headings, text)
        assert Bm25Encoder().encode_passage(title, headings, embedded) == Bm25Encoder().encode_document(embedded)

    def test_weights_are_part_of_the_fingerprint_where_they_are_not_one(self) -> None:
        assert Bm25Encoder(title_weight=1, heading_weight=1).fingerprint == {
            "name": "qdrant-bm25",
            "language": "english",
            "k": 1.2,
            "b": 0.75,
            "avg_len": 256,
        }  # as every collection has it that was made before there were weights
        assert Bm25Encoder(title_weight=2).fingerprint["title_weight"] == 2
        assert Bm25Encoder(heading_weight=2).fingerprint != Bm25Encoder(title_weight=2).fingerprint

    def test_the_language_is_part_of_the_fingerprint(self) -> None:
        assert Bm25Encoder("german").fingerprint != Bm25Encoder().fingerprint
        assert Bm25Encoder("german").fingerprint["language"] == "german"


def test_the_settings_decide_what_is_made(settings: Callable[..., Settings]) -> None:
    chosen = settings(encoder="/some/folder", encoder_backend="onnx-fp32", bm25_language="german")
    dense = encoders.dense_encoder(chosen)
    assert isinstance(dense, LocalEncoder)
    assert (dense.name, dense.backend) == ("/some/folder", "onnx-fp32")
    assert encoders.sparse_encoder(chosen).fingerprint["language"] == "german"
    weighted = encoders.sparse_encoder(settings(bm25_title_weight=2, bm25_heading_weight=3))
    assert weighted.fingerprint == Bm25Encoder(title_weight=2, heading_weight=3).fingerprint
