"""Questions that nobody wrote for a benchmark: sentences of the Kubernetes pages that link to another page.

The sentence without the link's target is the query, the page that it links to the answer, and the sentence's own page
is hidden. It has 8 to 50 words, 5 or more of them beside the link's own. Of each answer's sentences the first two are
taken, in the order of the pages' names, so that the few pages to which everyone links do not decide. A link's words are
often the title of the page behind it: what looks at titles is flattered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from kubernetes_pages import COMMENT, FRONT_MATTER, SHORTCODE, TOOLTIP

from eval.datasets import Dataset, Query, content_hash
from ingest.sentences import sentences

OWN = "page"  # of a query's metadata: the page that the sentence stands on
MOST_OF_A_PAGE = 2
LEAST_WORDS, MOST_WORDS, LEAST_BESIDE = 8, 50, 5
SPLIT = "links"

_CODE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[^\n]*$", re.DOTALL | re.MULTILINE)
_NO_PROSE = re.compile(r"[ \t]*(#|\||<|\{|$)")
_MARKER = re.compile(r"[ \t]*(?:[-*+]|\d+\.)[ \t]+")
_LINK = re.compile(r"\[([^\[\]]+)\]\(([^()\s]+)\)")


@dataclass(frozen=True, slots=True)
class Linked:
    """A sentence of `page`, without the target of its only link, and the page that it links to."""

    text: str
    page: str
    target: str


def links(pages: Path) -> Dataset:
    """The questions over the pages of a folder. Raises ValueError where no sentence links to another page."""
    names = {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    taken: Counter[str] = Counter()
    found: dict[tuple[str, str], Linked] = {}
    for name in sorted(names):
        for each in linked(name, (pages / name).read_text(encoding="utf-8"), names):
            if taken[each.target] < MOST_OF_A_PAGE and (each.text, each.target) not in found:
                found[each.text, each.target] = each
                taken[each.target] += 1
    if not found:
        raise ValueError(f"no sentence of the pages in {pages} links to another of them")
    queries = tuple(Query(f"link-{n}", each.text, {OWN: each.page}) for n, each in enumerate(found.values()))
    qrels = {query.id: {each.target: 1} for query, each in zip(queries, found.values(), strict=True)}
    return Dataset(
        name="kubernetes-links",
        folder=pages.parent,
        source=pages,
        split=SPLIT,
        queries=queries,
        qrels=qrels,
        synthetic=False,
        beir=False,
        hash=content_hash(queries, qrels),
    )


def linked(name: str, text: str, names: set[str]) -> Iterator[Linked]:
    """The sentences of a page that hold one link, and one to another page, in their order."""
    for sentence in _sentences(text):
        targets = _LINK.findall(sentence)
        target = _page(targets[0][1], names) if len(targets) == 1 else None
        words = " ".join(_LINK.sub(r"\1", sentence).split())
        beside = len(_LINK.sub(" ", sentence).split())
        if target and target != name and LEAST_WORDS <= len(words.split()) <= MOST_WORDS and beside >= LEAST_BESIDE:
            yield Linked(words, name, target)


def _sentences(text: str) -> Iterator[str]:
    for pattern, put in ((FRONT_MATTER, ""), (_CODE, "\n\n"), (COMMENT, "\n\n"), (TOOLTIP, r"\1"), (SHORTCODE, "")):
        text = pattern.sub(put, text)
    paragraph: list[str] = []
    for line in [*text.split("\n"), ""]:
        if paragraph and (_NO_PROSE.match(line) or _MARKER.match(line)):
            whole = " ".join(paragraph)
            starts = [0, *(start for start, _ in sentences(whole, 0, len(whole))), len(whole)]
            yield from (whole[start:end] for start, end in pairwise(starts))
            paragraph = []
        if not _NO_PROSE.match(line):
            paragraph.append(_MARKER.sub("", line, count=1).strip())


def _page(target: str, names: set[str]) -> str | None:
    """The page of a site's path, as /docs/concepts/overview/#why; None where there is none."""
    path = target.partition("#")[0].strip("/")
    if not target.startswith("/docs/") or not path:
        return None
    path = path.removeprefix("docs").strip("/")
    return next((each for each in (f"{path}.md", f"{path}/_index.md", f"{path}/index.md") if each in names), None)
