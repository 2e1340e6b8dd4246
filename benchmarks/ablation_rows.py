"""The configurations of the ablation: each is the default with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """`changes` are settings that are not the default's; `shown` is what the table says of them."""

    key: str
    shown: str
    changes: Mapping[str, Any] = field(default_factory=dict)


DEFAULT = Row("default", "**the default**: weighted, .6 dense, 300 candidates, document evidence .5")

ROWS: Sequence[Row] = (
    Row(
        "start",
        "the start: reciprocal rank fusion, k 10, 100 candidates, no document evidence",
        {"fusion": "rrf", "rrf_k": 10, "candidates": 100, "document_weight": 0},
    ),
    Row("evidence-off", "no document evidence (`document_weight` 0)", {"document_weight": 0}),
    DEFAULT,
    Row("rrf", '`fusion = "rrf"`, k 10', {"fusion": "rrf"}),
    Row("dbsf", '`fusion = "dbsf"`', {"fusion": "dbsf"}),
    Row("dense-.5", "`dense_weight` .5", {"dense_weight": 0.5}),
    Row("dense-.7", "`dense_weight` .7", {"dense_weight": 0.7}),
    Row("candidates-100", "`candidates` 100", {"candidates": 100}),
    Row("candidates-500", "`candidates` 500", {"candidates": 500}),
    Row("title-2", "`bm25_title_weight` 2", {"bm25_title_weight": 2}),
    Row("title-4", "`bm25_title_weight` 4", {"bm25_title_weight": 4}),
    Row("heading-2", "`bm25_heading_weight` 2", {"bm25_heading_weight": 2}),
    Row("prefix", '`query_prefix` "query: "', {"query_prefix": "query: "}),
    Row("prf-3-.3", "feedback: `prf_passages` 3, `prf_weight` .3", {"prf_passages": 3, "prf_weight": 0.3}),
    Row("prf-3-.1", "feedback: `prf_passages` 3, `prf_weight` .1", {"prf_passages": 3, "prf_weight": 0.1}),
    Row("mmr-.1", "`diversity` .1", {"diversity": 0.1}),
    Row("mmr-.3", "`diversity` .3", {"diversity": 0.3}),
    Row("mmr-.5", "`diversity` .5", {"diversity": 0.5}),
    Row(
        "neighbours-off",
        "`neighbours_before` and `neighbours_after` 0 (ranks the same: they make passages longer)",
        {"neighbours_before": 0, "neighbours_after": 0},
    ),
)


def rows(reranker: str | None, sparse: str | None = None) -> Sequence[Row]:
    """All of them, and one more for each model that was given."""
    more = [Row("learned-sparse", "`sparse_encoder`: a learned one in BM25's place", {"sparse_encoder": sparse})]
    more += [Row("reranker", "`reranker`, the best 50 in .5 s at most", {"reranker": reranker})]
    return (*ROWS, *(each for each, given in zip(more, (sparse, reranker), strict=True) if given))
