"""Text that a model wants before queries and that its folder does not name."""

from __future__ import annotations

from rag.encoders.interface import DenseEncoder, Vectors
from rag.encoders.wrapped import WrappedEncoder


class PrefixedEncoder(WrappedEncoder):
    """Puts `prefix` before each query, as it is. Documents, and so collections, are those of the encoder within.

    Where queries are remembered it stands around the memory, which so knows the query with its prefix.
    """

    def __init__(self, inner: DenseEncoder, prefix: str) -> None:
        super().__init__(inner)
        self._prefix = prefix

    def encode_query(self, text: str) -> Vectors:
        """The unit vector of prefix and query, shape (dimension,)."""
        return self.inner.encode_query(self._prefix + text)
