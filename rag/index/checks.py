"""What every driver checks and prepares in the same way before it talks to an engine.

An engine must never see a malformed point: Edge writes an operation to its log before it applies it, so a bad one
would come back at every start; a server answers each kind of mistake in words of its own.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from rag.errors import BadInput, CollectionExists, CollectionNotFound
from rag.index.interface import CollectionSpec, DenseLeg, Hit, Leg, Payload, Record
from rag.schema import Scope, SparseVector

TENANT = "tenant"
GROUPS = "groups"
DOCUMENT = "doc"
# Payload fields that filters name often; `tenant` has an index of its own kind.
KEYWORD_FIELDS = (GROUPS, DOCUMENT, "part")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_NAMES_SHOWN = 8
_MAX_SPARSE_INDEX = 2**32 - 1
_T = TypeVar("_T")


def check_name(name: str) -> str:
    """The name of a collection or alias, unchanged; raises BadInput for one that could leave its folder."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot name a collection: use 1 to 128 letters, digits, '_', '-' or '.', "
            "and do not start with '-' or '.'"
        )
    return name


def check_spec(spec: CollectionSpec) -> CollectionSpec:
    """The spec with its metadata as plain JSON; raises BadInput for a size below 1 or metadata JSON cannot hold."""
    if spec.dense_size < 1:
        raise BadInput(f"a collection's dense size must be at least 1, not {spec.dense_size}")
    return CollectionSpec(spec.dense_size, _plain(spec.metadata, "the collection's metadata"))


def point_id(value: str) -> str:
    """The id in the canonical spelling of a UUID; raises BadInput for anything else."""
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise BadInput(f"{value!r} is not a point id: ids are UUIDs") from None


def point_ids(values: Sequence[str]) -> list[str]:
    """The ids in canonical spelling, each once, in the order of their first place."""
    return list(dict.fromkeys(point_id(value) for value in values))


def prepare(record: Record, scope: Scope) -> Record:
    """The record as it will be stored: canonical id, plain JSON payload, tenant of the scope.

    Raises BadInput, naming the point, for values that no engine can hold or that would decide visibility by accident
    (`groups` that are not a list of names).
    """
    identity = point_id(record.id)
    payload = _plain({**record.payload, TENANT: scope.tenant}, f"the payload of point {identity}")
    _check_groups(payload, f"point {identity}")
    if len(record.dense):
        _check_dense(record.dense, f"the dense vector of point {identity}")
    _check_sparse(record.sparse, f"the sparse vector of point {identity}")
    return Record(identity, record.dense, record.sparse, payload)


def check_fields(payload: Payload) -> dict[str, Any]:
    """Payload fields to set, as plain JSON and without `tenant`, which only the scope of an upsert decides.

    Raises BadInput as `prepare` does.
    """
    fields = _plain({key: value for key, value in payload.items() if key != TENANT}, "the payload to set")
    _check_groups(fields, "the payload to set")
    return fields


def check_leg(leg: Leg) -> Leg:
    """The leg, unchanged; raises BadInput for a negative limit or a vector that cannot be searched with."""
    if leg.limit < 0:
        raise BadInput(f"a leg's limit must not be negative, it is {leg.limit}")
    if isinstance(leg, DenseLeg):
        if not len(leg.vector):
            raise BadInput("the query's dense vector is empty")
        _check_dense(leg.vector, "the query's dense vector")
    else:
        _check_sparse(leg.vector, "the query's sparse vector")
    return leg


def finds_nothing(leg: Leg) -> bool:
    """Whether a leg is empty by what it asks, so that no engine need be asked (some refuse such a request)."""
    return leg.limit == 0 or (not isinstance(leg, DenseLeg) and not leg.vector.indices)


