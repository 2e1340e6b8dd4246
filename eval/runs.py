"""Runs and judgements as TREC writes them, so that trec_eval and every tool that reads its files agree with ours.

A run's line is `query Q0 document rank score tag`. trec_eval ignores the rank: it sorts by score as a 32-bit float, and
documents of equal scores by their names, descending. So scores are written strictly decreasing as 32-bit floats, and
the order is ours. Names with white space, which would split a line, are percent-encoded.

Source: trec_eval 9, `form_res_rels.c` (NIST), and its README.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from eval.judgements import Qrels
from rag.errors import BadInput

_UNSAFE = re.compile(r"[\s%\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document that was retrieved, and its score; the higher the better."""

    document: str
    score: float


# By query, best first.
Run = Mapping[str, Sequence[Ranked]]


def strictly_decreasing(scores: Iterable[float]) -> Iterator[float]:
    """Each score as a 32-bit float, lowered where it is not below the one before: by the least such a float can be.

    Raises BadInput for a score that is no number, or has no room below it.
    """
    import numpy as np

    lowest = np.float32(-np.inf)
    last = np.float32(np.inf)
    for score in scores:
        with np.errstate(over="ignore"):
            this = min(np.float32(score), np.nextafter(last, lowest, dtype=np.float32))
        if not math.isfinite(this):
            raise BadInput(f"a score of {score} cannot be written to a run file.")
        last = this
        yield float(this)


def scores(run: Run) -> dict[str, dict[str, float]]:
    """By query, by document, the score as a run file has it."""
    return {
        query: dict(
            zip(
                (each.document for each in ranked),
                strictly_decreasing(each.score for each in ranked),
                strict=True,
            )
        )
        for query, ranked in run.items()
    }


def write_run(path: Path, run: Run, tag: str) -> None:
    """Write a TREC run file. Nine significant digits tell every 32-bit float from the next."""
    with path.open("w", encoding="utf-8") as file:
        for query, found in scores(run).items():
            for rank, (document, score) in enumerate(found.items(), 1):
                file.write(f"{_safe(query)} Q0 {_safe(document)} {rank} {score:.9g} {_safe(tag)}\n")


def read_run(path: Path) -> dict[str, list[Ranked]]:
    """A TREC run file, sorted as trec_eval sorts it. Raises BadInput with the number of a malformed line."""
    found: dict[str, list[Ranked]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from None
    for number, line in enumerate(lines, 1):
        parts = line.split()
        try:
            query, _, document, _, score, *_ = parts
            found.setdefault(unquote(query), []).append(Ranked(unquote(document), float(score)))
        except ValueError:
            raise BadInput(f"{path} line {number} is no 'query Q0 document rank score tag'.") from None
    for ranked in found.values():
        ranked.sort(key=lambda each: each.document, reverse=True)
        ranked.sort(key=lambda each: -each.score)
    return found


def write_qrels(path: Path, qrels: Qrels) -> None:
    """Write judgements as TREC has them: `query 0 document grade`."""
    with path.open("w", encoding="utf-8") as file:
        for query, judged in qrels.items():
            for document, grade in judged.items():
                file.write(f"{_safe(query)} 0 {_safe(document)} {grade}\n")


def _safe(name: str) -> str:
    return _UNSAFE.sub(lambda match: quote(match[0], safe=""), name)
