"""What retrieval.py measured, as tables and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from retrieval_measuring import TOP, Compared, Timing

from rag.settings import Settings

TO_BARE = 1.3
TO_PEER = 10.0

_QUIET = 0.25  # of the cores: what may wait for a processor before a run when the machine counts as quiet
_SETTINGS = (
    *("candidates", "top_k", "fusion", "document_weight", "reranker"),
    *("neighbours_before", "neighbours_after", "neighbours_share"),
)


@dataclass(slots=True)
class Size:
    """One collection, as written or optimised, with each number of callers."""

    chunks: int
    state: str
    compared: list[Compared] = field(default_factory=list)


@dataclass(slots=True)
class Peer:
    """LangChain and Librarian over the same chunks, by number of callers.

    `same` are shares of Librarian's best that LangChain's have, `covered` is the share of LangChain's best whose text
    Librarian's passages hold. `note` says why there are no numbers.
    """

    chunks: int
    asked: int
    ours: dict[int, Timing] = field(default_factory=dict)
    theirs: dict[int, Timing] = field(default_factory=dict)
    stages: Mapping[str, float] = field(default_factory=dict)
    same: Mapping[str, float] = field(default_factory=dict)
    covered: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def failed(self) -> bool:
        """Whether it was tried and did not work."""
        return self.note.startswith("FAILED")


@dataclass(slots=True)
class Results:
    """All of one run. `too_large` are sizes for which the data did not suffice."""

    machine: dict[str, Any]
    backend: str
    settings: Settings
    queries: int
    rounds: int
    sizes: list[Size] = field(default_factory=list)
    too_large: list[int] = field(default_factory=list)
    peer: Peer | None = None

    @property
    def skipped(self) -> bool:
        """Whether something asked for was left out."""
        return bool(self.too_large) or (self.peer is not None and self.peer.note.startswith("SKIPPED"))

    def note_load(self) -> None:
        """Write down how busy the machine is at the end."""
        self.machine["load_average_at_end"] = os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def to_json(results: Results) -> str:
    """All numbers, with the settings that searches were made with."""
    plain = {
        "machine": results.machine,
        "backend": results.backend,
        "settings": {name: getattr(results.settings, name) for name in _SETTINGS},
        "queries": results.queries,
        "rounds": results.rounds,
        "sizes": [
            {**asdict(each), "compared": [{**asdict(found), "ratio": found.ratio} for found in each.compared]}
            for each in results.sizes
        ],
        "too_large": results.too_large,
        "peer": asdict(results.peer) if results.peer else None,
    }
    return json.dumps(plain, indent=2) + "\n"


def to_markdown(results: Results) -> str:
    """The tables, with what they were measured on."""
    chosen = ", ".join(f"{name}={getattr(results.settings, name)}" for name in _SETTINGS)
    lines = [
        _machine_line(results.machine, results.backend),
        "",
        f"{results.queries} queries in {results.rounds} rounds; milliseconds are p50 / p95; settings: {chosen}. "
        f"Asked for: ×{TO_BARE} of the bare search at most.",
        "",
        "| chunks | callers | whole search | bare: encode and query | whole to bare, p50 | by rounds | p95 | queries/s "
        "whole / bare | stages of the whole, medians |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        *(_row(size, found) for size in results.sizes for found in size.compared),
        "",
    ]
    for size in results.too_large:
        lines += [f"SKIPPED: {size:,} chunks, the data does not come to so many.", ""]
    if results.peer:
        lines += _peer_lines(results.peer)
    return "\n".join(lines)


def _machine_line(where: dict[str, Any], backend: str) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    line = f"{where['cpu']}, {where['cores']} cores, {where['system']}; queries encoded by {backend}. {packages}."
    before, after = where["load_average_at_start"], where.get("load_average_at_end")
    if before is None:
        return line
    line += f" Load average {before:.1f} before, {after:.1f} after."
    if before > _QUIET * where["cores"]:
        line += " **The machine was busy before the run: only the ratios mean something, and those of p95 little.**"
    return line


def _row(size: Size, found: Compared) -> str:
    name = f"{size.chunks:,}" if size.state == "as written" else f"{size.chunks:,} {size.state}"
    stages = ", ".join(f"{stage} {took:.1f}" for stage, took in found.stages.items())
    return (
        f"| {name} | {found.callers} | {_cell(found.whole)} | {_cell(found.bare)} | **×{found.ratio:.2f}** | "
        f"×{min(found.rounds):.2f} to ×{max(found.rounds):.2f} | ×{found.whole.p95 / found.bare.p95:.2f} | "
        f"{found.whole.per_s:.0f} / {found.bare.per_s:.0f} | {stages} |"
    )


def _peer_lines(peer: Peer) -> list[str]:
    title = f"**Beside LangChain, {peer.chunks:,} chunks**, {TOP} passages, {peer.asked} queries."
    if peer.note:
        return [title, "", peer.note, ""]
    versions = ", ".join(f"{name} {number}" for name, number in peer.versions.items())
    stages = ", ".join(f"{stage} {took:.1f}" for stage, took in peer.stages.items())
    same = ", ".join(f"{name} {share:.0%}" for name, share in peer.same.items())
    return [
        f"{title} Asked for: ×{TO_PEER:.0f}. {versions}.",
        "",
        "| callers | Librarian | LangChain's EnsembleRetriever | faster by, p50 | p95 | queries/s |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_peer_row(callers, peer.ours[callers], theirs) for callers, theirs in peer.theirs.items()),
        "",
        f"LangChain's parts alone, medians: {stages}. Of Librarian's best {TOP}, LangChain's have: {same}. "
        f"Of LangChain's best {TOP}, Librarian's passages hold the text of {peer.covered or 0:.0%}.",
        "",
    ]


def _peer_row(callers: int, ours: Timing, theirs: Timing) -> str:
    return (
        f"| {callers} | {_cell(ours)} | {_cell(theirs)} | **×{theirs.p50 / ours.p50:.1f}** | "
        f"×{theirs.p95 / ours.p95:.1f} | {ours.per_s:.0f} / {theirs.per_s:.1f} |"
    )


def _cell(timing: Timing) -> str:
    return f"{timing.p50:.1f} / {timing.p95:.1f}"
