"""Puts a model into service, and takes it out again: collections are rebuilt beside and their aliases swapped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.errors import NothingPromoted
from eval.indexing import OWN_PREFIX
from eval.progress import Show
from eval.tune.promoting import with_model
from rag.encoders import LocalEncoder, same_encoder
from rag.index import Index, open_alone
from rag.tuning.artefacts import Artefact
from rag.tuning.in_service import InService, Promoted
from rag.tuning.registry import Registry

if TYPE_CHECKING:
    from rag.settings import Settings

# The command hands it in, since this package does not import the ingestion: bring the settings' collection to their
# encoder, keeping the old one or not.
Reindex = Callable[["Settings", Index, bool, Show], None]

_LEAVING = ".leaving"  # an alias of a re-index that was killed


@dataclass(frozen=True, slots=True)
class Switched:
    """What is in service now (None: what the settings say), what was before, and the collections that were rebuilt."""

    kind: str
    now: str | None
    before: str | None
    collections: tuple[str, ...]


def put_into_service(artefact: Artefact, settings: Settings, reindex: Reindex, show: Show) -> Switched:
    """Put the artefact into service. `settings` are those in force, with what is in service until now.

    For an encoder every collection that is built with the present one is rebuilt beside it and swapped; the old ones
    stay, so that going back is quick. Killed on the way, it is finished by promoting again. Raises what a re-index
    raises.
    """
    registry, kind = Registry.of(settings), artefact.card.kind
    served = registry.in_service()
    before = served.now(kind)
    moved: tuple[str, ...] = ()
    if kind == "encoder":
        wanted = with_model(settings, kind, artefact.folder)
        with closing(open_alone(settings)) as index:
            moved = _built_with(index, [settings.encoder, str(artefact.folder)])
            _rebuild(index, wanted, moved, reindex, show, keep_old=True)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    registry.set_in_service(served.with_promoted(kind, Promoted(artefact.card.name, since, {"collections": [*moved]})))
    return Switched(kind, artefact.card.name, before.name if before else None, moved)


def take_out_of_service(kind: str | None, settings: Settings, reindex: Reindex, show: Show) -> Switched:
    """Undo the last promotion, of this kind where one is named: what was in service before it is so again.

    `settings` are those without any promotion of encoders and rerankers. Collections go back as they went: documents
    that were added or changed meanwhile are carried over. Raises NothingPromoted, and what a re-index raises.
    """
    registry = Registry.of(settings)
    served = registry.in_service()
    last = _last(served, kind)
    left = served.without_last(last[0])
    before = left.now(last[0])
    moved = tuple(str(each) for each in last[1].facts.get("collections", ()))
    if last[0] == "encoder" and moved:
        wanted = with_model(settings, "encoder", registry.folder / before.name) if before else settings
        with closing(open_alone(settings)) as index:
            moved = tuple(each for each in moved if each in index.aliases())
            _rebuild(index, wanted, moved, reindex, show, keep_old=False)
    registry.set_in_service(left)
    return Switched(last[0], before.name if before else None, last[1].name, moved)


def check_alone(settings: Settings) -> None:
    """Raise IndexLocked where somebody holds the index that is to be rebuilt: said before the evaluation, not after."""
    open_alone(settings).close()


def _last(served: InService, kind: str | None) -> tuple[str, Promoted]:
    kinds = [kind] if kind else list(served.promoted)
    found = [(each, now) for each in kinds if (now := served.now(each))]
    if not found:
        raise NothingPromoted(f"no {kind or 'model'} was promoted: there is nothing to go back from.")
    return max(found, key=lambda pair: pair[1].since)


def _built_with(index: Index, encoders: Sequence[str]) -> tuple[str, ...]:
    """The aliases of collections that one of these encoders built; evaluations' own are left out."""
    known = [LocalEncoder(each).fingerprint for each in encoders]
    found = []
    for alias, name in sorted(index.aliases().items()):
        if alias.startswith(OWN_PREFIX) or alias.endswith(_LEAVING):
            continue
        dense = index.describe(name).spec.metadata.get("dense")
        if isinstance(dense, dict) and any(same_encoder(dense, each) for each in known):
            found.append(alias)
    return tuple(found)


def _rebuild(
    index: Index, wanted: Settings, collections: Sequence[str], reindex: Reindex, show: Show, *, keep_old: bool
) -> None:
    for each in collections:
        reindex(wanted.model_copy(update={"collection": each}), index, keep_old, show)
