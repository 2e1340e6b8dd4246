"""Librarian's nouns into qdrant_client's and back, and its failures into our errors: pure, for both server drivers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]  # its stubs are not among the dependencies
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http import models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from rag.errors import BadInput, CollectionNotFound, IndexUnavailable, LibrarianError, SettingsError
from rag.index.checks import (
    GROUPS,
    KEYWORD_FIELDS,
    TENANT,
    best_first,
    check_leg,
    finds_nothing,
    paths,
    prepare,
    taken,
)
from rag.index.interface import (
    DENSE,
    SPARSE,
    CollectionInfo,
    CollectionSpec,
    DenseLeg,
    Hit,
    Leg,
    Record,
    Stored,
    Where,
)
from rag.index.narrowing import narrowing
from rag.index.server_conditions import ServerDialect
from rag.index.spread import Spread
from rag.schema import Scope, SparseVector
from rag.settings import Settings

BATCH_POINTS = 256
# A server refuses bodies over 32 MiB by default; this leaves room for estimates that are too low.
BATCH_BYTES = 8 * 1024 * 1024
BATCH_IDS = 1000
PAGE_POINTS = 512
FACET_TENANTS = 1000
DEFAULT_PORT = 6333

# What qdrant_client, its transports and its in-memory mode (ValueError) raise; AssertionError is how it finds an
# answer without a result.
FAILURES = (ApiException, ResourceExhaustedResponse, grpc.RpcError, ValueError, AssertionError)

_FLOAT_BYTES = 22
_POINT_BYTES = 200


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of QdrantClient and AsyncQdrantClient for these settings.

    Raises SettingsError where the CA file cannot be read.
    """
    if not settings.qdrant_url:
        raise SettingsError("qdrant_url is not set: there is no Qdrant server to connect to")
    options: dict[str, Any] = {
        "url": settings.qdrant_url,
        "port": DEFAULT_PORT,
        "grpc_port": settings.qdrant_grpc_port,
        "prefer_grpc": settings.qdrant_grpc,
        "timeout": settings.qdrant_timeout,
        "check_compatibility": False,
    }
    if settings.qdrant_api_key:
        options["api_key"] = settings.qdrant_api_key.get_secret_value()
    if settings.qdrant_ca_file:
        try:
            certificates = settings.qdrant_ca_file.read_bytes()
        except OSError as error:
            raise SettingsError(f"qdrant_ca_file {settings.qdrant_ca_file} cannot be read: {error.strerror}") from None
        options["verify"] = str(settings.qdrant_ca_file)
        options["grpc_options"] = {"root_certificates": certificates}
    return options


