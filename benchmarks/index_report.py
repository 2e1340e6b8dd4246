"""What index.py measured, as tables and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from corpus import DIMENSIONS
from index_measuring import MEASURES, LargeRun, Row
from index_stores import BATCH, TOP

_NONE = "–"


@dataclass(frozen=True, slots=True)
class Results:
    """All of one run. Librarian is the first of `stores`; `alone` is None where that part was left out."""

    machine: dict[str, Any]
    points: int
    stores: list[Row]
    durability: list[Row]
    alone: LargeRun | None

    @property
    def failed(self) -> bool:
        """Whether any store failed."""
        parts: list[Row | LargeRun] = [*self.stores, *self.durability, *([self.alone] if self.alone else [])]
        return any(part.error for part in parts)


def machine() -> dict[str, Any]:
    """What the numbers hold for."""
    packages = ("qdrant-edge-py", "qdrant-client", "langchain-qdrant", "numpy")
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def to_json(results: Results) -> str:
    """All numbers, without the ids that the queries returned."""
    plain = asdict(results, dict_factory=lambda pairs: {key: value for key, value in pairs if key != "answers"})
    return json.dumps(plain, indent=2) + "\n"


def to_markdown(results: Results) -> str:
    """The tables, with what they were measured on."""
    librarian, *peers = results.stores
    lines = [
        _machine_line(results.machine),
        "",
        f"**{results.points:,} points** of {DIMENSIONS} dimensions with about 60 sparse terms and 800 characters of "
        f"text; batches of {BATCH}; milliseconds are p50 / p95; answers are {TOP} points with payload.",
        "",
        "| store | upserts/s | dense | filtered (10%) | hybrid | same hits, % |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(f"| {row.title} | {_rate(row)} | {_cells(row)} | {_note(row)} |" for row in results.stores),
        "",
        "Librarian is faster by (medians; below 1 it is slower):",
        "",
        "| than | upserts | dense | filtered (10%) | hybrid |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(f"| {peer.title} | {_ratios(librarian, peer)} |" for peer in peers),
        "",
        "Upserts and durability: the peers' local mode syncs every point to disk, Librarian every 5,000 points.",
        "",
        "| store | upserts/s |",
        "| --- | ---: |",
        *(
            f"| {row.title} | {_rate(row) if row.upserts_per_s else _failure(row)} |"
            for row in (librarian, *results.durability, *peers)
        ),
        "",
    ]
    stopped = _stopped_early(results.points, results.stores)
    if stopped:
        lines += [f"Measured over fewer points or queries, to save time: {stopped}.", ""]
    if results.alone:
        lines += _alone_lines(results.alone)
    return "\n".join(lines)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _machine_line(where: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    load_average = where["load_average_at_start"]
    busy = "" if load_average is None else f"; load average at the start {load_average:.1f}"
    return f"{where['cpu']}, {where['cores']} cores, {where['system']}{busy}. {versions}."


def _alone_lines(run: LargeRun) -> list[str]:
    return [
        f"**Librarian alone, {run.points:,} points**, nine tenths of them one tenant's, which dense and hybrid "
        f"search. {_rate(run.before)} upserts/s; `optimize()` took {_seconds(run.optimize_s)} s; "
        f"closed and reopened, the first answer came after {_seconds(run.reopen_s)} s.",
        "",
        "| | dense | filtered (10%) | hybrid | recall@10 |",
        "| --- | ---: | ---: | ---: | ---: |",
        f"| {run.before.title} | {_cells(run.before)} | {_recall(run.recall_before)} |",
        f"| {run.after.title} | {_cells(run.after)} | {_recall(run.recall_after)} |",
        "",
        *([f"Failed: {run.error}", ""] if run.error else []),
    ]


def _rate(row: Row) -> str:
    return _NONE if row.upserts_per_s is None else f"{row.upserts_per_s:,.0f}"


def _cells(row: Row) -> str:
    found = [row.timings.get(name) for name in MEASURES]
    return " | ".join(_NONE if timing is None else f"{timing.p50:.2f} / {timing.p95:.2f}" for timing in found)


def _seconds(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _recall(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"


def _ratios(ours: Row, theirs: Row) -> str:
    """How many times as fast ours is: rates of upserts, then medians."""
    cells = [_times(ours.upserts_per_s, theirs.upserts_per_s)]
    cells += [_times(_median(theirs, name), _median(ours, name)) for name in MEASURES]
    return " | ".join(cells)


def _median(row: Row, name: str) -> float | None:
    return row.timings[name].p50 if name in row.timings else None


def _times(more: float | None, less: float | None) -> str:
    if more is None or less is None:
        return _NONE
    ratio = more / less
    return f"×{ratio:.3g}" if ratio < 100 else f"×{ratio:,.0f}"


def _note(row: Row) -> str:
    return _failure(row) or " / ".join(f"{share * 100:.0f}" for share in row.same_hits.values())


def _failure(row: Row) -> str:
    return f"failed: {row.error.replace('|', '/')}" if row.error else ""


def _stopped_early(points: int, rows: Sequence[Row]) -> str:
    most = max((timing.asked for row in rows for timing in row.timings.values()), default=0)
    notes = []
    for row in rows:
        fewer = [f"{row.points_timed:,} upserts"] if 0 < row.points_timed < points else []
        fewer += [f"{timing.asked} {name} queries" for name, timing in row.timings.items() if timing.asked < most]
        if fewer:
            notes.append(f"{row.title}: {', '.join(fewer)}")
    return "; ".join(notes)
