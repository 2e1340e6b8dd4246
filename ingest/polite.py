"""An encoder that lets questions pass while it works for a job in the same process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from rag.encoders import DenseEncoder, Vectors

# A question waits for at most one slice, and each slice costs a pause: 1% of the job's speed at this length.
SLICE_SECONDS = 0.2
PAUSE_SECONDS = 0.002
_MOST = 512
_LEAST = 4


class PoliteEncoder:
    """A DenseEncoder that encodes documents in slices of about `SLICE_SECONDS`, letting the encoder go in between.

    An encoder takes one call at a time, and a lock that is let go and taken again at once never reaches those who wait
    for it: hence the pause. Everything but `encode_documents` is the encoder's own.
    """

    def __init__(self, encoder: DenseEncoder) -> None:
        self._encoder = encoder
        self._size = 8

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """As the encoder's; texts of like length should stand together."""
        slices: list[Vectors] = []
        start = 0
        while start < len(texts) or not slices:
            some = texts[start : start + self._size]
            began = time.monotonic()
            slices.append(self._encoder.encode_documents(some))
            elapsed = time.monotonic() - began
            start += len(some)
            if some:
                wanted = int(len(some) * SLICE_SECONDS / max(elapsed, 1e-4))
                # Twice as many at most: the first call also loads the model, a lucky one must not decide the next.
                self._size = max(_LEAST, min(_MOST, wanted, 2 * self._size))
            if start < len(texts):
                time.sleep(PAUSE_SECONDS)
        return slices[0] if len(slices) == 1 else np.concatenate(slices)
