"""What the rest of the project asks of a reranker, and a reranker of what runs its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Reranker(Protocol):
    """Scores passages against a query. Thread-safe; everything here blocks, so an event loop calls it in a thread."""

    @property
    def name(self) -> str:
        """For people: the folder or the hub name."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """What names this model and no other. Raises RerankerError where it cannot be found."""
        ...

    def check(self) -> None:
        """Look whether the model can be used, without loading it. Raises RerankerError, which says why not."""
        ...

    def warm_up(self) -> None:
        """Load the model now, so that the first question does not wait for it. Raises RerankerError."""
        ...

    def scores(self, query: str, passages: Sequence[str], seconds: float) -> list[float]:
        """Relevance in [0, 1] of the first n passages, which come best first; n is what fits into `seconds`.

        The first 8 are scored however long that takes. Loading the model, which the first call may do, does not count.
        With seconds to spare the scores depend on the query and the passages alone. Raises RerankerError.
        """
        ...


class Scorer(Protocol):
    """A loaded cross-encoder, whatever runs it. Thread-safe."""

    @property
    def group(self) -> int:
        """Passages that it takes at once for the least time a passage."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens that it reads of a query and a passage together, special ones included; the rest is cut."""
        ...

    def logits(self, query: str, passages: Sequence[str]) -> list[float]:
        """The model's own score of each passage (one or more), in their order: a logit, higher is more relevant."""
        ...
