"""Vectors of texts, encoded once by an encoder and kept in a folder for the next run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag.encoders import DenseEncoder, LocalEncoder, Vectors
from rag.encoders.wrapped import WrappedEncoder


class KeptVectors:
    """Known by what encodes and by the text, so that another model, backend or text is encoded anew."""

    def __init__(self, folder: Path, dense: LocalEncoder) -> None:
        encoder = json.dumps([dict(dense.fingerprint), dense.backend], sort_keys=True)
        self._file = folder / f"vectors-{hashlib.sha256(encoder.encode()).hexdigest()[:12]}.npz"
        self._dense = dense
        self._known = self._read()
        self._saved = len(self._known)

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Those of the texts that must be encoded, each once."""
        return list({digest: text for text in texts if (digest := _digest(text)) not in self._known}.values())

    def of(self, texts: Sequence[str]) -> Vectors:
        """The texts' unit vectors, shape (len(texts), dimension); encodes what is missing."""
        if new := self.missing(texts):
            self._known.update(zip(map(_digest, new), self._dense.encode_documents(new), strict=True))
        if not texts:
            return np.empty((0, self._dense.dimension), dtype=np.float32)
        return np.stack([self._known[_digest(each)] for each in texts])

    def save(self) -> None:
        """Put what was encoded into the folder."""
        if len(self._known) == self._saved:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_name(f"{os.getpid()}.npz")
        digests = np.array(list(self._known), dtype="S32")
        np.savez(unfinished, digests=digests, vectors=np.stack(list(self._known.values())))
        unfinished.replace(self._file)
        self._saved = len(self._known)

    def _read(self) -> dict[bytes, Vectors]:
        if not self._file.exists():
            return {}
        with np.load(self._file) as both:
            return dict(zip(both["digests"].tolist(), both["vectors"], strict=True))


class KeptEncoder(WrappedEncoder):
    """An encoder whose documents' vectors are kept; queries are encoded each time."""

    def __init__(self, inner: DenseEncoder, kept: KeptVectors) -> None:
        super().__init__(inner)
        self._kept = kept

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimension)."""
        return self._kept.of(texts)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest().encode()
