"""What an adapter learns from: questions, each with the text that answers it and the answer's words.

A folder in the BEIR layout: `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`, and `answers` at
its top or under `metadata`: texts, or SQuAD's objects with `text` and `answer_start`) and `qrels/*.tsv`.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import BadInput


@dataclass(frozen=True, slots=True)
class Source:
    """A text of the corpus. `group` names what is never split between training and holding out: its title."""

    id: str
    title: str
    text: str

    @property
    def group(self) -> str:
        """The article or document that the text is a part of."""
        return self.title or self.id


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and its answer, `answer == source.text[start : start + len(answer)]`."""

    id: str
    question: str
    answer: str
    source: Source
    start: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """A folder's pairs and the corpus that distractors come from. `without` counts questions whose answer's words do
    not stand in a relevant text: nothing can be cited for them."""

    pairs: tuple[Pair, ...]
    corpus: tuple[Source, ...]
    without: int

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of everything that is learnt from."""
        whole = [[each.id, each.question, each.answer, each.source.id, each.start] for each in self.pairs]
        texts = [[each.id, each.title, each.text] for each in self.corpus]
        return hashlib.sha256(json.dumps([whole, texts], ensure_ascii=True).encode()).hexdigest()

    def of_groups(self, groups: Iterable[str]) -> Pairs:
        """Only what belongs to these groups, pairs and corpus."""
        kept = frozenset(groups)
        return Pairs(
            tuple(each for each in self.pairs if each.source.group in kept),
            tuple(each for each in self.corpus if each.group in kept),
            0,
        )


def read_pairs(folder: Path) -> Pairs:
    """All pairs of a folder, in the file's order. Raises BadInput, naming file and line, for what cannot be read."""
    corpus = {each["_id"]: _source(each) for each in _lines(folder / "corpus.jsonl")}
    relevant: dict[str, list[str]] = {}
    for path in sorted((folder / "qrels").glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                if float(row["score"]) > 0:
                    relevant.setdefault(row["query-id"], []).append(row["corpus-id"])
    pairs, without = [], 0
    for line in _lines(folder / "queries.jsonl"):
        sources = [corpus[each] for each in relevant.get(line["_id"], ()) if each in corpus]
        pair = _pair(line, sources)
        if pair is None:
            without += 1
        else:
            pairs.append(pair)
    if not pairs:
        raise BadInput(f"{folder} holds no question whose answer's words stand in a relevant text; see docs/tuning.md.")
    return Pairs(tuple(pairs), tuple(corpus.values()), without)


def split_groups(groups: Iterable[str], share: float, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Groups in two parts, the second with `share` of them (rounded). By the hash of seed and name: always the same."""
    ordered = sorted(set(groups), key=lambda each: hashlib.sha256(f"{seed}:{each}".encode()).digest())
    cut = len(ordered) - round(len(ordered) * share)
    return tuple(sorted(ordered[:cut])), tuple(sorted(ordered[cut:]))


def _source(line: dict[str, Any]) -> Source:
    return Source(str(line["_id"]), str(line.get("title") or ""), str(line["text"]))


def _pair(line: dict[str, Any], sources: Sequence[Source]) -> Pair | None:
    answers = line.get("answers") or (line.get("metadata") or {}).get("answers") or ()
    for answer in answers:
        text = str(answer["text"] if isinstance(answer, dict) else answer).strip()
        for source in sources:
            start = answer.get("answer_start", -1) if isinstance(answer, dict) else -1
            if source.text[start : start + len(text)] != text or start < 0:
                start = source.text.find(text)
            if text and start >= 0:
                return Pair(str(line["_id"]), str(line["text"]), text, source, start)
    return None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    found = json.loads(line)
                except ValueError as error:
                    raise BadInput(f"{path} line {number} is no JSON: {error}.") from None
                if not isinstance(found, dict) or "_id" not in found or "text" not in found:
                    raise BadInput(f"{path} line {number} lacks _id or text.")
                yield found
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; name a folder in the BEIR layout.") from None
