"""What serving.py measured, as tables and as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from serving_ceiling import LIMIT_MS, Ceiling
from serving_memory import Footprint
from serving_overhead import Overhead, Timed

# What is asked for.
ADDED_FIRST_MS = 15.0
ADDED_PER_TOKEN_MS = 0.3
SHARE = 0.97
TIMES = 5.0


@dataclass(frozen=True, slots=True)
class Results:
    """All of one run; a part that was left out is None or empty. The last ceiling is LangChain's.

    `cores`: what ran where. `pace`: tokens a second of the stand-in's streams, and of an answer.
    """

    machine: dict[str, Any]
    pace: tuple[float, int]
    cores: str
    overhead: Overhead | None
    ceilings: tuple[Ceiling, ...]
    footprints: tuple[Footprint, ...]


def to_json(results: Results) -> str:
    """All numbers."""
    return json.dumps(asdict(results), indent=2) + "\n"


def to_markdown(results: Results) -> str:
    """The tables, with what they were measured on."""
    where = results.machine
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    lines = [
        f"{where['cpu']}, {where['cores']} cores, {where['system']}; load average at the start "
        f"{where['load_average_at_start']:.1f}. {versions}.",
        "",
    ]
    if results.overhead:
        lines += _overhead(results.overhead)
    if results.ceilings:
        lines += _ceilings(results)
    if results.footprints:
        lines += _footprints(results.footprints)
    return "\n".join(lines)


def _overhead(found: Overhead) -> list[str]:
    pairs = found.pairs
    first = statistics.median(each.added_first_ms for each in pairs)
    token = statistics.median(each.added_per_token_ms for each in pairs)
    retrieval = statistics.median(each.served.timings_ms.get("retrieve", 0.0) for each in pairs)
    assembly = statistics.median(each.served.timings_ms.get("assemble", 0.0) for each in pairs)
    rates = [statistics.median(column) for column in zip(*found.rounds, strict=True)]
    direct, served = [each.direct for each in pairs], [each.served for each in pairs]
    return [
        f"**A real model** (vLLM on the CPU, SmolLM2-135M): {len(pairs)} prompts, directly and through Librarian; "
        f"{found.asked - len(pairs)} more pairs were of unequal length. Retrieval took {retrieval:.1f} ms and is taken "
        f"off; assembling the prompt, {assembly:.1f} ms, is not.",
        "",
        "| | directly | through Librarian | added | asked for | |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        f"| first token, p50, ms | {_first(direct):.1f} | {_first(served):.1f} | {first:.1f} | ≤ {ADDED_FIRST_MS:g} | "
        f"{_verdict(first <= ADDED_FIRST_MS)} |",
        f"| a further token, ms | {_token(direct):.2f} | {_token(served):.2f} | {token:.2f} | "
        f"≤ {ADDED_PER_TOKEN_MS:g} | {_verdict(token <= ADDED_PER_TOKEN_MS)} |",
        f"| {found.streams} streams at once, tokens/s | {rates[0]:.1f} | {rates[1]:.1f} | {found.share:.1%} | "
        f"≥ {SHARE:.0%} | {_verdict(found.share >= SHARE)} |",
        "",
    ]


def _first(answers: Sequence[Timed]) -> float:
    return statistics.median(each.first_s for each in answers) * 1e3


def _token(answers: Sequence[Timed]) -> float:
    return statistics.median(each.per_token_s for each in answers) * 1e3


def _ceilings(results: Results) -> list[str]:
    rate, tokens = results.pace
    lines = [
        f"**One core**: streams of {tokens} tokens at {rate:g} a second from a stand-in, until the first token's p99 "
        f"passes {LIMIT_MS:g} ms or tokens fall behind. {results.cores}",
        "",
        "| | streams | tokens/s | first token, p50 / p99, ms | µs of its core a token | others' core, busy |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(_ceiling(each) for each in results.ceilings),
        "",
    ]
    plain = results.ceilings[-1].best
    for each in results.ceilings[:-1]:
        if each.best and plain:
            times = each.best.load.tokens_per_s / plain.load.tokens_per_s
            lines.append(
                f"- {each.name}, {each.what}: ×{times:.1f} the proxy's tokens/s; asked for: ×{TIMES:g}: "
                f"{_verdict(times >= TIMES)}"
            )
    return [*lines, ""]


def _ceiling(found: Ceiling) -> str:
    best = found.best
    if best is None:
        return f"| {found.name}, {found.what} | none | – | – | – | – |"
    load = best.load
    own = best.cpu[found.name] / load.tokens_per_s * 1e6
    others = sum(share for name, share in best.cpu.items() if name != found.name)
    return (
        f"| {found.name}, {found.what} | {load.streams} | {load.tokens_per_s:,.0f} | {load.percentile_ms(0.5):.0f} / "
        f"{load.percentile_ms(0.99):.0f} | {own:.0f} | {others:.0%} |"
    )


def _footprints(found: Sequence[Footprint]) -> list[str]:
    return [
        "| memory (RSS) | the process, MB | an idle connection, KB | an active stream, KB | measured with |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {each.name} | {each.base / 1e6:.0f} | {each.idle / 1e3:.1f} | {each.active / 1e3:.0f} | "
            f"{each.streams} |"
            for each in found
        ),
        "",
    ]


def _verdict(reached: bool) -> str:
    return "reached" if reached else "MISSED"
