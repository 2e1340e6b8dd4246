"""What ingest.py measured, as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ingest_measuring import DEPTH, Row
from ingest_planning import Planning

# What is asked of Librarian: shares of the encoder's and times LangChain's chunks a second, documents a second.
OF_ENCODER = 0.95
TIMES_LANGCHAIN = 4.0
PLANNED_PER_S = 20_000


@dataclass(frozen=True, slots=True)
class Results:
    """All of one run. `encoder` is the ceiling, `librarian` what is measured against it and its `peers`."""

    machine: dict[str, Any]
    backend: str
    pages: int
    chunks: int
    tokens: float
    questions: int
    encoder: Row
    librarian: Row
    peers: list[Row]
    planning: Planning | None

    @property
    def rows(self) -> list[Row]:
        """All paths, in the table's order."""
        return [self.encoder, self.librarian, *self.peers]

    @property
    def failed(self) -> bool:
        """Whether a path that could run did not."""
        return any(row.note.startswith("FAILED") for row in self.rows)


def to_json(results: Results) -> str:
    """All numbers."""
    return json.dumps(asdict(results), indent=2) + "\n"


def to_markdown(results: Results) -> str:
    """The tables, with what they were measured on."""
    lines = [
        _machine_line(results.machine),
        "",
        f"**{results.chunks:,} chunks** (mean {results.tokens:.0f} tokens) of {results.pages:,} Kubernetes pages; "
        f"Librarian's backend is {results.backend}; nDCG@{DEPTH} over the {results.questions} queries that these pages "
        "answer, among their chunks only.",
        "",
        f"| path | chunks | chunks/s | of the encoder | Librarian is faster by | CPU, ms a chunk | nDCG@{DEPTH} |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
        *(_row(row, results) for row in results.rows),
        "",
        *_verdicts(results),
        "",
    ]
    if results.planning:
        lines += _planning_lines(results.planning)
    return "\n".join(lines)


def _machine_line(where: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    load = where["load_average_at_start"]
    busy = "" if load is None else f"; load average at the start {load:.1f}"
    return f"{where['cpu']}, {where['cores']} cores, {where['system']}{busy}. {versions}."


def _row(row: Row, results: Results) -> str:
    if row.rate is None:
        return f"| {row.title} | – | – | – | – | – | {row.note} |"
    cells = [
        row.title,
        f"{row.rate.chunks:,}",
        f"{row.rate.per_s:.1f}",
        _share(row, results.encoder),
        "–" if row in (results.encoder, results.librarian) else _times(results.librarian, row),
        "–" if row.rate.cpu_s is None else f"{row.rate.cpu_s / row.rate.chunks * 1e3:.1f}",
        ", ".join(f"{name} {value:.3f}" for name, value in (row.quality or {}).items()),
    ]
    return f"| {' | '.join(cells)} |"


def _verdicts(results: Results) -> Sequence[str]:
    """Each target beside what was reached."""
    found = [_verdict("of the encoder alone", _ratio(results.librarian, results.encoder), OF_ENCODER)]
    if results.peers:
        found.append(
            _verdict("times LangChain's plain path", _ratio(results.librarian, results.peers[0]), TIMES_LANGCHAIN)
        )
    return [each for each in found if each]


def _verdict(what: str, ratio: float | None, target: float) -> str:
    if ratio is None:
        return ""
    return f"- {ratio:.2f} {what}; asked for: {target:g}: {'reached' if ratio >= target else 'MISSED'}"


def _planning_lines(planning: Planning) -> Sequence[str]:
    runs = ", ".join(f"{each:.2f} s" for each in planning.again_s)
    reached = "reached" if planning.per_s >= PLANNED_PER_S else "MISSED"
    return (
        f"**Nothing changed**: {planning.documents:,} local files planned at {planning.per_s:,.0f} documents/s (median "
        f"of {runs}), none read or embedded; asked for: {PLANNED_PER_S:,}: {reached}. The first run, with instant "
        f"vectors in the encoder's place, took {planning.first_s:.0f} s ({planning.documents / planning.first_s:,.0f} "
        "documents/s).",
        "",
    )


def _share(row: Row, encoder: Row) -> str:
    ratio = _ratio(row, encoder)
    return "–" if ratio is None else f"{ratio:.1%}"


def _times(ours: Row, theirs: Row) -> str:
    ratio = _ratio(ours, theirs)
    return "–" if ratio is None else f"×{ratio:.2f}"


def _ratio(row: Row, other: Row) -> float | None:
    return row.rate.per_s / other.rate.per_s if row.rate and other.rate else None