def conditions(where: Mapping[str, Sequence[str]] | None) -> list[tuple[str, list[str]]]:
    """(path in Qdrant's spelling, wanted values) for each field of a mapping; raises BadInput for a bad path.

    Path segments that hold more than letters, digits, '_' and '-' are quoted, so that no key of a payload can be
    read as path syntax.
    """
    for path, values in (where or {}).items():
        if isinstance(values, str) or not all(isinstance(value, str) for value in values):
            raise BadInput(f"the wanted values of {path!r} must be a list of strings")
    return [(_spelled(path), list(values)) for path, values in (where or {}).items()]


def paths(fields: Sequence[str]) -> list[str]:
    """Payload fields in Qdrant's spelling; raises BadInput for a bad path."""
    return [_spelled(field) for field in fields]


def best_first(leg: Leg, hits: list[Hit]) -> list[Hit]:
    """Hits by descending score, ties by id (engines leave ties in the order of their segments).

    Cosines are held to [-1, 1], which rounding in an engine can pass by a hair.
    """
    if isinstance(leg, DenseLeg):
        hits = [hit if -1.0 <= hit.score <= 1.0 else hit._replace(score=max(-1.0, min(1.0, hit.score))) for hit in hits]
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))


def batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Consecutive slices of at most `size` items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def not_found(name: str, location: str, existing: Sequence[str]) -> CollectionNotFound:
    """The error for an unknown collection or alias, which names some that exist."""
    shown = ", ".join(sorted(existing)[:_NAMES_SHOWN])
    more = f" and {len(existing) - _NAMES_SHOWN} more" if len(existing) > _NAMES_SHOWN else ""
    known = f"there are: {shown}{more}" if existing else "there are none yet"
    return CollectionNotFound(
        f"no collection or alias '{name}' in {location}; {known}. "
        "Make it with `librarian ingest FOLDER`, or name another.",
        asked=name,
    )


def taken(name: str, location: str, kind: str = "collection") -> CollectionExists:
    """The error for a name that a collection or an alias (`kind`) already has."""
    article = "an" if kind == "alias" else "a"
    return CollectionExists(
        f"'{name}' is already {article} {kind} in {location}: choose another name, or delete it first "
        "(`librarian collections delete NAME`)"
    )


def _spelled(path: str) -> str:
    segments = path.split(".")
    if not all(segments) or '"' in path or "\\" in path:
        raise BadInput(f"{path!r} is not a payload field: use names joined by single dots")
    return ".".join(part if _PLAIN_KEY.fullmatch(part) else f'"{part}"' for part in segments)


def _plain(value: Mapping[str, Any], what: str) -> dict[str, Any]:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode("utf-8")  # lone surrogates pass json but no engine
    except (TypeError, ValueError) as error:
        raise BadInput(f"{what} is not plain JSON: {error}") from None
    plain: dict[str, Any] = json.loads(text)
    return plain


def _check_groups(payload: Payload, what: str) -> None:
    groups = payload.get(GROUPS)
    if groups is not None and not (isinstance(groups, list) and all(isinstance(g, str) and g for g in groups)):
        raise BadInput(f"'groups' of {what} must be a list of non-empty names, not {groups!r}")


def _check_dense(vector: Sequence[float], what: str) -> None:
    try:
        finite = math.isfinite(sum(vector))  # a NaN or an infinity survives the sum
    except TypeError:
        finite = False
    if not finite:
        raise BadInput(f"{what} holds something that is not a finite number")


def _check_sparse(vector: SparseVector, what: str) -> None:
    indices = vector.indices
    if len(indices) != len(vector.values):
        raise BadInput(f"{what} has {len(indices)} indices but {len(vector.values)} values")
    if len(set(indices)) != len(indices):
        raise BadInput(f"{what} names an index twice")
    if indices and not (min(indices) >= 0 and max(indices) <= _MAX_SPARSE_INDEX):
        raise BadInput(f"{what} has an index outside 0 to {_MAX_SPARSE_INDEX}")
    _check_dense(vector.values, what)
