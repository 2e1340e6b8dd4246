"""What scale.py measured, as tables, the laws drawn through them, and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scale_law import PowerLaw
from scale_measuring import Measured, Served
from scale_quantization import Cost

_NONE = "–"
_MB = 1e6
# What a law is drawn through: a value of each size, or None where it was not measured.
_LAWS: dict[str, Callable[[Measured], float | None]] = {
    "hybrid p50 as written, ms": lambda each: each.before.hybrid_p50,
    "hybrid processor time as written, ms": lambda each: each.before.hybrid_cpu,
    "hybrid p50 optimised, ms": lambda each: each.after.hybrid_p50 if each.after else None,
    "hybrid processor time optimised, ms": lambda each: each.after.hybrid_cpu if each.after else None,
    "writing, processor s": lambda each: each.load_cpu_s,
    "optimize(), processor s": lambda each: each.optimize_cpu_s,
    "disk, MB": lambda each: each.disk / _MB,
    "anonymous as written, MB": lambda each: each.before.anonymous / _MB,
    "anonymous optimised, MB": lambda each: each.after.anonymous / _MB if each.after else None,
}


@dataclass(frozen=True, slots=True)
class Results:
    """All of one run, or of several that were read from files."""

    machine: dict[str, Any]
    sizes: list[Measured]
    quantization: list[Cost]


def to_json(results: Results) -> str:
    return json.dumps(asdict(results), indent=2) + "\n"


def read(path: Path) -> Results:
    """What `to_json` wrote."""
    found = json.loads(path.read_text(encoding="utf-8"))
    sizes = [
        Measured(
            **{
                **each,
                "before": Served(**each["before"]),
                "after": Served(**each["after"]) if each["after"] else None,
            }
        )
        for each in found["sizes"]
    ]
    return Results(found["machine"], sizes, [Cost(**each) for each in found["quantization"]])


def to_markdown(results: Results) -> str:
    """The tables, with what they were measured on."""
    where = results.machine
    lines = [
        f"{where['cpu']}, {where['cores']} cores; load average at the start {where['load_average_at_start']:.1f}. "
        f"qdrant-edge-py {where['versions']['qdrant-edge-py']}.",
        "",
    ]
    if results.sizes:
        lines += [*_size_lines(results.sizes), "", *_law_lines(results.sizes), ""]
    if results.quantization:
        lines += _quantization_lines(results.quantization)
    return "\n".join(lines).rstrip() + "\n"


def laws(sizes: Sequence[Measured]) -> dict[str, tuple[PowerLaw, int]]:
    """The law of each measure that two sizes or more have, and the largest size that it was drawn through."""
    found = {}
    for title, value in _LAWS.items():
        pairs = [(each.points, given) for each in sizes if (given := value(each))]
        if len(pairs) > 1:
            points, values = zip(*pairs, strict=True)
            found[title] = (PowerLaw.through(points, values), max(points))
    return found


def _size_lines(sizes: Sequence[Measured]) -> list[str]:
    return [
        "| points | state | written or built in, s | of processor, s | hybrid p50 / p95, ms | of processor, ms | "
        "dense p50 / p95, ms | recall@10 | anonymous, MB | mapped, MB | disk, MB |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(line for each in sizes for line in _rows(each)),
    ]


def _rows(each: Measured) -> list[str]:
    cells = f"{each.load_s:,.1f} | {each.load_cpu_s:,.1f} | {_cells(each.before)} | {_disk(each, last=False)}"
    rows = [f"| {each.points:,} | as written | {cells} |"]
    if each.after and each.optimize_s is not None and each.optimize_cpu_s is not None:
        times = f"{each.optimize_s:,.1f} | {each.optimize_cpu_s:,.1f}"
        rows.append(f"| {each.points:,} | optimised | {times} | {_cells(each.after)} | {_disk(each, last=True)} |")
    return rows


def _cells(served: Served) -> str:
    cells = (
        f"{served.hybrid_p50:.2f} / {served.hybrid_p95:.2f}",
        f"{served.hybrid_cpu:.2f}",
        f"{served.dense_p50:.2f} / {served.dense_p95:.2f}",
        f"{served.recall:.3f}",
        f"{served.anonymous / _MB:,.0f}",
        f"{served.mapped / _MB:,.0f}",
    )
    return " | ".join(cells)


def _disk(each: Measured, *, last: bool) -> str:
    return f"{each.disk / _MB:,.0f}" if last == bool(each.after) else _NONE


def _law_lines(sizes: Sequence[Measured]) -> list[str]:
    return [
        "| what | law | a measured point is off it by at most | drawn up to |",
        "| --- | --- | ---: | ---: |",
        *(
            f"| {title} | {law.coefficient:.3g} · n^{law.exponent:.2f} | ×{law.miss:.2f} | {largest:,} |"
            for title, (law, largest) in laws(sizes).items()
        ),
    ]


def _quantization_lines(costs: Sequence[Cost]) -> list[str]:
    best = costs[0]
    return [
        "| vectors searched as | bytes a vector | recall@10 of the exact ten | nDCG@10, SciFact test | to float32 |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {each.title} | {each.vector_bytes:,.0f} | {each.recall:.3f} | {each.ndcg:.4f} | "
            f"{each.ndcg - best.ndcg:+.4f} |"
            for each in costs
        ),
    ]
