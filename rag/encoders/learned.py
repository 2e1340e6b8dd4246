"""Text to sparse vectors by a trained model: SPLADE and its like, through sentence-transformers' SparseEncoder."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rag.encoders.bm25 import Bm25Encoder
from rag.encoders.folder import ModelFolder
from rag.encoders.interface import Fields
from rag.errors import EncoderError
from rag.schema import SparseVector

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder as Model

SETTING = "LIBRARIAN_SPARSE_ENCODER"
BATCH = 16
# A passage keeps its heaviest terms: an untrained or broken model would give one a weight for every word it knows.
MOST_TERMS = 256


class LearnedSparseEncoder:
    """Weights that the model learnt, for the words of a text and for others that belong to them (Formal, Piwowarski
    and Clinchant, SIGIR 2021). They hold the terms' rarity, so the index applies no inverse document frequency.

    Relevance goes on comparing BM25's words, which is what it is calibrated on. Thread-safe; the model is loaded when
    it is first needed, and only from safetensors.
    """

    def __init__(self, name: str, bm25: Bm25Encoder, device: str = "auto", threads: int | None = None) -> None:
        self.name = name
        self._files = ModelFolder(name, SETTING)
        self._bm25 = bm25
        self._device = None if device == "auto" else device
        self._threads = threads
        self._turn = threading.Lock()  # a model holds its tokenizer's state: one call at a time

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """The folder's hash. The words that relevance compares need no index and are not part of it."""
        return {"name": self.name, "sha256": self._files.sha256, "idf": False}

    def encode_passages(self, passages: Sequence[Fields]) -> list[SparseVector]:
        """Weights of each passage's terms."""
        return self._encode([each.embedded for each in passages], "document")

    def encode_query(self, text: str) -> SparseVector:
        """Weights of a query's terms."""
        return self._encode([text], "query")[0]

    def terms(self, text: str) -> tuple[int, ...]:
        """The text's words, as BM25 tells them apart."""
        return self._bm25.terms(text)

    def _encode(self, texts: list[str], kind: str) -> list[SparseVector]:
        if not texts:
            return []
        with self._turn:
            encode = self._model.encode_query if kind == "query" else self._model.encode_document
            rows = encode(
                texts,
                batch_size=BATCH,
                show_progress_bar=False,
                convert_to_tensor=False,
                save_to_cpu=True,
                max_active_dims=MOST_TERMS,
            )
            return [_vector(row.coalesce()) for row in rows]

    @cached_property
    def _model(self) -> Model:
        folder = self._files.path
        import torch
        from sentence_transformers import SparseEncoder
        from transformers.utils import logging as transformers_logging

        if self._threads:
            torch.set_num_threads(self._threads)
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            model = SparseEncoder(
                str(folder), device=self._device, local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        except Exception as error:  # the library raises many kinds; each means that this folder is no usable model
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise EncoderError(
                f"sparse encoder '{self.name}' in {folder} cannot be loaded: {reason}. "
                f"Set {SETTING} to bm25, or to a SPLADE folder."
            ) from error
        model.eval()
        return model


def _vector(row: Any) -> SparseVector:
    """One text's row of the model's output, of shape (vocabulary,)."""
    found = zip(row.indices()[0].tolist(), row.values().tolist(), strict=True)
    kept = [(index, weight) for index, weight in found if weight > 0]
    return SparseVector(tuple(index for index, _ in kept), tuple(weight for _, weight in kept))
