"""Questions with the spans that answer them, and how much of these spans a ranking of chunks brings back."""

from __future__ import annotations

import csv
import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from rag.reach import Reach

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Question:
    """`gold` are the characters of the corpus that answer it."""

    corpus: str
    text: str
    gold: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk: the span of its corpus that is shown, and the text that is embedded for it."""

    corpus: str
    start: int
    end: int
    embedded: str


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over questions; `characters` is what the passages of one question come to."""

    recall: float
    precision: float
    iou: float
    characters: float


def load(folder: Path) -> tuple[dict[str, str], list[Question]]:
    """The corpora by name and the questions; line ends are kept as they are, for the offsets count them."""
    corpora = {}
    for path in sorted((folder / "corpora").glob("*.md")):
        with path.open(encoding="utf-8", newline="") as file:
            corpora[path.stem] = file.read()
    with (folder / "questions_df.csv").open(encoding="utf-8", newline="") as file:
        questions = [
            Question(
                row["corpus_id"],
                row["question"],
                tuple((each["start_index"], each["end_index"]) for each in json.loads(row["references"])),
            )
            for row in csv.DictReader(file)
        ]
    return corpora, questions


def joined(ranking: Iterable[int], pieces: Sequence[Piece], count: int, reach: Reach) -> list[Piece]:
    """The best `count` passages: each hit with the chunks of its corpus that are within its reach.

    A hit that an earlier passage holds already is passed over, and a chunk is in one passage only. The reach knows
    chunks by their numbers, as text.
    """
    taken: set[int] = set()
    passages: list[Piece] = []
    for hit in ranking:
        if hit in taken:
            continue
        before, after = reach.around(str(hit), partial(_free, hit, pieces, taken))
        taken.update(range(hit - before, hit + after + 1))
        passages.append(Piece(pieces[hit].corpus, pieces[hit - before].start, pieces[hit + after].end, ""))
        if len(passages) == count:
            break
    return passages


def _free(hit: int, pieces: Sequence[Piece], taken: Container[int], step: int) -> str | None:
    """The chunk so many steps from the hit; None where the corpus ends before it or a passage has it."""
    number = hit + step
    if not 0 <= number < len(pieces) or number in taken or pieces[number].corpus != pieces[hit].corpus:
        return None
    return str(number)


def score(question: Question, passages: Sequence[Piece]) -> Scores:
    """One question's recall, precision and IoU in characters, as benchmarks/chunking.py defines them."""
    found = _size(
        (max(each.start, start), min(each.end, end))
        for each in passages
        if each.corpus == question.corpus
        for start, end in question.gold
    )
    gold = _size(question.gold)
    retrieved = sum(each.end - each.start for each in passages)
    return Scores(found / gold, found / retrieved, found / (retrieved + gold - found), retrieved)


def mean(scores: Sequence[Scores]) -> Scores:
    """The mean of each measure."""
    table = np.array([(each.recall, each.precision, each.iou, each.characters) for each in scores])
    return Scores(*(float(value) for value in table.mean(axis=0)))


def _size(ranges: Iterable[Range]) -> int:
    """Characters in at least one of the ranges."""
    size, covered = 0, 0
    for start, end in sorted(each for each in ranges if each[0] < each[1]):
        size += max(0, end - max(start, covered))
        covered = max(covered, end)
    return size
