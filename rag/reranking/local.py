"""A cross-encoder from a folder or a hub name, in this process: torch or ONNX, loaded when first needed."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from rag.encoders.interface import Backend
from rag.encoders.local import is_cuda, on_accelerator
from rag.errors import RerankerError
from rag.reranking.budget import score_within
from rag.reranking.folder import RerankerFolder
from rag.reranking.interface import Scorer
from rag.reranking.onnx_scorer import why_not

# About what a token of English comes to; longer texts than the model reads take no more time than the part it reads.
_CHARACTERS_A_TOKEN = 4


class LocalReranker:
    """A model in this process. Thread-safe; its folder is not looked for, nor the model loaded, before it is needed."""

    def __init__(
        self,
        name: str,
        device: str = "auto",
        backend: Backend | Literal["auto"] = "auto",
        threads: int | None = None,
    ) -> None:
        self.name = name
        self._folder = RerankerFolder(name)
        self._device = None if device == "auto" else device
        self._wanted = backend
        self._threads = threads
        self._loading = threading.Lock()
        self._loaded: Scorer | None = None

    @property
    def loaded(self) -> bool:
        """Whether the model itself is in memory."""
        return self._loaded is not None

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """The folder's name and hash, whichever backend runs it."""
        return self._folder.fingerprint

    @cached_property
    def backend(self) -> Backend:
        """What scores; `auto` is decided here, from the folder's files and the device."""
        if self._wanted != "auto":
            return self._wanted
        if on_accelerator(self._device):
            return "torch-bf16" if is_cuda(self._device) else "torch-fp32"
        return "torch-fp32" if why_not(self._folder.files) else "onnx-int8"

    def check(self) -> None:
        """Raises RerankerError where the folder is missing, no cross-encoder, pickled or corrupt. Loads nothing."""
        self._folder.check()

    def warm_up(self) -> None:
        """Load the model and score once. Raises RerankerError."""
        self.scores("warm up", ["warm up"], math.inf)

    def scores(self, query: str, passages: Sequence[str], seconds: float) -> list[float]:
        """Relevance in [0, 1] of the first n passages, n as many as fit into `seconds`, and 8 at least."""
        if not passages:
            return []
        scorer = self._scorer
        longest = scorer.max_tokens * _CHARACTERS_A_TOKEN
        costs = [min(1 + len(query) + len(each), longest) for each in passages]

        def score(places: range) -> list[float]:
            return scorer.logits(query, passages[places.start : places.stop])

        logits = score_within(costs, scorer.group, seconds, score)
        if not all(math.isfinite(each) for each in logits):
            raise self._folder.refused("it gives scores that are no numbers, so its weights are broken")
        return [_logistic(each) for each in logits]

    @property
    def _scorer(self) -> Scorer:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Scorer:
        self._folder.check()
        if self.backend in ("onnx-fp32", "onnx-int8"):
            if self._device not in (None, "cpu"):
                raise RerankerError(
                    f"LIBRARIAN_RERANKER_BACKEND={self.backend} scores on the CPU, not on '{self._device}': set it to "
                    "torch-bf16 or auto, or set LIBRARIAN_ENCODER_DEVICE=cpu."
                )
            from rag.reranking.onnx_scorer import OnnxScorer

            return OnnxScorer(self._folder, int8=self.backend == "onnx-int8", threads=self._threads)
        from rag.reranking.torch_scorer import TorchScorer

        return TorchScorer(self._folder, device=self._device, bf16=self.backend == "torch-bf16", threads=self._threads)


def _logistic(logit: float) -> float:
    """1 / (1 + e^-x): keeps the order, and is what a head that was trained on yes and no means by its logit."""
    if logit < 0:
        return math.exp(logit) / (1 + math.exp(logit))
    return 1 / (1 + math.exp(-logit))