def shown_url(url: str) -> str:
    """The URL that is really asked (with its port), without user, password, query and fragment."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or DEFAULT_PORT}{parts.path}".rstrip("/")


def collection_options(spec: CollectionSpec, spread: Spread) -> dict[str, Any]:
    """Keyword arguments of `create_collection`."""
    return {
        **spread.options(),
        "vectors_config": {
            DENSE: models.VectorParams(size=spec.dense_size, distance=models.Distance.COSINE, **spread.dense())
        },
        "sparse_vectors_config": {
            SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF if spec.idf else models.Modifier.NONE)
        },
        "metadata": dict(spec.metadata),
    }


def payload_indexes() -> dict[str, models.KeywordIndexParams]:
    """The payload index of each field that has one."""
    keyword = models.KeywordIndexType.KEYWORD
    indexes = {field: models.KeywordIndexParams(type=keyword) for field in KEYWORD_FIELDS}
    return {TENANT: models.KeywordIndexParams(type=keyword, is_tenant=True), **indexes}


def collection_info(name: str, info: models.CollectionInfo, points: int, aliases: Mapping[str, str]) -> CollectionInfo:
    """A collection as the server tells it. One that others made, without our dense vector, has dense size 0."""
    vectors = info.config.params.vectors
    dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
    spec = CollectionSpec(dense.size if dense else 0, info.config.metadata or {})
    return CollectionInfo(name, spec, points, tuple(sorted(key for key, target in aliases.items() if target == name)))


def alias_changes(alias: str, name: str, aliases: Mapping[str, str]) -> list[models.AliasOperations]:
    """The operations that make `alias` name the collection `name`, to be sent in one request."""
    create = models.CreateAliasOperation(create_alias=models.CreateAlias(alias_name=alias, collection_name=name))
    return [*alias_removal(alias), create] if alias in aliases else [create]


def alias_removal(alias: str) -> list[models.AliasOperations]:
    """The operation that forgets an alias."""
    return [models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))]


def scope_filter(scope: Scope, where: Where | None = None, ids: Sequence[str] | None = None) -> models.Filter:
    """The points that the scope sees, narrowed by `where` and to `ids`: all joined by AND."""
    must: list[models.Condition] = [models.FieldCondition(key=TENANT, match=models.MatchValue(value=scope.tenant))]
    if scope.groups is not None:
        visible: list[models.Condition] = [models.IsEmptyCondition(is_empty=models.PayloadField(key=GROUPS))]
        if scope.groups:
            visible.append(models.FieldCondition(key=GROUPS, match=models.MatchAny(any=sorted(scope.groups))))
        must.append(models.Filter(should=visible))
    must.extend(narrowing(where, ServerDialect()))
    if ids is not None:
        must.append(models.HasIdCondition(has_id=list(ids)))
    return models.Filter(must=must)


def point_batches(records: Sequence[Record], scope: Scope) -> Iterator[list[models.PointStruct]]:
    """Points to write, in batches within BATCH_POINTS and about BATCH_BYTES. All are checked before the first."""
    batch: list[models.PointStruct] = []
    size = 0
    for record in [prepare(record, scope) for record in records]:
        needs = _bytes(record)
        if batch and (len(batch) == BATCH_POINTS or size + needs > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(point(record))
        size += needs
    if batch:
        yield batch


def point(record: Record) -> models.PointStruct:
    """A prepared record as a point; an empty vector is left out."""
    vectors: dict[str, Any] = {}
    if len(record.dense):
        vectors[DENSE] = [float(value) for value in record.dense]
    if record.sparse.indices:
        vectors[SPARSE] = models.SparseVector(indices=list(record.sparse.indices), values=list(record.sparse.values))
    return models.PointStruct(id=record.id, vector=vectors, payload=dict(record.payload))


def query_requests(
    legs: Sequence[Leg], scope: Scope, where: Where | None, fields: Sequence[str] = ()
) -> list[models.QueryRequest]:
    """One request for each leg that can find anything."""
    visible = scope_filter(scope, where)
    return [
        models.QueryRequest(
            query=_query(leg),
            using=DENSE if isinstance(leg, DenseLeg) else SPARSE,
            filter=visible,
            limit=leg.limit,
            with_payload=selector(fields),
            with_vector=False,
        )
        for leg in legs
        if not finds_nothing(check_leg(leg))
    ]


def hits(legs: Sequence[Leg], answers: Sequence[models.QueryResponse]) -> list[list[Hit]]:
    """Answers to `query_requests`, as one list of hits for each leg."""
    following = iter(answers)
    return [
        []
        if finds_nothing(leg)
        else best_first(leg, [Hit(_id(each.id), each.score, each.payload or {}) for each in next(following).points])
        for leg in legs
    ]


def selector(fields: Sequence[str] | None) -> bool | list[str]:
    """The `with_payload` that returns only these fields (None: all)."""
    return True if fields is None else paths(fields) or False


def stored(found: models.Record) -> Stored:
    """A point as the server returns it."""
    return Stored(_id(found.id), found.payload or {})


def record(found: models.Record) -> Record:
    """The same with its vectors."""
    vectors = found.vector if isinstance(found.vector, dict) else {}
    dense, sparse = vectors.get(DENSE), vectors.get(SPARSE)
    flat = [value for value in dense if isinstance(value, (int, float))] if isinstance(dense, list) else []
    words = sparse if isinstance(sparse, models.SparseVector) else models.SparseVector(indices=[], values=[])
    return Record(_id(found.id), flat, SparseVector(tuple(words.indices), tuple(words.values)), found.payload or {})


def tenants_facet(known: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments of `facet` for tenants other than these."""
    rest: list[models.Condition] = [models.FieldCondition(key=TENANT, match=models.MatchAny(any=list(known)))]
    return {
        "key": TENANT,
        "limit": FACET_TENANTS,
        "exact": True,
        "facet_filter": models.Filter(must_not=rest) if known else None,
    }


def vectors_request(scope: Scope, ids: Sequence[str]) -> dict[str, Any]:
    """The arguments of a scroll for the dense vectors of these points: `retrieve` cannot keep to a scope."""
    return {
        "scroll_filter": scope_filter(scope, ids=ids),
        "limit": len(ids),
        "with_payload": False,
        "with_vectors": [DENSE],
    }


def dense_vectors(found: Sequence[models.Record]) -> dict[str, Sequence[float]]:
    """By id, the dense vectors of the points that have one."""
    return {each.id: each.dense for each in map(record, found) if len(each.dense)}


def in_order(ids: Sequence[str], found: Sequence[Stored]) -> list[Stored]:
    """The found points in the order of `ids`."""
    by_id = {item.id: item for item in found}
    return [by_id[identity] for identity in ids if identity in by_id]


