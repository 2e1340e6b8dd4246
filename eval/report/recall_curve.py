"""How much of what is relevant the first k documents hold, for every k."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from eval.report import svg
from eval.report.markup import Html, element, join
from eval.report.scales import decades
from eval.report.svg import Frame
from eval.report.tables import folded, table
from eval.result import Result


def recall(run: Result) -> list[float]:
    """R@k for k from 1 to the run's depth: the mean over the queries of the share of a query's relevant documents that
    are among its first k. A query without a relevant document counts 0, as trec_eval has it."""
    gains = [0.0] * (run.depth + 1)
    for query in run.queries.values():
        for rank in query.ranks.values():
            if 1 <= rank <= run.depth:
                gains[rank] += 1 / len(query.relevant)
    found, total = [], 0.0
    for gain in gains[1:]:
        total += gain
        found.append(total / len(run.queries))
    return found


def section(runs: Sequence[Result]) -> Html:
    """The plot and its numbers."""
    curves = [recall(run) for run in runs]
    names = [run.config.name for run in runs]
    return element(
        "section",
        element("h2", "Recall curve"),
        element(
            "p",
            "R@k: the share of a query's relevant documents that are among the first k, as a mean over the queries. "
            "A curve that is flat early has found what it can find; one that still climbs would gain from a reranker.",
            class_="note",
        ),
        svg.legend(names),
        svg.twice(lambda frame: plot(frame, names, curves)),
        folded("The numbers", _numbers(names, curves)),
        id="recall",
    )


def plot(frame: Frame, names: Sequence[str], curves: Sequence[Sequence[float]]) -> Html:
    """A curve for each configuration; k runs logarithmically."""
    depth = max(len(curve) for curve in curves)
    at = _cutoffs(depth)
    up, step = svg.axis_of(max(0.0, min(curve[0] for curve in curves) - 0.02), 1.0)
    x, y = frame.x(1, max(depth, 2), logarithmic=True), frame.y(up[0], 1.0)
    up = [each for each in up if each <= 1.0]
    drawn = []
    for index, curve in enumerate(curves):
        points = " ".join(f"{x(k):.1f},{y(value):.1f}" for k, value in enumerate(curve, 1))
        drawn.append(element("polyline", points=points, class_=f"curve {svg.colour(index)}"))
    for index, (name, curve) in enumerate(zip(names, curves, strict=True)):
        marks = [
            svg.mark(x(k), y(curve[k - 1]), index, f"{name}: R@{k} = {curve[k - 1]:.3f}", 4)
            for k in at
            if k <= len(curve)
        ]
        drawn.append(join(marks))
    told = "; ".join(
        f"{name}: R@1 {curve[0]:.3f}, R@{len(curve)} {curve[-1]:.3f}" for name, curve in zip(names, curves, strict=True)
    )
    return svg.figure(
        frame,
        "Recall at k",
        told,
        svg.y_axis(frame, y, up, step),
        svg.x_axis(frame, x, at, "k, the number of documents looked at"),
        *drawn,
    )


def _cutoffs(depth: int) -> list[int]:
    """Ticks of k; the last one is the depth, and none stands in its way."""
    found = decades(1, depth)
    keep = bisect_right(found, depth / 1.4)
    return found if found[-1:] == found[keep:] or depth < 3 else [*found[:keep], depth]


def _numbers(names: Sequence[str], curves: Sequence[Sequence[float]]) -> Html:
    at = _cutoffs(max(len(curve) for curve in curves))
    rows = [[f"R@{k}", *(f"{curve[k - 1]:.4f}" if k <= len(curve) else "–" for curve in curves)] for k in at]
    return table(["", *names], rows, "Recall at k of each configuration")
