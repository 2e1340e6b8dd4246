"""Which documents are held out: by a hash of seed and name, and never apart from those that share a question."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def held_out_documents(questions: Iterable[Sequence[str]], share: float, seed: int) -> frozenset[str]:
    """The documents of about `share` of the questions, whatever their order.

    Each question is the documents that answer it. Documents that answer one question, directly or through others, are
    on one side together, so no question and no document has a part in both. A document does not change sides when
    others are added, unless a question joins it to one on the other side.
    """
    leaders: dict[str, str] = {}

    def leader(name: str) -> str:
        leaders.setdefault(name, name)
        while leaders[name] != name:
            leaders[name] = leaders[leaders[name]]
            name = leaders[name]
        return name

    for documents in questions:
        for each in documents:
            first, other = sorted((leader(documents[0]), leader(each)))
            leaders[other] = first
    return frozenset(each for each in leaders if _share(leader(each), seed) < share)


def _share(name: str, seed: int) -> float:
    digest = hashlib.sha256(f"held-out:{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
