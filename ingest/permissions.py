"""Who may see, replace and delete documents of a service: the rules of uploads and deletions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from rag.documents import groups_of
from rag.errors import CollectionNotFound
from rag.feeding import NotYours, may_write
from rag.index.interface import Index
from rag.schema import Scope


def check_replaceable(index: Index, collection: str, uris: Sequence[str], scope: Scope) -> None:
    """Raise NotYours where one of the documents is there already and the scope may not write all that it holds."""
    with suppress(CollectionNotFound):
        name = index.describe(collection).name
        for uri, groups in groups_of(index, name, uris, scope.tenant).items():
            if not all(may_write(scope, each) for each in groups):
                raise NotYours(f"'{uri}' is there already and is not yours to replace: send it under another name.")


def sees(scope: Scope, groups: Sequence[str]) -> bool:
    """Whether the scope may read what belongs to these groups."""
    return scope.groups is None or not groups or bool(scope.groups & set(groups))


def not_yours(name: str, groups: Sequence[str], scope: Scope) -> str:
    """Why the scope may not write a document of these groups, for people."""
    whose = f"groups {', '.join(sorted(groups))}" if groups else "everyone"
    can = f"some of the groups {', '.join(sorted(scope.groups))}" if scope.groups else "everyone"
    return f"'{name}' is for {whose}; this service writes and deletes documents for {can} only."
