"""From a question and what answers it to a training pair: the passage that answers, and hard negatives beside it.

Both come from the index, as people are answered from it: negatives are what it puts near the top and nobody says
answers. Those that are too near the question are likelier right than wrong and are left out. Source of the margin
relative to the positive's score: Moreira et al., NV-Retriever, 2024.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rag.embedded import embedded_text
from rag.encoders import DenseEncoder, SparseEncoder
from rag.fusion import fuse, ranked
from rag.index.interface import DenseLeg, Index, Leg, Payload, SparseLeg
from rag.payload import DOCUMENT
from rag.schema import Scope
from rag.tuning.pairs import Candidate, HeldOut, Pair, Source

DEPTH = 60
# Enough passages of a document that the best of both legs is among them.
_OF_A_DOCUMENT = 5
_DENSE_WEIGHT = 0.6
_RRF_K = 10.0
_FIELDS = ("doc", "title", "headings", "text")

_HEADING_LINES = re.compile(r"\A(?:\s*#{1,6} [^\n]*(?:\n|\Z))+\s*")


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the documents (URIs) that answer it.

    `passage` is the text that does, where that is known; else the best passage of each document is taken. `wrong` are
    documents that somebody said do not answer. Where the question was made from a passage's last heading, `bare` says
    that texts stand without theirs: else the question would be found in the answer word for word.
    """

    text: str
    documents: tuple[str, ...]
    source: Source
    passage: str | None = None
    wrong: tuple[str, ...] = ()
    bare: bool = False


class _Found(NamedTuple):
    """A passage that was found: its cosine (None: only its words did) and its payload."""

    id: str
    dense: float | None
    payload: Payload


class Miner:
    """Mines one collection with the encoders that it was built with."""

    def __init__(
        self,
        index: Index,
        collection: str,
        scope: Scope,
        encoders: tuple[DenseEncoder, SparseEncoder],
        names: Mapping[str, str],
        *,
        negatives: int,
        margin: float,
    ) -> None:
        """`names`: what pairs call a document, by its URI. A negative's cosine is at most (1 - margin) times the
        positive's."""
        self._index = index
        self._collection = collection
        self._scope = scope
        self._dense, self._sparse = encoders
        self._names = names
        self._negatives = negatives
        self._margin = margin

    def pairs(self, question: Question, apart: Collection[str]) -> list[Pair]:
        """A pair for each document that answers, with negatives from none of these nor of `apart` (URIs).

        None where no passage of it is in the index.
        """
        found = self._search(question.text, DEPTH)
        wrong = [each for uri in question.wrong for each in self._search(question.text, 1, uri)[:1]]
        made = []
        for uri in question.documents:
            best = next(iter(self._search(question.text, _OF_A_DOCUMENT, uri)), None)
            if best is None:
                continue
            positive = question.passage or _text(best.payload, question.bare)
            others = [each for each in found if each.payload["doc"] not in {*question.documents, *apart}]
            kept = [*wrong, *self._hard(others, best)]
            texts = list(dict.fromkeys(_text(each.payload, question.bare) for each in kept))
            negatives = [each for each in texts if each != positive][: self._negatives]
            made.append(Pair(question.text, positive, tuple(negatives), self._name(uri), question.source))
        return made

    def held_out(self, question: Question, candidates: int) -> HeldOut:
        """The question with the best `candidates` passages, and the best ones of the documents that answer."""
        best = self._search(question.text, candidates)[:candidates]
        right = [each for uri in question.documents for each in self._search(question.text, _OF_A_DOCUMENT, uri)]
        passages = {each.id: each for each in (*right, *best)}.values()
        found = [Candidate(self._name(each.payload["doc"]), _text(each.payload, question.bare)) for each in passages]
        relevant = tuple(self._name(uri) for uri in question.documents)
        return HeldOut(question.text, relevant, tuple(dict.fromkeys(found)), question.source)

    def _hard(self, found: Sequence[_Found], positive: _Found) -> list[_Found]:
        """The best passage of each document that is not nearly as near the question as the positive is."""
        most = None if positive.dense is None else positive.dense - self._margin * abs(positive.dense)
        first: dict[str, _Found] = {}
        for each in found:
            if most is None or each.dense is None or each.dense <= most:
                first.setdefault(each.payload["doc"], each)
        return list(first.values())

    def _search(self, text: str, limit: int, uri: str | None = None) -> list[_Found]:
        """Both legs' best passages, of one document or of all, best first, each with its payload."""
        legs: list[Leg] = [
            DenseLeg(self._dense.encode_query(text).tolist(), limit),
            SparseLeg(self._sparse.encode_query(text), limit),
        ]
        where = None if uri is None else {DOCUMENT: [uri]}
        dense, sparse = self._index.query(self._collection, legs, self._scope, where, _FIELDS)
        payloads = {hit.id: hit.payload for hit in (*dense, *sparse)}
        best = ranked(fuse("weighted", dense, sparse, _DENSE_WEIGHT, _RRF_K), dense, sparse)
        return [_Found(each.id, each.dense, payloads[each.id]) for each in best]

    def _name(self, uri: str) -> str:
        return self._names.get(uri, uri)


def bare_text(title: str, headings: Sequence[str], text: str) -> str:
    """A passage as it is embedded, without its last heading and without heading lines of Markdown before its text."""
    said = _HEADING_LINES.sub("", text) or text
    return embedded_text(title if headings else "", headings[:-1], said)


def _text(payload: Payload, bare: bool) -> str:
    text_of = bare_text if bare else embedded_text
    return text_of(payload["title"], tuple(payload["headings"]), payload["text"])
