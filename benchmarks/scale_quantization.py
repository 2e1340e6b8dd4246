"""What quantization costs on real vectors: SciFact's abstracts by the default encoder, in Qdrant's own engine.

The points are searched one by one (no graph), so that what is lost is lost to quantization alone. "Rescored ×4" takes
four times as many candidates by the small vectors and ranks them by the whole ones.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import qdrant_edge as edge
from kept_vectors import KeptVectors

from eval.datasets import Dataset, open_dataset
from eval.metrics import measure
from eval.runs import Ranked
from rag.encoders import LocalEncoder, Vectors
from rag.settings import Settings

NDCG = "nDCG@10"
TOP = 10
_BATCH = 500
_ONE_BY_ONE = 10**9  # Qdrant's full_scan_threshold, kB: no collection is that large
_SEAL_ABOVE = 1  # kB: every segment is sealed, and only sealed ones hold int8


@dataclass(frozen=True, slots=True)
class Cost:
    """One way to hold and search the vectors. `vector_bytes` is what of each must be in memory to find candidates."""

    title: str
    vector_bytes: float
    recall: float
    ndcg: float


def quantization(data: Path, kept: Path | None = None) -> list[Cost]:
    """Every way, the unquantized one first. `kept`: where the vectors are remembered. Raises DatasetError."""
    dataset = open_dataset(data, "test")
    vectors, queries, names = _encoded(dataset, kept or Path(tempfile.gettempdir()) / "librarian-scale")
    exact = [[names[number] for number in np.argsort(-(vectors @ query))[:TOP]] for query in queries]
    asked = [query.id for query in dataset.queries]
    found = []
    for held, ways in _WAYS.items():
        with (
            tempfile.TemporaryDirectory(prefix="librarian-scale-") as folder,
            closing(_Points(Path(folder), vectors, _CONFIGS[held])) as points,
        ):
            size = points.quantized_bytes / len(vectors) or vectors.shape[1] * vectors.itemsize
            for title, oversampling in ways.items():
                hits = [points.search(query, oversampling) for query in queries]
                answers = [[(names[number], score) for number, score in each] for each in hits]
                found.append(Cost(title, size, _recall(exact, answers), _ndcg(dataset, asked, answers)))
    return found


_CONFIGS: Mapping[str, object] = {
    "none": None,
    "int8": edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, quantile=0.99),
    "binary": edge.BinaryQuantizationConfig(),
}
# Title → how many times as many candidates are rescored; 0: none are.
_WAYS: Mapping[str, Mapping[str, float]] = {
    "none": {"float32": 0},
    "int8": {"int8": 0, "int8, rescored ×2": 2},
    "binary": {"binary": 0, "binary, rescored ×2": 2, "binary, rescored ×4": 4, "binary, rescored ×10": 10},
}


class _Points:
    """An Edge shard with the vectors under their numbers."""

    def __init__(self, folder: Path, vectors: Vectors, config: object) -> None:
        self._folder = folder / "shard"
        self._folder.mkdir()
        dense = edge.EdgeVectorParams(
            size=vectors.shape[1],
            distance=edge.Distance.Cosine,
            quantization_config=config,  # type: ignore[arg-type]
        )
        settings = edge.EdgeConfig(
            vectors={"dense": dense},
            hnsw_config=edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=_ONE_BY_ONE),
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=_SEAL_ABOVE, default_segment_number=1),
        )
        self._shard = edge.EdgeShard.create(str(self._folder), settings)
        for start in range(0, len(vectors), _BATCH):
            rows = vectors[start : start + _BATCH].tolist()
            points = [edge.Point(start + number, {"dense": row}, {}) for number, row in enumerate(rows)]
            self._shard.update(edge.UpdateOperation.upsert_points(points))
        self._shard.flush()
        self._shard.optimize()
        self._shard.flush()

    @property
    def quantized_bytes(self) -> int:
        """The file of the small vectors; 0 where there is none."""
        return sum(path.stat().st_size for path in self._folder.rglob("quantized.data"))

    def search(self, query: Vectors, oversampling: float) -> list[tuple[int, float]]:
        """(number, score) of the TOP best."""
        chosen = edge.QuantizationSearchParams(rescore=oversampling > 0, oversampling=oversampling or None)
        request = edge.QueryRequest(
            limit=TOP,
            query=edge.Query.Nearest(query.tolist(), using="dense"),
            params=edge.SearchParams(quantization=chosen),
            with_payload=False,
            with_vector=False,
        )
        return [(int(str(hit.id)), hit.score) for hit in self._shard.query(request)]

    def close(self) -> None:
        self._shard.close()


def _encoded(dataset: Dataset, kept: Path) -> tuple[Vectors, Vectors, list[str]]:
    """Vectors of the documents, of the questions, and the documents' names."""
    encoder = LocalEncoder(str(Settings.model_fields["encoder"].default), device="cpu")
    lines = [json.loads(line) for line in dataset.source.read_text(encoding="utf-8").splitlines() if line]
    known = KeptVectors(kept, encoder)
    vectors = known.of([f"{each['title']}\n{each['text']}" for each in lines])
    known.save()
    queries = np.stack([encoder.encode_query(query.text) for query in dataset.queries])
    return vectors, queries, [str(each["_id"]) for each in lines]


def _recall(exact: Sequence[Sequence[str]], answers: Sequence[Sequence[tuple[str, float]]]) -> float:
    shares = [len(set(best) & {name for name, _ in found}) / TOP for best, found in zip(exact, answers, strict=True)]
    return sum(shares) / len(shares)


def _ndcg(dataset: Dataset, asked: Sequence[str], answers: Sequence[Sequence[tuple[str, float]]]) -> float:
    run = {query: [Ranked(name, score) for name, score in found] for query, found in zip(asked, answers, strict=True)}
    return measure(dataset.qrels, run, [NDCG]).means[NDCG]
