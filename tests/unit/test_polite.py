"""The encoder that lets questions pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ingest.polite import SLICE_SECONDS, PoliteEncoder
from rag.encoders import Vectors
from tests.ingest_kit import HashEncoder


class SlowEncoder:
    """Stands for an encoder that takes a hundredth of a second a text and one call at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: list[int] = []

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        with self.lock:
            self.calls.append(len(texts))
            time.sleep(0.01 * len(texts))
        return np.asarray([[float(each)] for each in texts], dtype=np.float32)

    def encode_query(self, text: str) -> float:
        began = time.monotonic()
        with self.lock:
            return time.monotonic() - began


def test_the_vectors_are_those_of_the_encoder_in_the_same_order() -> None:
    encoder = HashEncoder()
    texts = [f"text {number}" for number in range(100)]
    polite: Any = PoliteEncoder(encoder)
    assert np.array_equal(polite.encode_documents(texts), encoder.encode_documents(texts))
    assert polite.encode_documents([]).shape == (0, 8)
    assert polite.fingerprint == encoder.fingerprint


def test_slices_take_about_their_time() -> None:
    slow = SlowEncoder()
    PoliteEncoder(slow).encode_documents([str(each) for each in range(100)])  # type: ignore[arg-type]
    assert sum(slow.calls) == 100
    assert max(slow.calls) * 0.01 <= 1.5 * SLICE_SECONDS


def test_a_question_waits_for_one_slice_only() -> None:
    slow = SlowEncoder()
    polite: Any = PoliteEncoder(slow)  # type: ignore[arg-type]
    job = threading.Thread(target=polite.encode_documents, args=([str(each) for each in range(200)],))
    job.start()
    waited = []
    while job.is_alive():
        time.sleep(0.05)
        waited.append(polite.encode_query("q"))
    assert len(waited) > 3
    assert max(waited) < 4 * SLICE_SECONDS
