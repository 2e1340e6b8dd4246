"""What an evaluation found, as it is kept: immutable, plain JSON, and enough to compare with another later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rag.errors import BadInput


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What was evaluated on. `documents` and `chunks` are those in the index; `missing` counts judged documents that
    are not in it, and so cannot be found. `hash` names queries and judgements."""

    name: str
    split: str
    hash: str
    synthetic: bool
    documents: int
    chunks: int
    queries: int
    judgements: int
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """What was evaluated: the settings that are not the default, and what the collection was built with."""

    name: str
    settings: Mapping[str, Any]
    index: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of whole searches, one after the other, and the median of each of their stages."""

    p50: float
    p95: float
    p99: float
    mean: float
    searches: int
    stages: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Throughput:
    """Searches a second with so many of them at once."""

    concurrency: int
    queries_per_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """A document that a query was given. `grade` is None where nobody judged it; `snippet` is the head of its best
    chunk."""

    document: str
    title: str
    score: float
    grade: int | None
    snippet: str = ""


@dataclass(frozen=True, slots=True)
class QueryReport:
    """One query: what is relevant to it, at which rank (from 1) each of that was found, and the first that were found.

    A relevant document without a rank is not among the documents that were ranked. `relevance` is the probability that
    they answer.
    """

    text: str
    relevant: Mapping[str, int]
    ranks: Mapping[str, int]
    found: tuple[Found, ...]
    relevance: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """One configuration's evaluation. Metrics and `per_query[metric][query]` lie in [0, 1]; intervals are of 95%.

    `depth` documents were ranked for each query. `queries` holds each query's report by its id; it is left out where a
    result is only to be compared.
    """

    dataset: DatasetFacts
    config: Config
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    latency_ms: Latency
    queries_per_s: float
    per_query: Mapping[str, Mapping[str, float]]
    depth: int
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    throughput: Throughput | None = None
    queries: Mapping[str, QueryReport] = field(default_factory=dict)

    def brief(self) -> Result:
        """The same without the queries' reports."""
        return replace(self, queries={})


@dataclass(frozen=True, slots=True)
class Comparison:
    """How configuration `b` differs from `a` in one metric: mean of b minus a over the queries, its 95% interval, the
    p-value of the paired randomisation test, the same after Holm's correction over all pairs compared in this metric,
    and how many queries b answers better, worse and alike."""

    a: str
    b: str
    metric: str
    difference: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One or more configurations on one dataset, and their comparisons."""

    runs: tuple[Result, ...]
    comparisons: tuple[Comparison, ...] = ()

    def to_json(self, *, brief: bool = False) -> dict[str, Any]:
        """One run's own fields where there is one, else `runs` and `comparisons`. `brief`: without queries' reports."""
        runs = [_plain(each.brief() if brief else each) for each in self.runs]
        return runs[0] if len(runs) == 1 else {"runs": runs, "comparisons": [asdict(each) for each in self.comparisons]}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Evaluation:
        """What `to_json` wrote. Raises BadInput where it is something else."""
        try:
            runs = found.get("runs", [found])
            comparisons = [{**each, "interval": tuple(each["interval"])} for each in found.get("comparisons", ())]
            return cls(tuple(_result(each) for each in runs), tuple(Comparison(**each) for each in comparisons))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"this is no result of an evaluation: {type(error).__name__} {error}.") from None


def read(path: Path) -> Evaluation:
    """An evaluation from its file. Raises BadInput."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read as JSON: {error}.") from None
    if not isinstance(found, dict):
        raise BadInput(f"{path} is no result of an evaluation.")
    try:
        return Evaluation.from_json(found)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def write(path: Path, evaluation: Evaluation) -> None:
    """Write an evaluation as JSON."""
    path.write_text(json.dumps(evaluation.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _plain(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(asdict(result)))
    for name in ("throughput", "queries"):
        if not found[name]:
            del found[name]
    return found


def _result(found: Mapping[str, Any]) -> Result:
    given = dict(found)
    throughput = given.get("throughput")
    return Result(
        **{
            **given,
            "dataset": DatasetFacts(**given["dataset"]),
            "config": Config(**given["config"]),
            "intervals": {name: _pair(each) for name, each in given["intervals"].items()},
            "latency_ms": Latency(**given["latency_ms"]),
            "throughput": Throughput(**throughput) if throughput else None,
            "queries": {name: _query(each) for name, each in given.get("queries", {}).items()},
        }
    )


def _query(found: Mapping[str, Any]) -> QueryReport:
    return QueryReport(**{**found, "found": tuple(Found(**each) for each in found["found"])})


def _pair(values: Sequence[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)
