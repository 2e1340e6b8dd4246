"""What people say of answers: a rating, a comment, and the passages that the answer stood on.

Kept among the service's records, in the tenant of who said it. An answer may quote what only its reader's groups may
read, so a record is shown to those who have all of these groups. No passage's text is kept: it is read from the index
when it is wanted, so a deleted document is gone from here too.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from rag.errors import CollectionNotFound
from rag.index.interface import Index
from rag.records import Records, check_askable
from rag.schema import Scope

Rating = Literal["up", "down"]
RATINGS: tuple[Rating, ...] = get_args(Rating)

# Of one tenant; the oldest are forgotten, once there are so many more.
KEPT_FEEDBACK = 10_000
SLACK = 100
PRUNE_SECONDS = 3600.0

_FEEDBACK = "feedback"
_HEAD = ("created", "rating", "verified", "groups")


@dataclass(frozen=True, slots=True)
class GivenPassage:
    """A passage that an answer was given: its chunk's id, its document's URI, and whether the answer cites it.

    `text` is the chunk's, where it was asked for and is still indexed.
    """

    id: str
    document: str
    cited: bool
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a caller says of an answer.

    `searched` is the query that was searched for it: `question`, or what a follow-up was rewritten to. `verified`: the
    service itself remembered question, answer and passages; else the caller told them. `created` is in Unix seconds.
    """

    id: str
    answer_id: str
    rating: Rating
    comment: str
    question: str
    searched: str
    answer: str
    collection: str
    passages: tuple[GivenPassage, ...]
    verified: bool
    caller: str
    groups: tuple[str, ...]
    created: float

    @property
    def cited(self) -> tuple[GivenPassage, ...]:
        """The passages that the answer cites."""
        return tuple(each for each in self.passages if each.cited)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ratings: with this rating (None: any), and only those whose answer the service knew itself."""

    rating: Rating | None = None
    verified: bool = False

    def takes(self, facts: Mapping[str, Any]) -> bool:
        """Whether a record with these fields is one of them."""
        return (self.rating is None or facts["rating"] == self.rating) and (not self.verified or facts["verified"])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the last one's time and id."""

    created: float
    id: str


class FeedbackStore:
    """The feedback of every tenant, shared through Qdrant. Safe to call from many threads.

    Raises IndexUnavailable where Qdrant cannot be reached.
    """

    def __init__(
        self, records: Records, days: float, kept: int = KEPT_FEEDBACK, clock: Callable[[], float] = time.time
    ) -> None:
        """`days` that it is kept, `kept` of one tenant at most."""
        self._records = records
        self._seconds = days * 86_400
        self._kept = kept
        self._clock = clock
        self._pruned: dict[str, float] = {}

    def put(self, said: Feedback, tenant: str) -> Feedback:
        """Keep it, in place of what the same caller said of the same answer; returns it with its id and time."""
        own = Scope.owner(tenant)
        identity = hashlib.sha256(f"{said.caller}\n{said.answer_id}".encode()).hexdigest()[:32]
        said = replace(said, id=identity, created=round(self._clock(), 3))  # the engine keeps no more digits for sure
        data = asdict(said)
        data["passages"] = [{"id": each.id, "document": each.document, "cited": each.cited} for each in said.passages]
        data["groups"] = list(said.groups)
        self._records.put(_FEEDBACK, identity, data, own, said.groups)
        if self._records.count(_FEEDBACK, own) > self._kept + SLACK:
            self.prune(tenant)
        self._prune_at_times(tenant)
        return said

    def page(
        self, scope: Scope, wanted: Wanted, limit: int, after: Place | None = None
    ) -> tuple[list[Feedback], Place | None]:
        """Up to `limit` of those that the scope may see, newest first, and where the next page begins (None: nowhere).

        `after`: where the page before ended.
        """
        oldest = self._clock() - self._seconds
        places = sorted(
            (-float(facts["created"]), identity)
            for identity, facts in self._records.scan(_FEEDBACK, scope, _HEAD)
            if wanted.takes(facts) and facts["created"] >= oldest and _may_see(facts.get("groups"), scope)
        )
        if after is not None:
            places = [each for each in places if each > (-after.created, after.id)]
        ids = [identity for _, identity in places[:limit]]
        found = [from_fields(data) for _, data in self._records.some(_FEEDBACK, ids, scope)]
        end = Place(-places[limit - 1][0], places[limit - 1][1]) if len(places) > limit else None
        return found, end

    def prune(self, tenant: str) -> None:
        """Forget a tenant's oldest beyond those that are kept, and what is older than the days they are kept."""
        own = Scope.owner(tenant)
        times = sorted(
            ((float(facts["created"]), each) for each, facts in self._records.scan(_FEEDBACK, own, ["created"])),
            reverse=True,
        )
        oldest = self._clock() - self._seconds
        old = [each for place, (created, each) in enumerate(times) if place >= self._kept or created < oldest]
        if old:
            self._records.delete(_FEEDBACK, old, own)

    def _prune_at_times(self, tenant: str) -> None:
        now = self._clock()
        if now - self._pruned.get(tenant, 0.0) >= PRUNE_SECONDS:
            self._pruned[tenant] = now
            self.prune(tenant)


def everything(store: FeedbackStore, scope: Scope, wanted: Wanted, page: int = 500) -> Iterator[Feedback]:
    """All of it, newest first."""
    after: Place | None = None
    while True:
        found, after = store.page(scope, wanted, page, after)
        yield from found
        if after is None:
            return


def seen_passages(index: Index, collection: str, cited: Mapping[str, bool], scope: Scope) -> tuple[GivenPassage, ...]:
    """Those of the chunks, by id, that exist and the scope sees; `cited` says of each whether the answer cites it.

    Raises CollectionNotFound, and BadInput for an id that is none.
    """
    found = index.fetch(check_askable(collection), list(cited), scope)
    return tuple(GivenPassage(each.id, str(each.payload["doc"]), cited[each.id]) for each in found)


def with_texts(index: Index, said: Sequence[Feedback], scope: Scope) -> list[Feedback]:
    """The same with the text of each passage, as far as it is indexed still and the scope sees it."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for each in said:
        wanted[each.collection].update(passage.id for passage in each.passages)
    texts: dict[tuple[str, str], str] = {}
    for collection, ids in wanted.items():
        with suppress(CollectionNotFound):  # deleted since
            for point in index.fetch(collection, sorted(ids), scope):
                texts[collection, point.id] = str(point.payload["text"])
    return [
        replace(
            each,
            passages=tuple(
                replace(passage, text=texts.get((each.collection, passage.id))) for passage in each.passages
            ),
        )
        for each in said
    ]


def from_fields(data: Mapping[str, Any]) -> Feedback:
    """Feedback from its fields as plain JSON; what a later version wrote beside them is left out."""
    known = {name: data[name] for name in Feedback.__dataclass_fields__ if name in data}
    fields = GivenPassage.__dataclass_fields__
    passages = tuple(
        GivenPassage(**{name: each[name] for name in fields if name in each}) for each in known["passages"]
    )
    return Feedback(**{**known, "passages": passages, "groups": tuple(known["groups"])})


def _may_see(groups: Sequence[str] | None, scope: Scope) -> bool:
    return scope.groups is None or set(groups or ()) <= scope.groups
