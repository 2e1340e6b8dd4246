"""Qdrant's engine in this process: one folder an index, one folder a collection inside it.

    <index>/lock, holder.json               who has the folder open (see folder.py)
    <index>/aliases.json                    {alias: collection}, replaced at once
    <index>/collections/<name>/collection.json
    <index>/collections/<name>/shard/       the engine's files

A collection is made under a hidden name and renamed into place, and dropped by the reverse; what a killed process
left under a hidden name is removed at the next open.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import CollectionNotFound, IndexUnavailable
from rag.index.checks import check_name, check_spec, not_found, taken
from rag.index.edge import Shard
from rag.index.folder import FolderLock, read_json, sync_folder, unusable, write_json
from rag.index.interface import Collection, CollectionInfo, CollectionSpec, Hit, Leg, Payload, Record, Stored, Where
from rag.point_ids import ids_tell_documents
from rag.schema import Scope

_FORMAT = 1
_T = TypeVar("_T")


class EmbeddedIndex:
    """An Index in a folder, for one process at a time. Safe to call from many threads.

    Reads and writes of points take no lock here: the engine has its own. One lock guards the set of collections
    and aliases while it changes; readers look names up in dicts that are replaced, never changed.
    """

    def __init__(self, folder: Path) -> None:
        """Open the folder, making it where it is missing.

        Raises IndexLocked where another process holds it, IndexUnavailable where it cannot be used.
        """
        self._folder = folder.resolve()  # as the system shows it where it lists what is mapped
        self._lock = FolderLock(self._folder)
        self._catalogue = threading.RLock()
        self._closed = False
        self._collections = self._folder / "collections"
        self._alias_file = self._folder / "aliases.json"
        self._shards: dict[str, Shard] = {}
        self._aliases: dict[str, str] = {}
        try:
            self._clean()
        except OSError as error:
            self._lock.release()
            raise unusable(self._folder, error) from None
        except IndexUnavailable:
            self._lock.release()
            raise

    @property
    def location(self) -> str:
        return str(self._folder)

    def announce(self, url: str) -> None:
        self._lock.announce(url)

    def collections(self) -> list[CollectionInfo]:
        self._check_open()
        found = []
        for name in self._names():
            with suppress(CollectionNotFound):  # dropped since it was listed
                found.append(self._info(name))
        return found

    def aliases(self) -> dict[str, str]:
        self._check_open()
        return dict(self._aliases)

    def describe(self, name: str) -> CollectionInfo:
        return self._behind(name, self._info)

    def resolve(self, name: str) -> Collection:
        return self._behind(name, lambda own: Collection(own, self._spec(own)))

    def create(self, name: str, spec: CollectionSpec) -> None:
        check_name(name)
        spec = check_spec(spec)
        with self._catalogue:
            self._check_open()
            if name in self._aliases:
                raise taken(name, self.location, "alias")
            if name in self._names():
                raise taken(name, self.location)
            hidden = self._collections / f".new-{uuid.uuid4().hex}"
            try:
                hidden.mkdir()
                Shard.create(hidden / "shard", spec.dense_size, ids_tell_documents(spec.metadata), spec.idf)
                write_json(hidden / "collection.json", {"format": _FORMAT, **asdict(spec)})
                hidden.rename(self._collections / name)
                sync_folder(self._collections)
            except OSError as error:
                raise unusable(self._collections / name, error) from None
            finally:
                shutil.rmtree(hidden, ignore_errors=True)

    def drop(self, name: str) -> None:
        check_name(name)
        with self._catalogue:
            self._check_open()
            if name not in self._names():
                raise not_found(name, self.location, self._names())
            hidden = self._collections / f".dropped-{uuid.uuid4().hex}"
            try:
                (self._collections / name).rename(hidden)
                sync_folder(self._collections)
            except OSError as error:
                raise unusable(self._collections / name, error) from None
            self._write_aliases({alias: target for alias, target in self._aliases.items() if target != name})
            shard = self._shards.get(name)
            self._shards = {key: value for key, value in self._shards.items() if key != name}
            if shard is not None:
                shard.discard()
            shutil.rmtree(hidden, ignore_errors=True)  # what remains is removed at the next open

    def set_metadata(self, name: str, metadata: Mapping[str, Any]) -> None:
        with self._catalogue:
            collection = self._resolve(name)
            spec = self._spec(collection)
            spec = check_spec(CollectionSpec(spec.dense_size, {**spec.metadata, **metadata}))
            write_json(self._collections / collection / "collection.json", {"format": _FORMAT, **asdict(spec)})

    def set_alias(self, alias: str, name: str) -> None:
        check_name(alias)
        check_name(name)
        with self._catalogue:
            self._check_open()
            names = self._names()
            if name not in names:
                raise not_found(name, self.location, names)
            if alias in names:
                raise taken(alias, self.location)
            self._write_aliases({**self._aliases, alias: name})

    def drop_alias(self, alias: str) -> None:
        check_name(alias)
        with self._catalogue:
            self._check_open()
            if alias not in self._aliases:
                raise not_found(alias, self.location, list(self._aliases))
            self._write_aliases({key: target for key, target in self._aliases.items() if key != alias})

    def upsert(self, name: str, records: Sequence[Record], scope: Scope) -> None:
        self._with(name, lambda shard: shard.upsert(records, scope))

    def delete(self, name: str, ids: Sequence[str], scope: Scope) -> None:
        self._with(name, lambda shard: shard.delete(ids, scope))

    def set_payload(self, name: str, ids: Sequence[str], payload: Payload, scope: Scope) -> None:
        self._with(name, lambda shard: shard.set_payload(ids, payload, scope))

    def query(
        self, name: str, legs: Sequence[Leg], scope: Scope, where: Where | None = None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]:
        return self._with(name, lambda shard: shard.query(legs, scope, where, fields))

    def fetch(self, name: str, ids: Sequence[str], scope: Scope) -> list[Stored]:
        return self._with(name, lambda shard: shard.fetch(ids, scope))

    def vectors(self, name: str, ids: Sequence[str], scope: Scope) -> dict[str, Sequence[float]]:
        return self._with(name, lambda shard: shard.vectors(ids, scope))

    def scroll(
        self,
        name: str,
        scope: Scope,
        fields: Sequence[str] | None = None,
        where: Where | None = None,
        start: str | None = None,
    ) -> Iterator[Stored]:
        # Of one shard: an alias that moves meanwhile does not mix two collections.
        shard, found = self._with(name, lambda shard: (shard, shard.scroll(scope, fields, where, start)))
        return self._while_open(name, shard, found)

    def records(self, name: str, scope: Scope) -> Iterator[Record]:
        shard = self._shard(self._resolve(name))
        return self._while_open(name, shard, shard.records(scope))

    def tenants(self, name: str) -> list[str]:
        return self._with(name, lambda shard: shard.tenants())

    def count(self, name: str, scope: Scope, where: Where | None = None) -> int:
        return self._with(name, lambda shard: shard.count(scope, where))

    def wasteful(self, name: str) -> bool:
        return self._with(name, lambda shard: shard.wasteful())

    def optimize(self, name: str) -> None:
        """As in Index. Edge keeps the interpreter's lock meanwhile: call it from a job, not from a server."""
        self._with(name, lambda shard: shard.optimize())

    def close(self) -> None:
        with self._catalogue:
            if self._closed:
                return
            self._closed = True
            shards, self._shards = self._shards, {}
            try:
                for shard in shards.values():
                    shard.close()
            finally:
                self._lock.release()

    def _behind(self, name: str, call: Callable[[str], _T]) -> _T:
        """The call's answer for the collection behind a name or alias."""
        while True:
            collection = self._resolve(name)
            try:
                return call(collection)
            except CollectionNotFound:
                if self._resolve(name) == collection:
                    raise  # else the alias moved on: no gap for readers

    def _with(self, name: str, call: Callable[[Shard], _T]) -> _T:
        while True:
            collection = self._resolve(name)
            shard = None
            try:
                shard = self._shard(collection)
                return call(shard)
            except (IndexUnavailable, CollectionNotFound):
                if self._resolve(name) != collection:
                    continue  # the alias moved on and its old collection was dropped: that is no gap for readers
                if shard is not None:
                    self._check_alive(name, shard)
                raise

    def _while_open(self, name: str, shard: Shard, found: Iterator[_T]) -> Iterator[_T]:
        try:
            yield from found
        except IndexUnavailable:
            self._check_alive(name, shard)
            raise

    def _check_alive(self, name: str, shard: Shard) -> None:
        if shard.closed:  # dropped, or the index closed, while the call ran
            self._check_open()
            raise not_found(name, self.location, self._known())

    def _known(self) -> list[str]:
        """What people call the collections: their aliases, or their names where there is none."""
        return list(self._aliases) or list(self._names())

    def _resolve(self, name: str) -> str:
        check_name(name)
        self._check_open()
        return self._aliases.get(name, name)

    def _shard(self, collection: str) -> Shard:
        shard = self._shards.get(collection)
        if shard is not None:
            return shard
        with self._catalogue:
            self._check_open()
            shard = self._shards.get(collection)
            if shard is None:
                spec = self._spec(collection)
                folder = self._collections / collection / "shard"
                shard = Shard(folder, spec.dense_size, ids_tell_documents(spec.metadata))
                self._shards = {**self._shards, collection: shard}
            return shard

    def _spec(self, collection: str) -> CollectionSpec:
        folder = self._collections / collection
        if not folder.is_dir():
            raise not_found(collection, self.location, self._known())
        path = folder / "collection.json"
        try:
            known = read_json(path)
        except IndexUnavailable:
            if not folder.is_dir():  # dropped just now
                raise not_found(collection, self.location, self._known()) from None
            raise
        size, metadata = known.get("dense_size"), known.get("metadata")
        if known.get("format") != _FORMAT or not isinstance(size, int) or not isinstance(metadata, dict):
            raise IndexUnavailable(f"{path} is not of this version of Librarian: restore it, or delete the folder")
        return CollectionSpec(size, metadata)

    def _info(self, collection: str) -> CollectionInfo:
        aliases = tuple(sorted(alias for alias, target in self._aliases.items() if target == collection))
        points = self._with(collection, lambda shard: shard.points())
        return CollectionInfo(collection, self._spec(collection), points, aliases)

    def _names(self) -> list[str]:
        try:
            return sorted(
                path.name for path in self._collections.iterdir() if path.is_dir() and not path.name.startswith(".")
            )
        except OSError as error:
            raise unusable(self._collections, error) from None

    def _write_aliases(self, aliases: dict[str, str]) -> None:
        if aliases != self._aliases:
            write_json(self._alias_file, aliases)
            self._aliases = aliases

    def _clean(self) -> None:
        self._collections.mkdir(exist_ok=True)
        for leftover in (*self._collections.glob(".new-*"), *self._collections.glob(".dropped-*")):
            shutil.rmtree(leftover, ignore_errors=True)
        for leftover in (*self._folder.glob(".aliases.json-*"), *self._folder.glob(".holder.json-*")):
            leftover.unlink()
        if self._alias_file.exists():
            # A drop that was cut short may have left aliases of the collection that it renamed away.
            self._aliases = read_json(self._alias_file)
            names = self._names()
            self._write_aliases({alias: target for alias, target in self._aliases.items() if target in names})

    def _check_open(self) -> None:
        if self._closed:
            raise IndexUnavailable(f"the index at {self._folder} is closed")
