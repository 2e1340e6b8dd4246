"""Text to sparse vectors: Qdrant's own BM25."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag.encoders.interface import Fields
from rag.errors import EncoderError
from rag.schema import SparseVector


class Bm25Encoder:
    """Term weights here, inverse document frequency in the index (Modifier.IDF).

    A term's weight is tf (k + 1) / (tf + k (1 - b + b len / avg_len)) with k 1.2, b 0.75 and avg_len 256 (Robertson
    and Zaragoza, 2009); a query's terms weigh 1. Each word of a passage's title and headings counts as `title_weight`
    and `heading_weight` words (as weighted fields: Robertson, Zaragoza and Taylor, CIKM 2004).
    """

    def __init__(self, language: str = "english", title_weight: int = 1, heading_weight: int = 1) -> None:
        from qdrant_edge import Bm25, Bm25Config

        self._language = language
        self._weights = {"title_weight": title_weight, "heading_weight": heading_weight}
        try:
            self._bm25 = Bm25(Bm25Config(language=language))
        except ValueError as error:
            raise EncoderError(f"LIBRARIAN_BM25_LANGUAGE '{language}' is not one that BM25 knows: {error}") from error

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """What must be equal between writer and reader. A weight of 1 is not named: older collections name none."""
        weights = {name: weight for name, weight in self._weights.items() if weight != 1}
        return {"name": "qdrant-bm25", "language": self._language, "k": 1.2, "b": 0.75, "avg_len": 256, **weights}

    def encode_document(self, text: str) -> SparseVector:
        """Weights of a passage's terms."""
        vector = self._bm25.embed_document(text)
        return SparseVector(tuple(vector.indices), tuple(vector.values))

    def encode_passage(self, title: str, headings: Sequence[str], embedded: str) -> SparseVector:
        """Weights of the terms of a passage; `embedded` is its text with title and headings before it, once."""
        repeated = [title] * (self._weights["title_weight"] - 1)
        repeated += list(headings) * (self._weights["heading_weight"] - 1)
        return self.encode_document("\n".join([*repeated, embedded]))

    def encode_passages(self, passages: Sequence[Fields]) -> list[SparseVector]:
        """The same for many."""
        return [self.encode_passage(*each) for each in passages]

    def terms(self, text: str) -> tuple[int, ...]:
        """The text's terms."""
        return self.encode_document(text).indices

    def encode_query(self, text: str) -> SparseVector:
        """A query's terms."""
        vector = self._bm25.embed_query(text)
        return SparseVector(tuple(vector.indices), tuple(vector.values))
