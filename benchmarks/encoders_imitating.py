"""What torch-bf16 would give, on a processor without bfloat16: its numbers, not its speed.

A processor that has the type multiplies bfloat16 numbers, adds up in float32 and rounds the result. The same is done
here in float32: all weights are rounded once, and what goes into and comes out of each layer is rounded as it goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rag.encoders.folder import find_folder
from rag.encoders.interface import Vectors


class ImitatedBf16:
    """Encodes texts as torch-bf16 does, up to the order in which sums are made."""

    def __init__(self, model: str) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(str(find_folder(model)), device="cpu", local_files_only=True).eval()
        for each in self._model.parameters():
            each.data = _rounded(each.data)
        for layer in self._model.modules():
            if not list(layer.children()):
                layer.register_forward_pre_hook(lambda _layer, given: _rounded(given))
                layer.register_forward_hook(lambda _layer, _given, made: _rounded(made))

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors in the texts' order."""
        return self._unit(self._model.encode_document(list(texts), batch_size=8, show_progress_bar=False))

    def encode_query(self, text: str) -> Vectors:
        """One unit vector."""
        return self._unit(self._model.encode_query([text], show_progress_bar=False))[0]

    def _unit(self, found: Any) -> Vectors:
        vectors: Vectors = np.asarray(found, np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _rounded(found: Any) -> Any:
    import torch

    if isinstance(found, torch.Tensor):
        return found.bfloat16().float() if found.is_floating_point() else found
    if isinstance(found, tuple | list):
        return type(found)(map(_rounded, found))
    return found
