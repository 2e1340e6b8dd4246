"""Runs any sentence-transformers model with torch, on a CPU or an accelerator."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from rag.encoders.folder import ModelFolder
from rag.encoders.interface import MAX_CHUNK_TOKENS, Kind, Vectors
from rag.errors import EncoderError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Texts at once: small batches waste less padding and stay in a CPU's caches; a GPU wants them large.
_CPU_BATCH, _GPU_BATCH = 8, 128
# A GPU is done with this many batches before a query could notice that it waited.
_GPU_BATCHES_A_TURN = 8


class TorchRuntime:
    """A loaded model. Thread-safe: one encode at a time, and a query goes before the next batch of documents.

    Raises EncoderError where the folder holds no usable model.
    """

    def __init__(
        self,
        files: ModelFolder,
        *,
        device: str | None,
        bf16: bool,
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._turns = Turns()
        self.model = _load(files, device, threads)
        if bf16:
            import torch

            self.model = self.model.to(torch.bfloat16)
        on_cpu = self.model.device.type == "cpu"
        self._batch = batch_size or (_CPU_BATCH if on_cpu else _GPU_BATCH)
        self._turn = self._batch * (1 if on_cpu else _GPU_BATCHES_A_TURN)
        self.max_tokens = int(self.model.max_seq_length or MAX_CHUNK_TOKENS)

    @property
    def dimension(self) -> int | None:
        """Length of a vector, where the model knows it."""
        return self.model.get_embedding_dimension()

    def encode(self, texts: Sequence[str], kind: Kind) -> Vectors:
        """Unit vectors in the texts' order, shape (len(texts), dimension)."""
        if kind == "query":
            with self._turns.next():
                found = self.model.encode_query(list(texts), normalize_embeddings=True, show_progress_bar=False)
            return _unit(np.asarray(found, dtype=np.float32))
        longest_first = sorted(range(len(texts)), key=lambda each: -len(texts[each]))
        parts = []
        for start in range(0, len(texts), self._turn):
            part = [texts[each] for each in longest_first[start : start + self._turn]]
            with self._turns.last():
                found = self.model.encode_document(
                    part, batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False
                )
            parts.append(np.asarray(found, dtype=np.float32))
        vectors = np.empty((len(texts), parts[0].shape[1]), np.float32)
        vectors[longest_first] = np.concatenate(parts)
        return _unit(vectors)


def _unit(vectors: Vectors) -> Vectors:
    """bf16 rounds a unit vector's length by up to a thousandth, and lengths must not change an order."""
    lengths: Vectors = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return vectors / lengths


class Turns:
    """One holder at a time; who asks for the next turn goes before all who can wait."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._held = False
        self._pressing = 0

    @contextmanager
    def next(self) -> Iterator[None]:
        """Hold it as soon as the present holder lets go."""
        with self._free:
            self._pressing += 1
            try:
                self._free.wait_for(lambda: not self._held)
                self._held = True
            finally:
                self._pressing -= 1
        yield from self._hold()

    @contextmanager
    def last(self) -> Iterator[None]:
        """Hold it once nobody asks for the next turn."""
        with self._free:
            self._free.wait_for(lambda: not self._held and not self._pressing)
            self._held = True
        yield from self._hold()

    def _hold(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._free:
                self._held = False
                self._free.notify_all()


def _load(files: ModelFolder, device: str | None, threads: int | None) -> SentenceTransformer:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    folder = files.path
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    if threads:
        torch.set_num_threads(threads)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(str(folder), device=device, local_files_only=True)
    except Exception as error:  # the library raises many kinds; each means that this folder is no usable model
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EncoderError(
            f"encoder '{files.name}' in {folder} cannot be loaded: {reason}. "
            "Set LIBRARIAN_ENCODER to a sentence-transformers folder."
        ) from error
    model.eval()
    return model