def failure(error: Exception, location: str, name: str = "") -> LibrarianError:
    """Our error for what qdrant_client raised while it worked on the collection `name` at `location`."""
    if isinstance(error, UnexpectedResponse):
        return _from_status(error, location, name)
    if isinstance(error, ResponseHandlingException):
        return _from_transport(error.source, location)
    if isinstance(error, ResourceExhaustedResponse):
        return IndexUnavailable(f"Qdrant at {location} is overloaded (HTTP 429): try again later")
    if isinstance(error, grpc.RpcError):
        return _from_grpc(error, location, name)
    if isinstance(error, (json.JSONDecodeError, AssertionError)):
        return _not_qdrant(location, "its answer cannot be read")
    # The in-memory mode raises ValueError, as does the client for what it cannot send.
    return _from_words(_line(error), location, name)


def _from_status(error: UnexpectedResponse, location: str, name: str) -> LibrarianError:
    status = error.status_code or 0
    words = _reason(error.content)
    if status in (401, 403):
        return _refused_key(location, f"HTTP {status}")
    if words is None:
        if status >= 500:
            return IndexUnavailable(f"Qdrant at {location} failed (HTTP {status}): see its log, then try again")
        return _not_qdrant(location, f"HTTP {status}")
    if status == 404 and not ("exist" in words or "not found" in words.lower()):
        return _not_qdrant(location, f"HTTP 404: {words}")
    if status == 404:
        return CollectionNotFound(words)
    if status == 409:
        return taken(name, location)
    if 400 <= status < 500 and status not in (408, 429):
        return _from_words(words, location, name)
    return IndexUnavailable(f"Qdrant at {location} failed (HTTP {status}): {words}")


def _from_transport(source: object, location: str) -> LibrarianError:
    kind = type(source).__name__
    words = _line(source)
    if "Timeout" in kind:
        return IndexUnavailable(
            f"Qdrant at {location} did not answer in time ({kind}): check that it is well, or raise "
            "LIBRARIAN_QDRANT_TIMEOUT"
        )
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return IndexUnavailable(
            f"the certificate of Qdrant at {location} cannot be verified: set LIBRARIAN_QDRANT_CA_FILE ({words})"
        )
    if isinstance(source, ValueError):  # the answer is no JSON, or not of the shape that Qdrant's has
        return _not_qdrant(location, "its answer cannot be read")
    return IndexUnavailable(
        f"Qdrant at {location} cannot be reached ({words or kind}): check that it runs and that LIBRARIAN_QDRANT_URL "
        "is right"
    )


def _from_grpc(error: grpc.RpcError, location: str, name: str) -> LibrarianError:
    code = error.code() if hasattr(error, "code") else grpc.StatusCode.UNKNOWN
    words = _line(error.details() if hasattr(error, "details") else error)
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return _refused_key(location, f"gRPC {code.name}")
    if code == grpc.StatusCode.NOT_FOUND:
        return CollectionNotFound(words)
    if code == grpc.StatusCode.ALREADY_EXISTS:
        return taken(name, location)
    if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
        return _from_words(words, location, name)
    advice = "check that it runs, LIBRARIAN_QDRANT_URL and LIBRARIAN_QDRANT_GRPC_PORT, or unset LIBRARIAN_QDRANT_GRPC"
    return IndexUnavailable(f"Qdrant at {location} cannot be reached over gRPC ({code.name}: {words}): {advice}")


def _from_words(words: str, location: str, name: str) -> LibrarianError:
    lower = words.lower()
    if "already exists" in lower:
        return taken(name, location)
    if "collection" in lower and ("not found" in lower or "doesn't exist" in lower):
        return CollectionNotFound(words)
    return BadInput(f"Qdrant at {location} refused the request for '{name}': {words}")


def _refused_key(location: str, how: str) -> IndexUnavailable:
    return IndexUnavailable(f"Qdrant at {location} refused the API key ({how}): set LIBRARIAN_QDRANT_API_KEY")


def _not_qdrant(location: str, how: str) -> IndexUnavailable:
    return IndexUnavailable(f"what answers at {location} does not look like Qdrant ({how}): check LIBRARIAN_QDRANT_URL")


def _reason(content: bytes) -> str | None:
    # Qdrant puts its reason into {"status": {"error": "..."}}; anything else is not Qdrant speaking.
    try:
        return _line(json.loads(content)["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return None


def _line(words: object) -> str:
    return " ".join(str(words).split())[:300]


def _query(leg: Leg) -> list[float] | models.SparseVector:
    if isinstance(leg, DenseLeg):
        return [float(value) for value in leg.vector]
    return models.SparseVector(indices=list(leg.vector.indices), values=list(leg.vector.values))


def _bytes(record: Record) -> int:
    floats = len(record.dense) + 2 * len(record.sparse.indices)
    return _POINT_BYTES + floats * _FLOAT_BYTES + len(json.dumps(dict(record.payload)))


def _id(value: object) -> str:
    return str(uuid.UUID(value)) if isinstance(value, str) else str(value)
