"""An encoder around another: all but the queries is the other's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rag.encoders.interface import DenseEncoder, Vectors


class WrappedEncoder:
    """A DenseEncoder that hands everything to `inner`."""

    def __init__(self, inner: DenseEncoder) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        """For people: the folder, the hub name or the served model."""
        return self.inner.name

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """That of the encoder within: the vectors are its own."""
        return self.inner.fingerprint

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.inner.dimension

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads of one text."""
        return self.inner.max_tokens

    @property
    def tokenizer_file(self) -> Path:
        """The model's `tokenizer.json`."""
        return self.inner.tokenizer_file

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimension)."""
        return self.inner.encode_documents(texts)

    def encode_query(self, text: str) -> Vectors:
        """The query's unit vector, shape (dimension,)."""
        return self.inner.encode_query(text)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the model would read it."""
        return self.inner.token_counts(texts)

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Character span of each token of `text`."""
        return self.inner.token_offsets(text)
