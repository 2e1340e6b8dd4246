"""Chunks that stand beside each other as one passage: small chunks are found better, larger passages answer better."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rag.index.interface import Payload
from rag.point_ids import beside
from rag.reach import Reach
from rag.schema import Passage

# Between two chunks of a document there is only white space, and seldom more of it than this many characters. What is
# further apart may have had a chunk between.
MOST_BETWEEN = 4

_SPACE = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class Window:
    """A hit, and the chunks before and after it that belong to the same passage: all by their ids."""

    hit: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """All of them, in the order of the text."""
        return (*self.before, self.hit, *self.after)


def windows(hits: Iterable[str], count: int, reach: Reach) -> list[Window]:
    """The best `count` passages: each hit with the chunks of its document that are within its reach.

    A hit that an earlier passage holds already is passed over, and no chunk is in two passages. Past a document's end
    there may be ids of chunks that do not exist.
    """
    taken: set[str] = set()
    found: list[Window] = []
    for hit in hits:
        if hit in taken:
            continue
        free = partial(_free, hit, taken)
        back, forth = reach.around(hit, free)
        before = tuple(each for step in range(-back, 0) if (each := free(step)))
        after = tuple(each for step in range(1, forth + 1) if (each := free(step)))
        window = Window(hit, before, after)
        taken.update(window.ids)
        found.append(window)
        if len(found) == count:
            break
    return found


def _free(hit: str, taken: Container[str], step: int) -> str | None:
    """The id of the chunk so many steps from the hit; None where there is none or it is taken."""
    chunk = beside(hit, step)
    return None if chunk in taken else chunk


def joined(window: Window, hit: Passage, payloads: Mapping[str, Payload]) -> Passage:
    """The hit with its neighbours' text, as far as they are there. What lies between two chunks shows as newlines.

    Its id, score, headings and page stay those of the hit.
    """
    text, start, end = hit.text, hit.start, hit.end
    for identity in reversed(window.before):
        payload = payloads.get(identity)
        if payload is None or payload["end"] > start:
            break
        text = payload["text"] + "\n" * (start - payload["end"]) + text
        start = payload["start"]
    for identity in window.after:
        payload = payloads.get(identity)
        if payload is None or payload["start"] < end:
            break
        text += "\n" * (payload["start"] - end) + payload["text"]
        end = payload["end"]
    return replace(hit, text=text, start=start, end=end)


def together(passages: Sequence[Passage]) -> list[Passage]:
    """The passages, best first as they came, those of one document that touch or overlap joined into one.

    A joined passage has the place, id and scores of its best part, the span of all of them, the page on which it starts
    and the headings that its parts share. Passages whose spans overlap but whose texts disagree (of two versions of a
    document) stay apart, and so does one whose text is not as long as its span.
    """
    of_document: defaultdict[str, list[int]] = defaultdict(list)
    for rank, passage in enumerate(passages):
        of_document[passage.uri].append(rank)
    found: list[tuple[int, Passage]] = []
    for ranks in of_document.values():
        run: list[int] = []
        text = ""
        for rank in sorted(ranks, key=lambda each: (passages[each].start, -passages[each].end, each)):
            longer = _continued(passages[run[0]], text, passages[rank]) if run else None
            if longer is None:
                found += _run(passages, run, text)
                run, text = [rank], passages[rank].text
            else:
                run, text = [*run, rank], longer
        found += _run(passages, run, text)
    return [passage for _, passage in sorted(found, key=lambda each: each[0])]


def _continued(first: Passage, text: str, following: Passage) -> str | None:
    """The text that starts where `first` does with what follows it, or None where the two do not join."""
    between = following.start - first.start - len(text)
    if between > MOST_BETWEEN or first.title != following.title:
        return None
    if len(first.text) != first.end - first.start or len(following.text) != following.end - following.start:
        return None
    if between >= 0:
        return text + "\n" * between + following.text
    before = text[following.start - first.start :][: len(following.text)]
    if _SPACE.sub(" ", before) != _SPACE.sub(" ", following.text[: len(before)]):
        return None
    return text + following.text[len(before) :]


def _run(passages: Sequence[Passage], run: Sequence[int], text: str) -> list[tuple[int, Passage]]:
    """The best rank of a run of passages that stand one after another, and the one passage that they make."""
    if len(run) < 2:
        return [(each, passages[each]) for each in run]
    first, best = passages[run[0]], min(run)
    paths = [passages[each].heading_path for each in run]
    shared = 0
    while all(len(each) > shared and each[shared] == paths[0][shared] for each in paths):
        shared += 1
    whole = replace(
        passages[best],
        text=text,
        start=first.start,
        end=first.start + len(text),
        page=first.page,
        heading_path=paths[0][:shared],
    )
    return [(best, whole)]
