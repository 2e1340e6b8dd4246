"""The latest answers of this process: a rating of one needs its id alone, and nobody can forge the rest.

In memory only: what nobody rates is never stored. An answer of another replica, or of before a restart, is not known.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from rag.feedback import GivenPassage
from rag.schema import Answer, Scope
from serve.access import Caller

# Of questions and answers together: some thousands of answers of usual length, 16 MB in memory at the very most.
MAX_CHARACTERS = 4_000_000
MAX_QUESTION = 20_000
MAX_ANSWER = 20_000
# What each one takes beside its texts, as characters: its passages' ids.
OVERHEAD = 1_000


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """What was asked and answered, with the collection's name as it was asked for."""

    question: str
    searched: str
    text: str
    collection: str
    passages: tuple[GivenPassage, ...]

    @property
    def size(self) -> int:
        """About how many characters it takes."""
        return len(self.question) + len(self.searched) + len(self.text) + OVERHEAD


class GivenAnswers:
    """Answers by id, each for the caller alone that it was given to; the oldest are forgotten first."""

    def __init__(self, characters: int = MAX_CHARACTERS) -> None:
        self._room = characters
        self._known: OrderedDict[str, tuple[str, Scope, GivenAnswer]] = OrderedDict()

    def note(self, identity: str, caller: Caller, collection: str, answer: Answer) -> None:
        """Remember an answer, unless it is one of unusual length."""
        cited = {each.number for each in answer.citations}
        given = GivenAnswer(
            question=answer.question,
            searched=answer.searched or answer.question,
            text=answer.text,
            collection=collection,
            passages=tuple(
                GivenPassage(each.id, each.uri, number in cited) for number, each in enumerate(answer.sources, start=1)
            ),
        )
        if len(given.question) > MAX_QUESTION or len(given.searched) > MAX_QUESTION or len(given.text) > MAX_ANSWER:
            return
        self._known[identity] = (caller.id, caller.scope, given)
        self._room -= given.size
        while self._room < 0:
            _, (_, _, oldest) = self._known.popitem(last=False)
            self._room += oldest.size

    def get(self, identity: str, caller: Caller) -> GivenAnswer | None:
        """The answer that this caller was given under the id; None where none is remembered."""
        found = self._known.get(identity)
        return found[2] if found and found[:2] == (caller.id, caller.scope) else None
