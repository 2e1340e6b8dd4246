"""A collection in one file, and back: whichever driver wrote it, any driver reads it, so data can move to a cluster.

The file is gzip over lines of JSON: a header (`format`, the collection's name, size, metadata and aliases), one line a
point (its payload as it is, its vectors as base64 of little-endian numbers), and a last line with the number of
points and the SHA-256 of every line before it. `zcat FILE | head -1` shows what a snapshot holds.

Where others write the collection meanwhile, documents at work are in it half; the next ingest puts them right, as it
does after a killed one.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import uuid
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import BadInput, CollectionNotFound, IndexUnavailable
from rag.index.checks import TENANT, check_name, check_spec, prepare, taken
from rag.index.interface import CollectionInfo, CollectionSpec, Index, Record
from rag.schema import Scope, SparseVector

FORMAT = 1
# What a line may have at most, and how many times its own size a file may unpack to: a file is not to be trusted.
MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_EXPANSION = 200
_MAX_DENSE_SIZE = 65_536
_WRITTEN_TOGETHER = 1000
# Random-looking vectors are most of a file: more effort takes several times as long and saves a twentieth.
_EFFORT = 1


class BadSnapshot(BadInput):
    """A snapshot file is damaged, cut short, or something else."""

    code = "bad_snapshot"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a snapshot file holds. `made` is a time in ISO 8601, UTC."""

    collection: str
    spec: CollectionSpec
    aliases: tuple[str, ...]
    made: str
    points: int


def snapshot(index: Index, name: str, target: Path) -> Snapshot:
    """Write the collection behind a name or alias into a new file: after a crash it is whole or not there.

    Raises BadInput where there is such a file or it cannot be written, CollectionNotFound, IndexUnavailable.
    """
    info = index.describe(name)
    if target.exists():
        raise BadInput(f"{target} exists: name another file, or delete it first")
    made = datetime.now(UTC).isoformat(timespec="seconds")
    hidden = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    try:
        try:
            with hidden.open("xb") as file:
                with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_EFFORT, mtime=0) as packed:
                    points = _write(index, info, made, packed)
                file.flush()
                os.fsync(file.fileno())
            hidden.replace(target)
        finally:
            hidden.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror or error}") from None
    return Snapshot(info.name, info.spec, info.aliases, made, points)


def check(source: Path) -> Snapshot:
    """What a file holds; raises BadSnapshot unless all of it is sound. Reads all of it."""
    with _Reader(source) as reader:
        for _ in reader.records():
            pass
        return reader.snapshot()


def restore(index: Index, source: Path, name: str | None = None) -> Snapshot:
    """Make a collection from a file, under `name` or the name that it had. Aliases are left to the caller.

    The whole file is checked before anything is made. While it is written, the alias `NAME.restoring` names the
    collection: what a killed restore left is recognised by that and made anew. Raises BadSnapshot, CollectionExists
    and IndexUnavailable; whatever it raises, the collection is not there.
    """
    held = check(source)
    name = check_name(name or held.collection)
    marker = f"{name[:110]}.restoring"
    with suppress(CollectionNotFound):
        if index.describe(marker).name == name:
            index.drop(name)
    with suppress(CollectionNotFound):
        raise taken(name, index.location, "alias" if index.describe(name).name != name else "collection")
    index.create(name, held.spec)
    try:
        index.set_alias(marker, name)
        with _Reader(source) as reader:
            _fill(index, name, reader.records())
        points = index.describe(name).points
        if points != held.points:
            raise IndexUnavailable(f"of {held.points} points {points} were written to '{name}': restore it again")
    except BaseException:
        with suppress(CollectionNotFound, IndexUnavailable):
            index.drop(name)
        raise
    index.drop_alias(marker)
    return held


def _fill(index: Index, name: str, records: Iterator[Record]) -> None:
    tenant, batch = "", list[Record]()
    for record in records:
        if batch and (record.payload[TENANT] != tenant or len(batch) == _WRITTEN_TOGETHER):
            index.upsert(name, batch, Scope.owner(tenant))
            batch = []
        tenant = str(record.payload[TENANT])
        batch.append(record)
    if batch:
        index.upsert(name, batch, Scope.owner(tenant))


