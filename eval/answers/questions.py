"""What is asked: each question with its history, its gold answers, and whether the documents answer it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from eval.datasets import QRELS, QUERIES, Dataset, Query, open_dataset, read_queries
from eval.errors import DatasetError
from eval.judgements import read_qrels
from rag.schema import Message

# A part of the question is answered by "partial"; "underspecified" calls for a question back, so that neither an answer
# nor a refusal of it is counted.
Kind = Literal["answerable", "partial", "unanswerable", "underspecified"]
TO_BE_ANSWERED: tuple[Kind, ...] = ("answerable", "partial")

_SPEAKERS: Mapping[str, Literal["user", "assistant"]] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "agent": "assistant",
    "bot": "assistant",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. `relevant` are the documents judged to answer it, `gold` what people answered.

    `hidden`: its relevant documents are kept out of every search for it, so `kind` is "unanswerable".
    """

    id: str
    text: str
    kind: Kind
    history: tuple[Message, ...] = ()
    gold: tuple[str, ...] = ()
    relevant: frozenset[str] = frozenset()
    hidden: bool = False

    @property
    def answerable(self) -> bool:
        """Whether an answer is expected."""
        return self.kind in TO_BE_ANSWERED


@dataclass(frozen=True, slots=True)
class Questions:
    """All that is asked of a dataset. `unknown` counts queries of which nobody says whether they can be answered."""

    dataset: Dataset
    asked: tuple[Asked, ...]
    unknown: int
    hash: str

    def first(self, count: int) -> Questions:
        """The same with `count` questions: another set. They keep the shares of their kinds, as nearly as can be."""
        if count >= len(self.asked):
            return self
        place = dict.fromkeys(get_args(Kind), 0)
        total = {kind: sum(each.kind == kind for each in self.asked) for kind in get_args(Kind)}
        order = []
        for number, each in enumerate(self.asked):
            place[each.kind] += 1
            order.append(((place[each.kind] - 0.5) / total[each.kind], number))
        chosen = sorted(number for _, number in sorted(order)[:count])
        asked = tuple(self.asked[number] for number in chosen)
        return replace(self, asked=asked, hash=_hash(self.dataset, asked))


def read_questions(dataset: Dataset, hide: float = 0.0, seed: int = 0) -> Questions:
    """The questions of an open dataset, in the file's order: those with judgements, and those said to be unanswerable.

    `hide` is the share of answerable questions whose relevant documents are hidden; which ones depends on `seed` and
    the question's id only. Raises DatasetError for malformed metadata.
    """
    judged = {each.id: dataset.qrels[each.id] for each in dataset.queries}
    elsewhere = _judged_elsewhere(dataset)
    asked: list[Asked] = []
    unknown = 0
    for query in read_queries(dataset.folder / QUERIES):
        if query.id in elsewhere and query.id not in judged:
            continue
        relevant = frozenset(name for name, grade in judged.get(query.id, {}).items() if grade > 0)
        kind = _kind(query) or ("answerable" if relevant else None)
        if kind is None:
            unknown += 1
            continue
        one = Asked(query.id, query.text, kind, _history(query), _gold(query), relevant)
        if one.answerable and relevant and _drawn(query.id, seed) < hide:
            one = replace(one, kind="unanswerable", hidden=True)
        asked.append(one)
    if not asked:
        raise DatasetError(f"{dataset.folder / QUERIES} holds no question that judgements or 'answerable' speak of.")
    return Questions(dataset, tuple(asked), unknown, _hash(dataset, asked))


def open_questions(folder: Any, split: str | None = None, hide: float = 0.0, seed: int = 0) -> Questions:
    """`read_questions` of a folder. Raises DatasetError."""
    return read_questions(open_dataset(folder, split), hide, seed)


def _judged_elsewhere(dataset: Dataset) -> frozenset[str]:
    """Queries of the other splits: they are not this one's to ask."""
    others = [each for each in (dataset.folder / QRELS).glob("*.tsv") if each.stem != dataset.split]
    return frozenset(query for each in others for query in read_qrels(each))


def _kind(query: Query) -> Kind | None:
    """What the query's metadata says: `answerable` as a boolean, or `answerability` as one of the kinds in any case."""
    said = query.metadata.get("answerable")
    if isinstance(said, bool):
        return "answerable" if said else "unanswerable"
    if said is not None:
        raise DatasetError(f"query '{query.id}' has an 'answerable' that is neither true nor false.")
    found = query.metadata.get("answerability")
    word = found[0] if isinstance(found, list) and found else found
    if word in (None, []):
        return None
    for kind in get_args(Kind):
        if isinstance(word, str) and word.casefold() == kind:
            named: Kind = kind
            return named
    raise DatasetError(f"query '{query.id}' has the answerability {word!r}; known are {', '.join(get_args(Kind))}.")


def _gold(query: Query) -> tuple[str, ...]:
    """Gold answers: `answers` (texts, or SQuAD's objects with a text), `answer`, or `reference_answer`."""
    found: list[str] = []
    for key in ("answers", "answer", "reference_answer"):
        value = query.metadata.get(key)
        for each in value if isinstance(value, list) else [value]:
            text = each.get("text") if isinstance(each, dict) else each
            if isinstance(text, str) and text.strip():
                found.append(text.strip())
        if found:
            break
    return tuple(dict.fromkeys(found))


def _history(query: Query) -> tuple[Message, ...]:
    """Earlier turns: `speaker` and `text`, or OpenAI's `role` and `content`."""
    turns = query.metadata.get("history", [])
    if not isinstance(turns, list):
        raise DatasetError(f"query '{query.id}' has a history that is no list.")
    found = []
    for turn in turns:
        said = turn if isinstance(turn, dict) else {}
        role = _SPEAKERS.get(str(said.get("speaker", said.get("role"))).casefold())
        text = said.get("text", said.get("content"))
        if role is None or not isinstance(text, str):
            raise DatasetError(f"query '{query.id}' has a turn without a speaker (user, agent) and a text.")
        found.append(Message(role, text))
    return tuple(found)


def _drawn(identity: str, seed: int) -> float:
    """A number in [0, 1) that looks random, and is always the same."""
    digest = hashlib.sha256(f"{seed}:{identity}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _hash(dataset: Dataset, asked: Sequence[Asked]) -> str:
    """SHA-256 (hex) of everything that is asked and expected."""
    whole = [
        [
            [each.id, each.text, each.kind, each.hidden, each.gold, sorted(each.relevant)],
            [[turn.role, turn.content] for turn in each.history],
        ]
        for each in sorted(asked, key=lambda each: each.id)
    ]
    return hashlib.sha256(json.dumps([dataset.split, whole], ensure_ascii=True).encode()).hexdigest()
