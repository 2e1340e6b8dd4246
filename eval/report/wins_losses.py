"""Query by query: where one configuration is better than another, where it is worse, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.report import svg
from eval.report.markup import Html, element, join, short
from eval.report.summary import sentence
from eval.report.svg import Frame
from eval.report.tables import folded, table
from eval.result import Comparison, Evaluation, Result

# More pairs than these would bury the page: then each configuration stands against the first only.
MAX_PAIRS = 3
# Bars that say which query they are; with more, one shape is drawn for all.
MAX_NAMED = 1000
LISTED = 10
_WIDE, _NARROW = Frame(864, 260, bottom=34), Frame(352, 200, left=50, right=10, bottom=34)

Difference = tuple[float, str]


def section(evaluation: Evaluation, metric: str) -> Html | None:
    """A plot for each pair of configurations; None where there is but one."""
    pairs = shown_pairs(evaluation.comparisons, metric)
    if not pairs:
        return None
    runs = {run.config.name: run for run in evaluation.runs}
    intro = (
        f"A bar for each query: how much more {metric} the second configuration has than the first. "
        "Sorted: gains to the left, losses to the right, and what is alike between them."
    )
    return element(
        "section",
        element("h2", "Wins and losses, query by query"),
        element("p", intro, class_="note"),
        *(_pair(runs[each.a], runs[each.b], each, metric) for each in pairs),
        id="wins",
    )


def shown_pairs(comparisons: Sequence[Comparison], metric: str) -> list[Comparison]:
    """The comparisons in this metric; where there are many, those with the first configuration."""
    found = [each for each in comparisons if each.metric == metric]
    return found if len(found) <= MAX_PAIRS else [each for each in found if each.a == found[0].a]


def differences(a: Mapping[str, float], b: Mapping[str, float]) -> list[Difference]:
    """b minus a for each query that both have, the largest first, with the query's id."""
    return sorted(((b[query] - a[query], query) for query in a if query in b), key=lambda each: -each[0])


def _pair(a: Result, b: Result, found: Comparison, metric: str) -> Html:
    each = differences(a.per_query[metric], b.per_query[metric])
    texts = {query: report.text for query, report in {**a.queries, **b.queries}.items()}
    title = f"{metric}: {b.config.name} against {a.config.name}"
    gains = [(value, query) for value, query in each if value > 0][:LISTED]
    losses = [(value, query) for value, query in reversed(each) if value < 0][:LISTED]
    head = [element("h3", f"{b.config.name} against {a.config.name}"), element("p", sentence(found))]
    if not gains and not losses:
        return join(head)
    listed = _listed(gains + losses[::-1], texts, a, b, metric)
    return join(
        [
            *head,
            svg.twice(lambda frame: plot(frame, each, texts, title), _WIDE, _NARROW),
            folded(f"The {len(gains)} largest gains and {len(losses)} largest losses", listed),
        ]
    )


def plot(frame: Frame, each: Sequence[Difference], texts: Mapping[str, str], title: str) -> Html:
    """The differences as bars, from the largest gain to the largest loss."""
    reach = max([abs(value) for value, _ in each] + [0.05])
    up, step = svg.axis_of(-reach, reach, 4)
    y = frame.y(up[0], up[-1])
    room = frame.width - frame.left - frame.right
    width = room / max(1, len(each))
    gap = min(1.0, width * 0.15)
    named = not frame.narrow and sum(value != 0 for value, _ in each) <= MAX_NAMED
    bars, shapes = [], {"gain": "", "loss": ""}
    for place, (value, query) in enumerate(each):
        if not value:
            continue
        kind = "gain" if value > 0 else "loss"
        x, top, height = frame.left + place * width, min(y(0), y(value)), abs(y(value) - y(0))
        if named:
            tip = element("title", f"{value:+.3f}  {short(texts.get(query, query), 200)}")
            bars.append(
                element("rect", tip, x=x + gap / 2, y=top, width=max(0.5, width - gap), height=height, class_=kind)
            )
        else:
            shapes[kind] += f"M{x:.2f} {top:.1f}h{max(0.4, width - gap):.2f}v{height:.1f}h{-max(0.4, width - gap):.2f}z"
    bars += [element("path", d=shape, class_=kind) for kind, shape in shapes.items() if shape]
    better, worse = sum(value > 0 for value, _ in each), sum(value < 0 for value, _ in each)
    told = f"{better} queries better, {worse} worse, {len(each) - better - worse} alike"
    bottom = frame.height - frame.bottom
    right = frame.width - frame.right
    return svg.figure(
        frame,
        title,
        told,
        svg.y_axis(frame, y, up, step),
        *bars,
        svg.line(frame.left, y(0), right, y(0), "axis"),
        svg.words(frame.left, bottom + 20, f"{better} better", "gain-name"),
        svg.words((frame.left + right) / 2, bottom + 20, f"{len(each) - better - worse} alike", "tick", "middle"),
        svg.words(right, bottom + 20, f"{worse} worse", "loss-name", "end"),
    )


def _listed(each: Sequence[Difference], texts: Mapping[str, str], a: Result, b: Result, metric: str) -> Html:
    rows = [
        [
            element("bdi", short(texts.get(query, query), 300)),
            f"{a.per_query[metric][query]:.3f}",
            f"{b.per_query[metric][query]:.3f}",
            f"{value:+.3f}".replace("-", "−"),
        ]
        for value, query in each
    ]
    caption = f"{metric} of the queries that differ most"
    return table(["query", a.config.name, b.config.name, "difference"], rows, caption)
