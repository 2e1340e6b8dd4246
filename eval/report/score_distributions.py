"""How scores are spread: whether a relevant document can be told from another by its score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.report import svg
from eval.report.markup import Html, element, join
from eval.report.svg import Frame
from eval.report.tables import folded, table
from eval.result import Result

BINS = 24
_FRAME = Frame(280, 220, left=44, right=18, top=42)


@dataclass(frozen=True, slots=True)
class Spread:
    """Two groups of values, and what they are called."""

    title: str
    axis: str
    upper_name: str
    lower_name: str
    upper: tuple[float, ...]
    lower: tuple[float, ...]


def spreads(run: Result) -> list[Spread]:
    """The scores of all documents that were kept, those of the first ones, and the queries' relevances."""
    relevant: dict[bool, list[float]] = {True: [], False: []}
    first: dict[bool, list[float]] = {True: [], False: []}
    relevances: dict[bool, list[float]] = {True: [], False: []}
    kept = 0
    for query in run.queries.values():
        hits = [bool(each.grade and each.grade > 0) for each in query.found]
        kept = max(kept, len(hits))
        for each, hit in zip(query.found, hits, strict=True):
            relevant[hit].append(each.score)
        if query.found:
            first[hits[0]].append(query.found[0].score)
        if query.relevance is not None:
            relevances[any(hits)].append(query.relevance)
    names = ("relevant", "not judged relevant")
    found = [
        Spread(
            f"The first {kept} documents of each query", "score", *names, tuple(relevant[True]), tuple(relevant[False])
        ),
        Spread("The first document of each query", "score", *names, tuple(first[True]), tuple(first[False])),
        Spread(
            "Relevance of each query",
            "relevance",
            f"relevant in the first {kept}",
            "none there",
            tuple(relevances[True]),
            tuple(relevances[False]),
        ),
    ]
    return [each for each in found if each.upper or each.lower]


def section(runs: Sequence[Result]) -> Html:
    """Plots and medians for each configuration: scores of two of them need not have one scale."""
    return element(
        "section",
        element("h2", "Score distributions"),
        element(
            "p",
            "Above the line what is relevant, below it what is not, each as a share of its own group. The less the two "
            "overlap, the better a threshold can tell that nothing relevant was found.",
            class_="note",
        ),
        *(_of(run, index, len(runs) > 1) for index, run in enumerate(runs)),
        id="scores",
    )


def counts(values: Sequence[float], low: float, high: float, bins: int = BINS) -> list[int]:
    """How many values lie in each of `bins` equal parts of `low` to `high`, both ends included."""
    found = [0] * bins
    for each in values:
        found[min(bins - 1, max(0, int((each - low) / (high - low) * bins)))] += 1
    return found


def plot(frame: Frame, spread: Spread, index: int) -> Html:
    """Two histograms, back to back."""
    values = spread.upper + spread.lower
    at, step = svg.axis_of(min(values), max(values), 4)
    low, high = at[0], at[-1]
    upper, lower = counts(spread.upper, low, high), counts(spread.lower, low, high)
    shares = [[each / max(1, sum(group)) for each in group] for group in (upper, lower)]
    most = max(max(group) for group in shares)
    x, y = frame.x(low, high), frame.y(-most, most)
    width = (high - low) / BINS
    bars = []
    for sign, group, share, kind in ((1, upper, shares[0], "upper"), (-1, lower, shares[1], "lower")):
        for part, (count, value) in enumerate(zip(group, share, strict=True)):
            if not count:
                continue
            left, right = x(low + part * width), x(low + (part + 1) * width)
            tip = f"{low + part * width:.4g} to {low + (part + 1) * width:.4g}: {count} ({value:.0%})"
            top = min(y(0), y(sign * value))
            class_ = f"{kind} {svg.colour(index)}"
            bars.append(
                element(
                    "rect",
                    element("title", tip),
                    x=left + 0.5,
                    y=top,
                    width=max(0.5, right - left - 1),
                    height=abs(y(value) - y(0)),
                    class_=class_,
                )
            )
    told = "; ".join(
        f"{len(group)} {name}, median {_quantile(group, 0.5)}"
        for name, group in ((spread.upper_name, spread.upper), (spread.lower_name, spread.lower))
    )
    bottom = frame.height - frame.bottom
    return svg.figure(
        frame,
        spread.title,
        told,
        *bars,
        svg.line(frame.left, y(0), frame.width - frame.right, y(0), "axis"),
        svg.words(frame.left, frame.top - 26, f"↑ {spread.upper_name}, n = {len(spread.upper)}", "tick strong"),
        svg.words(frame.left, frame.top - 11, f"↓ {spread.lower_name}, n = {len(spread.lower)}", "tick"),
        svg.words(frame.left - 7, y(most) + 10, f"{most:.0%}", "tick", "end"),
        svg.words(frame.left - 7, bottom, f"{most:.0%}", "tick", "end"),
        svg.x_axis(frame, x, at, spread.axis, step),
    )


def _of(run: Result, index: int, named: bool) -> Html:
    found = spreads(run)
    plots = [element("figure", element("figcaption", each.title), plot(_FRAME, each, index)) for each in found]
    rows = [
        [
            f"{each.title}: {name}",
            f"{len(values)}",
            *(_quantile(values, share) for share in (0.05, 0.25, 0.5, 0.75, 0.95)),
        ]
        for each in found
        for name, values in ((each.upper_name, each.upper), (each.lower_name, each.lower))
    ]
    return join(
        [
            element("h3", run.config.name) if named else None,
            element("div", *plots, class_="plots"),
            folded(
                "The numbers", table(["", "n", "5%", "25%", "median", "75%", "95%"], rows, "Quantiles of the scores")
            ),
        ]
    )


def _quantile(values: Sequence[float], share: float) -> str:
    """The value below which this share of them lies, nearest rank; `–` where there is none."""
    if not values:
        return "–"
    return f"{sorted(values)[min(len(values) - 1, int(share * len(values)))]:.4g}"
