"""The whole page."""

from __future__ import annotations

from eval.report import making, quality_latency, recall_curve, score_distributions, style, summary, wins_losses, worst
from eval.report.markup import Html, element, join, plain
from eval.report.svg import COLOURS
from eval.result import Evaluation

# Nothing but the page's own style: a browser runs no script and fetches nothing, whatever a text on the page holds.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(evaluation: Evaluation) -> str:
    """An evaluation as an HTML page of one file. The first metric is the one that decides.

    Texts of queries and documents are escaped. Plots that need the queries' reports are left out where the result was
    kept without them.
    """
    runs = evaluation.runs
    metric = next(iter(runs[0].metrics))
    asked = all(run.queries for run in runs)
    sections = [
        summary.section(evaluation, metric),
        quality_latency.section(runs, metric),
        wins_losses.section(evaluation, metric),
        recall_curve.section(runs) if asked else None,
        score_distributions.section(runs) if asked else None,
        worst.section(runs, metric),
        None if asked else _without_queries(),
        making.section(runs),
    ]
    facts = runs[0].dataset
    mark = " (synthetic)" if facts.synthetic else ""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", plain(f"{facts.name} {facts.split}{mark}: retrieval")),
        element("style", Html(style.CSS + style.colours(COLOURS))),
    )
    body = element("body", summary.heading(evaluation), element("main", *sections))
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def _without_queries() -> Html:
    return element("p", join(["The result was kept without its queries: there is no more to show."]), class_="note")
