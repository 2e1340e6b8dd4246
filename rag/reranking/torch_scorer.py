"""Runs any cross-encoder that sentence-transformers knows with torch, on a CPU or an accelerator."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag.reranking.folder import RerankerFolder

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

# Passages taken together, and in one batch: small batches waste less padding on a CPU; a GPU wants them large.
_CPU_GROUP, _CPU_BATCH = 8, 4
_GPU_GROUP = 64
_MAX_TOKENS = 512


class TorchScorer:
    """A loaded model. Thread-safe: one group at a time, so callers take turns.

    Raises RerankerError where the folder holds no usable model.
    """

    def __init__(self, folder: RerankerFolder, *, device: str | None, bf16: bool, threads: int | None = None) -> None:
        self._turn = threading.Lock()
        self._model = _load(folder, device, threads)
        if bf16:
            import torch

            self._model = self._model.to(torch.bfloat16)
        on_cpu = self._model.device.type == "cpu"
        self.group, self._batch = (_CPU_GROUP, _CPU_BATCH) if on_cpu else (_GPU_GROUP, _GPU_GROUP)
        self.max_tokens = min(int(self._model.max_length or _MAX_TOKENS), 10**6)

    def logits(self, query: str, passages: Sequence[str]) -> list[float]:
        """The model's score of each passage before any activation; sorted by length into batches by the library."""
        import torch

        with self._turn:
            found = self._model.predict(
                [(query, each) for each in passages],
                batch_size=self._batch,
                activation_fn=torch.nn.Identity(),
                show_progress_bar=False,
            )
        return [float(each) for each in np.asarray(found, np.float32).reshape(len(passages))]


def _load(folder: RerankerFolder, device: str | None, threads: int | None) -> CrossEncoder:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    path = folder.files.path
    import torch
    from sentence_transformers import CrossEncoder
    from transformers.utils import logging as transformers_logging

    if threads:
        torch.set_num_threads(threads)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: CrossEncoder = CrossEncoder(
            str(path), device=device, local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except Exception as error:  # the library raises many kinds; each means that this folder is no usable model
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise folder.refused(f"it does not load ({reason})") from error
    if model.num_labels != 1:
        raise folder.refused(f"it gives {model.num_labels} scores for a passage, and a reranker gives one")
    return model
