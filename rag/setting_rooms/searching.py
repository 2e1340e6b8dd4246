"""How passages are found for a question."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Searching(BaseModel):
    """How passages are found for a question."""

    rewrite: Literal["off", "rules", "model"] = Field(
        "rules",
        description="how a follow-up becomes a query of its own: not at all, by rules (English), or by the chat model",
    )
    top_k: int = Field(3, ge=1, le=100, description="passages that a search returns or an answer is given")
    candidates: int = Field(300, ge=1, le=1000, description="hits taken from each leg before fusing")
    fusion: Literal["weighted", "rrf", "dbsf"] = Field(
        "weighted",
        description="how the two legs are joined: by relative scores, by ranks, by the scores' spread",
    )
    dense_weight: float = Field(
        0.6, ge=0, le=1, description="the dense leg's share of a fused score; the keyword leg has the rest (not rrf)"
    )
    rrf_k: float = Field(10, gt=0, description="constant of reciprocal rank fusion: score = sum of 1 / (k + rank)")
    document_weight: float = Field(
        0.5, ge=0, le=10, description="how much the other hits in a passage's document raise it; 0: not at all"
    )
    prf_passages: int = Field(
        0,
        ge=0,
        le=100,
        description="pseudo-relevance feedback: best passages that the query's vector is moved towards before a second "
        "dense search; 0: none",
    )
    prf_weight: float = Field(
        0.3, ge=0, le=1, description="how far it is moved: 0 leaves it, 1 puts these passages' mean in its place"
    )
    reranker: str | None = Field(
        None, description="cross-encoder that puts the best hits in a better order: a folder or a hub name; empty: none"
    )
    reranker_backend: Literal["auto", "torch-fp32", "torch-bf16", "onnx-fp32", "onnx-int8"] = Field(
        "auto",
        description="what runs the reranker; auto: torch-bf16 on a CUDA GPU, onnx-int8 for BERT-like models on a CPU, "
        "else torch-fp32",
    )
    rerank_candidates: int = Field(50, ge=1, le=1000, description="best hits of a search that are reranked at most")
    rerank_seconds: float = Field(
        0.5, gt=0, description="seconds for reranking a search: as many of its best hits as fit, and always the first 8"
    )
    diversity: float = Field(
        0,
        ge=0,
        le=1,
        description="maximal marginal relevance: how much a passage's likeness to better ones lowers it against its "
        "own score; 0: not at all",
    )
    neighbours_before: int = Field(
        2, ge=0, le=20, description="chunks before a hit that may be joined to its passage, at most"
    )
    neighbours_after: int = Field(
        2, ge=0, le=20, description="chunks after a hit that may be joined to its passage, at most"
    )
    neighbours_share: float = Field(
        0.8,
        ge=0,
        le=1,
        description="a chunk beside a hit is joined if the cosines of the two come, on average, to this share of the "
        "query's best; 0: always",
    )
    min_relevance: float = Field(
        0.32, ge=0, le=1, description="abstain where the probability that the passages answer is below this"
    )
