"""Numbers of an evaluation in words and cells, the same on a terminal, in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.result import Comparison, DatasetFacts, Result

# The level below which a difference is called one.
LEVEL = 0.05


def score(result: Result, metric: str) -> str:
    """`0.716 [0.672, 0.759]`."""
    low, high = result.intervals[metric]
    return f"{result.metrics[metric]:.3f} [{low:.3f}, {high:.3f}]"


def p_value(p: float) -> str:
    """`p = 0.003`, or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def comparison(each: Comparison) -> str:
    """One sentence: which is better, by how much, and how sure that is."""
    low, high = each.interval
    corrected = " (Holm)" if each.p_holm != each.p else ""
    facts = (
        f"{each.difference:+.4f} {each.metric} [{low:+.4f}, {high:+.4f}], {p_value(each.p_holm)}{corrected}; "
        f"{each.wins} queries better, {each.losses} worse, {each.ties} alike"
    )
    if each.p_holm >= LEVEL:
        return f"no difference shown between {each.a} and {each.b}: {facts}"
    verdict = "better" if each.difference > 0 else "worse"
    return f"{each.b} is {verdict} than {each.a}: {facts}"


def dataset(facts: DatasetFacts) -> str:
    """What was evaluated on."""
    mark = " (SYNTHETIC: made from the documents, no person's questions)" if facts.synthetic else ""
    return (
        f"{facts.name} {facts.split}{mark}: {facts.queries} queries, {facts.judgements} judgements, "
        f"{facts.documents} documents, {facts.chunks} chunks"
    )


def latency(result: Result) -> str:
    """`p50 8.1 ms, p95 12.0 ms, p99 14.2 ms, 110 queries/s one after the other`."""
    each = result.latency_ms
    text = f"p50 {each.p50:.1f} ms, p95 {each.p95:.1f} ms, p99 {each.p99:.1f} ms, {result.queries_per_s:.0f} queries/s"
    if result.throughput:
        text += f"; {result.throughput.queries_per_s:.0f} queries/s with {result.throughput.concurrency} at once"
    return text


def stages(result: Result) -> str:
    """`encode 6.0 ms, search 1.2 ms`: medians."""
    return ", ".join(f"{name} {value:.1f} ms" for name, value in result.latency_ms.stages.items())


def settings(values: Mapping[str, Any]) -> str:
    """`rrf_k=2, top_k=5`."""
    return ", ".join(f"{name}={value}" for name, value in sorted(values.items())) or "the defaults"
