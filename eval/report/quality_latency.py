"""Quality against latency: what a better answer costs in time."""

from __future__ import annotations

from collections.abc import Sequence

from eval import words
from eval.report import svg
from eval.report.markup import Html, element, join, short
from eval.report.svg import Frame
from eval.report.tables import folded, table
from eval.result import Result

# Names stand above the marks, within the frame and in the margin over it.
_WIDE, _NARROW = Frame(864, 380, top=40), Frame(352, 300, left=42, right=14, top=40)
_LINE = 15


def section(runs: Sequence[Result], metric: str) -> Html:
    """The plot, what it shows in words, and its numbers."""
    return element(
        "section",
        element("h2", "Quality against latency"),
        element(
            "p",
            f"Up is better, left is faster. Upright bars: the 95% interval of the mean {metric}. "
            "Level bars: from the median latency of a whole search to its 95th percentile.",
            class_="note",
        ),
        svg.legend([run.config.name for run in runs]),
        svg.twice(lambda frame: plot(frame, runs, metric), _WIDE, _NARROW),
        folded("The numbers", _numbers(runs, metric)),
        id="latency",
    )


def plot(frame: Frame, runs: Sequence[Result], metric: str) -> Html:
    """A mark for each configuration at its median latency (ms) and mean metric, with bars and its name."""
    across, step_x = svg.axis_of(0, max(run.latency_ms.p95 for run in runs), 4 if frame.narrow else 6)
    low = min(run.intervals[metric][0] for run in runs)
    high = max(run.intervals[metric][1] for run in runs)
    up, step_y = svg.axis_of(low, high)
    x, y = frame.x(across[0], across[-1]), frame.y(up[0], up[-1])
    marks = []
    for index, run in enumerate(runs):
        at_x, at_y = x(run.latency_ms.p50), y(run.metrics[metric])
        bottom, top = (y(each) for each in run.intervals[metric])
        tip = f"{run.config.name}: {metric} {words.score(run, metric)}; {words.latency(run)}"
        marks += [
            svg.line(at_x, bottom, at_x, top, f"bar {svg.colour(index)}"),
            svg.line(at_x, at_y, x(run.latency_ms.p95), at_y, f"bar {svg.colour(index)}"),
            svg.mark(at_x, at_y, index, tip, 6),
        ]
    told = "; ".join(
        f"{run.config.name}: {metric} {words.score(run, metric)}, p50 {run.latency_ms.p50:.1f} ms" for run in runs
    )
    return svg.figure(
        frame,
        f"{metric} against the latency of a search",
        told,
        svg.y_axis(frame, y, up, step_y),
        svg.x_axis(frame, x, across, "milliseconds for a whole search", step_x),
        *marks,
        _names(frame, runs, [(x(run.latency_ms.p50), y(run.intervals[metric][1])) for run in runs]),
    )


def _names(frame: Frame, runs: Sequence[Result], tops: Sequence[tuple[float, float]]) -> Html:
    """Each name above its upright bar, raised as far as another name stands in the way. One for which there is no room
    is left to the legend."""
    placed: list[tuple[float, float, float]] = []
    parts = []
    for run, (x, top) in sorted(zip(runs, tops, strict=True), key=lambda each: -each[1][1]):
        name = short(run.config.name, 18 if frame.narrow else 40)
        half = 4 * len(name)
        middle = min(max(x, frame.left + half), frame.width - frame.right - half)
        y = top - 6
        while any(abs(middle - other) < half + width and abs(y - level) < _LINE for other, level, width in placed):
            y -= 1
        if y >= _LINE:
            placed.append((middle, y, half))
            parts.append(svg.words(middle, y, name, "direct", "middle"))
    return join(parts)


def _numbers(runs: Sequence[Result], metric: str) -> Html:
    rows = [
        [
            run.config.name,
            words.score(run, metric),
            *(f"{each:.1f}" for each in (run.latency_ms.p50, run.latency_ms.p95, run.latency_ms.p99)),
            f"{run.queries_per_s:.0f}",
            f"{run.throughput.queries_per_s:.0f} ({run.throughput.concurrency} at once)" if run.throughput else "–",
            words.stages(run) or "–",
        ]
        for run in runs
    ]
    head = ["config", metric, "p50 ms", "p95 ms", "p99 ms", "queries/s", "queries/s, many at once", "median of stages"]
    return table(head, rows, "Quality and latency of each configuration")
