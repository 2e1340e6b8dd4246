"""The head of a report: what was evaluated, the verdict in words, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from eval import words
from eval.report.markup import Html, element, join
from eval.report.tables import folded, interval_line, table
from eval.result import Comparison, DatasetFacts, Evaluation, Result


def heading(evaluation: Evaluation) -> Html:
    """Title, dataset, and whether its questions are synthetic."""
    facts = evaluation.runs[0].dataset
    return element(
        "header",
        element("p", "Librarian · retrieval evaluation", class_="kicker"),
        element("h1", facts.name),
        element("p", _facts(facts), class_="lead"),
        synthetic() if facts.synthetic else None,
        _missing(facts) if facts.missing else None,
    )


def section(evaluation: Evaluation, metric: str) -> Html:
    """The verdict and the table of all metrics."""
    runs = evaluation.runs
    return element(
        "section",
        element("h2", "Summary"),
        *_verdict(evaluation, metric),
        table(
            ["", *(run.config.name for run in runs)],
            [*_quality(runs), *_speed(runs)],
            "Means over the queries with 95% bootstrap intervals, one scale in each row; times of whole searches",
        ),
        folded("All comparisons", _comparisons(evaluation.comparisons)) if evaluation.comparisons else None,
        id="summary",
    )


def sentence(found: Comparison) -> str:
    """Which of two configurations is better, and how sure that is."""
    said = words.comparison(found)
    # A name keeps its case.
    return (said if said.startswith(found.b) else said[:1].upper() + said[1:]) + "."


def synthetic() -> Html:
    """The mark of a dataset that no person made."""
    return element(
        "p",
        element("strong", "Synthetic questions."),
        " They were made from the documents themselves; no person asked them. Such questions are easier than real "
        "ones: compare configurations with them, and do not quote the numbers as quality.",
        class_="warning",
    )


def _facts(facts: DatasetFacts) -> str:
    return (
        f"Split {facts.split}: {facts.queries:,} queries with {facts.judgements:,} judgements on "
        f"{facts.documents:,} documents ({facts.chunks:,} chunks in the index)."
    )


def _missing(facts: DatasetFacts) -> Html:
    return element(
        "p",
        element("strong", f"{facts.missing:,} judged documents are not in the index"),
        " and cannot be found: the numbers are lower for it.",
        class_="warning",
    )


def _verdict(evaluation: Evaluation, metric: str) -> list[Html]:
    decisive = [each for each in evaluation.comparisons if each.metric == metric]
    if decisive:
        items = [element("li", sentence(each)) for each in decisive]
        return [
            element("ul", *items, class_="verdict"),
            element(
                "p",
                f"{metric} decides. p is of a paired randomisation test over the queries; below {words.LEVEL:g} a "
                "difference counts as shown. “No difference shown” is not “no difference”: more queries may show one.",
                class_="note",
            ),
        ]
    run = evaluation.runs[0]
    return [element("p", f"{metric} is {words.score(run, metric)}; {words.latency(run)}.", class_="verdict")]


def _quality(runs: Sequence[Result]) -> list[list[str | None]]:
    rows: list[list[str | None]] = []
    for metric in runs[0].metrics:
        cells: list[str | None] = [metric]
        means = [run.metrics[metric] for run in runs]
        best = means.index(max(means)) if len(runs) > 1 and means.count(max(means)) == 1 else None
        bounds = [run.intervals[metric] for run in runs]
        within = (min(low for low, _ in bounds), max(high for _, high in bounds))
        for index, run in enumerate(runs):
            low, high = run.intervals[metric]
            value = f"{run.metrics[metric]:.3f}"
            cells.append(
                join(
                    [
                        element("strong" if index == best else "span", value),
                        element("span", f" [{low:.3f}, {high:.3f}]", class_="interval"),
                        interval_line(run.metrics[metric], low, high, within, index),
                    ]
                )
            )
        rows.append(cells)
    return rows


def _speed(runs: Sequence[Result]) -> list[list[str | None]]:
    rows: list[list[str | None]] = [
        [f"latency {name}, ms", *(f"{getattr(run.latency_ms, name):.1f}" for run in runs)]
        for name in ("p50", "p95", "p99")
    ]
    rows.append(["queries/s, one at a time", *(f"{run.queries_per_s:.0f}" for run in runs)])
    many = [run.throughput for run in runs]
    for at_once in sorted({each.concurrency for each in many if each}):
        shown = [f"{each.queries_per_s:.0f}" if each and each.concurrency == at_once else "–" for each in many]
        rows.append([f"queries/s, {at_once} at once", *shown])
    return rows


def _comparisons(found: Sequence[Comparison]) -> Html:
    rows = [
        [
            each.metric,
            f"{each.b} − {each.a}",
            f"{each.difference:+.4f}".replace("-", "−"),
            f"[{each.interval[0]:+.4f}, {each.interval[1]:+.4f}]".replace("-", "−"),
            f"{each.p:.4f}",
            f"{each.p_holm:.4f}",
            *(f"{count}" for count in (each.wins, each.losses, each.ties)),
        ]
        for each in found
    ]
    head = ["metric", "b − a", "difference", "95% interval", "p", "p (Holm)", "better", "worse", "alike"]
    return table(head, rows, "Every pair of configurations in every metric; counts are of queries")