def _write(index: Index, info: CollectionInfo, made: str, packed: gzip.GzipFile) -> int:
    digest = hashlib.sha256()

    def line(value: dict[str, Any]) -> None:
        content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        digest.update(content)
        packed.write(content)

    header = {"format": FORMAT, "collection": info.name, "dense_size": info.spec.dense_size}
    line({**header, "metadata": dict(info.spec.metadata), "aliases": list(info.aliases), "made": made})
    points = 0
    for tenant in index.tenants(info.name):
        for record in index.records(info.name, Scope.owner(tenant)):
            line(_from_record(record))
            points += 1
    line({"points": points, "sha256": digest.hexdigest()})
    return points


class _Reader:
    """Reads a file line by line; whatever is wrong with it is a BadSnapshot that names it."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self._read = 0
        self._points = 0
        self._header: dict[str, Any] = {}
        try:
            self._size = source.stat().st_size
            self._file = gzip.open(source, "rb")  # noqa: SIM115 — closed by __exit__
        except OSError as error:
            raise BadSnapshot(f"snapshot {source} cannot be read: {error.strerror or error}") from None

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def records(self) -> Iterator[Record]:
        """Every point, in the order of the file, checked as a driver would; then the file's end."""
        self._header = self._line()
        held = self.snapshot()
        while "id" in (line := self._line(last=True)):
            yield self._record(line, held.spec.dense_size)
            self._points += 1
        if line.get("points") != self._points or self._file.read(1):
            raise self._bad(f"it says that it holds {line.get('points')} points and holds {self._points}")

    def snapshot(self) -> Snapshot:
        """The header; `points` is right once all were read."""
        header = self._header
        size, metadata, aliases = header.get("dense_size"), header.get("metadata"), header.get("aliases")
        if header.get("format") != FORMAT:
            raise self._bad(f"it is of format {header.get('format')!r}, this version reads {FORMAT}")
        if not isinstance(size, int) or size > _MAX_DENSE_SIZE or not isinstance(metadata, dict):
            raise self._bad("its header lacks the collection's size or metadata")
        try:
            spec = check_spec(CollectionSpec(size, metadata))
            names = tuple(check_name(each) for each in (aliases if isinstance(aliases, list) else []))
            name = check_name(header.get("collection", ""))
        except BadInput as error:
            raise self._bad(str(error)) from None
        return Snapshot(name, spec, names, str(header.get("made", "")), self._points)

    def _line(self, last: bool = False) -> dict[str, Any]:
        try:
            content = self._file.readline(MAX_LINE_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise self._bad(str(error) or type(error).__name__) from None
        self._read += len(content)
        if not content.endswith(b"\n"):
            raise self._bad("a line of it is too long" if len(content) > MAX_LINE_BYTES else "it is cut short")
        if self._read > MAX_LINE_BYTES + MAX_EXPANSION * self._size:
            raise self._bad(f"it unpacks to more than {MAX_EXPANSION} times its size")
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            raise self._bad("a line of it is no JSON") from None
        if not isinstance(value, dict):
            raise self._bad("a line of it is no JSON object")
        if last and "id" not in value and value.get("sha256") != self._digest.hexdigest():
            raise self._bad("its content is not what its checksum says")
        self._digest.update(content)
        return value

    def _record(self, line: dict[str, Any], size: int) -> Record:
        try:
            payload = line["payload"]
            indices, values = line["sparse"]
            record = Record(
                line["id"],
                _unpacked(line["dense"], "<f4"),
                SparseVector(tuple(_unpacked(indices, "<u4")), tuple(_unpacked(values, "<f4"))),
                payload,
            )
            record = prepare(record, Scope.owner(payload[TENANT]))
        except (KeyError, TypeError, ValueError, AttributeError, BadInput) as error:
            raise self._bad(f"point {self._points + 1} is none: {error}") from None
        if len(record.dense) not in (0, size) or not isinstance(payload[TENANT], str):
            raise self._bad(f"point {self._points + 1} has not the collection's size, or no tenant")
        return record

    def _bad(self, why: str) -> BadSnapshot:
        return BadSnapshot(f"{self._source} is no sound snapshot: {' '.join(why.split())[:200]}; take another file")


def _from_record(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "dense": _packed(record.dense, "<f4"),
        "sparse": [_packed(record.sparse.indices, "<u4"), _packed(record.sparse.values, "<f4")],
        "payload": dict(record.payload),
    }


def _packed(numbers: Any, kind: str) -> str:
    return base64.b64encode(np.asarray(numbers, dtype=kind).tobytes()).decode()


def _unpacked(text: str, kind: str) -> list[Any]:
    found: list[Any] = np.frombuffer(base64.b64decode(text, validate=True), dtype=kind).tolist()
    return found
