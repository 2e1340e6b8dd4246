"""The queries that are answered worst: what should have been found, and what was found instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.report.markup import Child, Html, element, join, short
from eval.report.tables import folded
from eval.result import Found, QueryReport, Result

WORST = 10
# Documents shown for each of them.
INSTEAD = 3
# Relevant documents named for each of them; a query may have hundreds.
WANTED = 10
# A snippet is shorter than what a result keeps of it, so that its end is seen to be cut.
_QUERY_LENGTH, _TITLE_LENGTH, _SNIPPET_LENGTH = 600, 160, 220


def section(runs: Sequence[Result], metric: str) -> Html | None:
    """The worst queries of the last configuration, and folded away those of the others; None where no query is kept."""
    if not any(run.queries for run in runs):
        return None
    titles = titles_of(runs)
    last, others = runs[-1], runs[:-1]
    return element(
        "section",
        element("h2", f"The worst queries{f' of {last.config.name}' if others else ''}"),
        element(
            "p",
            f"Lowest {metric} first; of those alike, the ones whose relevant documents are found latest. “Not judged” "
            "means that nobody said whether a document is relevant: it may well be.",
            class_="note",
        ),
        _list(last, metric, titles),
        *(folded(f"The worst queries of {run.config.name}", _list(run, metric, titles)) for run in others),
        id="worst",
    )


def worst(run: Result, metric: str, count: int = WORST) -> list[str]:
    """Ids of the queries with the lowest scores that are not perfect; among equals, those whose first relevant
    document has the last rank."""
    scores = run.per_query[metric]

    def order(query: str) -> tuple[float, int]:
        return scores[query], -min(run.queries[query].ranks.values(), default=run.depth + 1)

    imperfect = [query for query in run.queries if scores[query] < 1]
    return sorted(imperfect, key=order)[:count]


def titles_of(runs: Sequence[Result]) -> dict[str, str]:
    """Titles by document, as far as any query of any configuration was given it."""
    return {
        each.document: each.title
        for run in runs
        for query in run.queries.values()
        for each in query.found
        if each.title
    }


def _list(run: Result, metric: str, titles: Mapping[str, str]) -> Html:
    found = worst(run, metric)
    if not found:
        return element("p", "Every query has the best score there is.")
    return element("ol", *(_query(run, query, metric, titles) for query in found), class_="worst")


def _query(run: Result, query: str, metric: str, titles: Mapping[str, str]) -> Html:
    report = run.queries[query]
    wanted = sorted(report.relevant, key=lambda each: report.ranks.get(each, run.depth + 1))
    more = len(wanted) - WANTED
    return element(
        "li",
        element("p", element("bdi", short(report.text, _QUERY_LENGTH)), class_="query"),
        element(
            "p",
            f"{metric} {run.per_query[metric][query]:.3f} · query ",
            element("code", short(query, 80)),
            class_="note",
        ),
        element("h4", "Should have been found"),
        element(
            "ul",
            *(_wanted(each, report, run.depth, titles) for each in wanted[:WANTED]),
            element("li", f"and {more} more") if more > 0 else None,
        ),
        element("h4", "Was found instead"),
        element("ol", *(_found(each) for each in report.found[:INSTEAD])) if report.found else element("p", "Nothing."),
    )


def _wanted(document: str, report: QueryReport, depth: int, titles: Mapping[str, str]) -> Html:
    rank = report.ranks.get(document)
    place = f"rank {rank}" if rank else f"not in the first {depth}"
    return element("li", *_name(document, titles.get(document, "")), " ", element("span", place, class_="badge"))


def _found(each: Found) -> Html:
    badge = "not judged"
    if each.grade is not None:
        badge = f"relevant, grade {each.grade}" if each.grade > 0 else "judged not relevant"
    good = each.grade is not None and each.grade > 0
    snippet = short(each.snippet, _SNIPPET_LENGTH)
    return element(
        "li",
        *_name(each.document, each.title),
        " ",
        element("span", badge, class_="badge good" if good else "badge"),
        " ",
        element("span", f"score {each.score:.4g}", class_="note"),
        element("p", element("bdi", snippet), class_="snippet") if snippet else None,
    )


def _name(document: str, title: str) -> list[Child]:
    """A document's title with its name, or the name alone where it has no other."""
    name = element("code", short(document, _TITLE_LENGTH))
    shown = short(title, _TITLE_LENGTH)
    if not shown or shown == document:
        return [name]
    return [join([element("bdi", shown), " "]), name]
