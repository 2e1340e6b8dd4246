"""Training pairs and the questions held out from them, as they are kept: two files of JSON lines and a card.

`pairs.jsonl` is what a training reads; `held-out.jsonl` decides when it stops and says what it brought. No document
has a part in both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from rag.tuning.errors import BadPairs

PAIRS = "pairs.jsonl"
HELD_OUT = "held-out.jsonl"
CARD = "pairs.json"
FORMAT = 1

Source = Literal["qrels", "feedback", "structure", "model"]
SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True, slots=True)
class Pair:
    """A question, a passage that answers it, and passages that look like it and do not, the hardest first."""

    query: str
    positive: str
    negatives: tuple[str, ...]
    document: str
    source: Source


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage and the document that it is of."""

    document: str
    text: str


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A question with the documents that answer it, and passages among which they are to be found."""

    query: str
    relevant: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    source: Source


@dataclass(frozen=True, slots=True)
class PairsCard:
    """What pairs were made of. `sha256` is of `pairs.jsonl`, `held_out_sha256` of the other file.

    `mined_with` is the fingerprint of what the negatives were mined with; `dropped` counts by reason; `licence` is that
    of the texts, as far as it was named.
    """

    name: str
    sha256: str
    held_out_sha256: str
    pairs: int
    held_out: int
    by_source: Mapping[str, int]
    seed: int
    share_held_out: float
    margin: float
    negatives: int
    mined_with: Mapping[str, Any]
    dropped: Mapping[str, int] = field(default_factory=dict)
    licence: str = "not stated"
    split: str = "by document"


@dataclass(frozen=True, slots=True)
class PairSet:
    """A folder's pairs, whole."""

    folder: Path
    card: PairsCard
    pairs: tuple[Pair, ...]
    held_out: tuple[HeldOut, ...]

    def check_enough(self) -> None:
        """Raise BadPairs where a training could learn nothing, or could not be seen to."""
        if len(self.pairs) < 2 or not self.held_out:
            raise BadPairs(
                f"{self.folder} has {len(self.pairs)} pairs and {len(self.held_out)} questions held out: a training "
                "needs two pairs and one question at least, so make more (librarian tune pairs)."
            )


def write_pairs(folder: Path, pairs: Sequence[Pair], held_out: Sequence[HeldOut], card: PairsCard) -> PairSet:
    """Write the folder; the card's counts and hashes are filled in here. Raises BadPairs where it cannot be written."""
    texts = {PAIRS: _lines(pairs), HELD_OUT: _lines(held_out)}
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    by_source = {each: sum(pair.source == each for pair in pairs) for each in SOURCES}
    facts = {
        **asdict(card),
        "sha256": hashes[PAIRS],
        "held_out_sha256": hashes[HELD_OUT],
        "pairs": len(pairs),
        "held_out": len(held_out),
        "by_source": {each: count for each, count in by_source.items() if count},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        whole = json.dumps({"format": FORMAT, **facts}, indent=1, ensure_ascii=False) + "\n"
        (folder / CARD).write_text(whole, encoding="utf-8")
    except OSError as error:
        raise BadPairs(f"the pairs cannot be written to {folder}: {error.strerror or error} (--out FOLDER).") from None
    return PairSet(folder, PairsCard(**facts), tuple(pairs), tuple(held_out))


def read_pairs(folder: Path) -> PairSet:
    """Read a folder. Raises BadPairs, naming file and line, where it is not what its card says."""
    folder = folder.expanduser()
    card = _read_card(folder / CARD)
    found = {}
    for name, wanted in ((PAIRS, card.sha256), (HELD_OUT, card.held_out_sha256)):
        try:
            found[name] = (folder / name).read_bytes()
        except OSError as error:
            raise BadPairs(f"{folder / name} cannot be read: {error.strerror or error}.") from None
        if hashlib.sha256(found[name]).hexdigest() != wanted:
            raise BadPairs(f"{folder / name} is not what {CARD} says was made: make the pairs again (tune pairs).")
    pairs = tuple(_pair(each, where) for each, where in _objects(folder / PAIRS, found[PAIRS]))
    held_out = tuple(_held_out(each, where) for each, where in _objects(folder / HELD_OUT, found[HELD_OUT]))
    return PairSet(folder, card, pairs, held_out)


def _read_card(path: Path) -> PairsCard:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise ValueError("it is of another format")
        return PairsCard(**found)
    except FileNotFoundError:
        raise BadPairs(f"{path.parent} holds no pairs ({CARD}): make them with `librarian tune pairs`.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadPairs(f"{path} is no card of pairs: {type(error).__name__} {error}.") from None


def _lines(found: Iterable[Pair | HeldOut]) -> str:
    return "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in found)


def _objects(path: Path, content: bytes) -> Iterator[tuple[Mapping[str, Any], str]]:
    for number, line in enumerate(content.decode("utf-8", errors="replace").split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise BadPairs(f"{where} is no JSON.") from None
        if not isinstance(found, dict):
            raise BadPairs(f"{where} is no JSON object.")
        yield found, where


def _pair(found: Mapping[str, Any], where: str) -> Pair:
    try:
        return Pair(**{**found, "negatives": tuple(found["negatives"])})
    except (KeyError, TypeError) as error:
        raise BadPairs(f"{where} is no pair: {error}.") from None


def _held_out(found: Mapping[str, Any], where: str) -> HeldOut:
    try:
        candidates = tuple(Candidate(**each) for each in found["candidates"])
        return HeldOut(**{**found, "relevant": tuple(found["relevant"]), "candidates": candidates})
    except (KeyError, TypeError) as error:
        raise BadPairs(f"{where} is no question held out: {error}.") from None
