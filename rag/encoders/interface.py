"""What the rest of the project asks of an encoder, dense or sparse, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.schema import SparseVector

Vectors = NDArray[np.float32]

Backend = Literal["torch-fp32", "torch-bf16", "onnx-fp32", "onnx-int8"]
Kind = Literal["document", "query"]

# More tokens than this in one chunk blur what a single vector says, whatever the encoder could read.
MAX_CHUNK_TOKENS = 256


class DenseEncoder(Protocol):
    """Text to unit vectors. Thread-safe: a query waits for one mini-batch of documents at most, not for all of them."""

    @property
    def name(self) -> str:
        """For people: the folder, the hub name or the served model."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """What must be the same between the encoder that wrote a collection and the one that reads it."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads of one text, special tokens included. It cuts longer ones: hand it none."""
        ...

    @property
    def tokenizer_file(self) -> Path:
        """The model's `tokenizer.json`, found without loading the model. Raises EncoderError where there is none."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors in the texts' order, shape (len(texts), dimension). Hand over many at once: they are sorted."""
        ...

    def encode_query(self, text: str) -> Vectors:
        """The query's unit vector, shape (dimension,)."""
        ...

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the model would read it, special tokens included, nothing cut."""
        ...

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Character span of each token of `text`, special tokens left out."""
        ...


class Fields(NamedTuple):
    """A passage as its sparse vector is made: `embedded` is its text with title and headings before it, once."""

    title: str
    headings: Sequence[str]
    embedded: str


class SparseEncoder(Protocol):
    """Text to sparse vectors. Thread-safe."""

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """What must be equal between writer and reader. `idf` False: the index must not weigh terms by rarity."""
        ...

    def encode_passages(self, passages: Sequence[Fields]) -> list[SparseVector]:
        """A vector for each passage, in their order."""
        ...

    def encode_query(self, text: str) -> SparseVector:
        """The query's vector."""
        ...

    def terms(self, text: str) -> tuple[int, ...]:
        """The words of a text, stemmed, without stop words, as numbers: what relevance compares (`rag.relevance`)."""
        ...


class Runtime(Protocol):
    """A loaded model, whatever runs it. Thread-safe."""

    @property
    def dimension(self) -> int | None:
        """Length of a vector, where the model knows it."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens that it reads of one text, special ones and prompts included; the rest is cut."""
        ...

    def encode(self, texts: Sequence[str], kind: Kind) -> Vectors:
        """Unit vectors of one text or more, shape (len(texts), dimension)."""
        ...
