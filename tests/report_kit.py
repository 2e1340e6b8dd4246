"""A made-up evaluation with numbers that hang together, for tests of its report."""

from __future__ import annotations

from dataclasses import replace

from eval.comparing import compare_all
from eval.judgements import Qrels
from eval.metrics import measure
from eval.result import Config, DatasetFacts, Evaluation, Found, Latency, QueryReport, Result, Throughput
from eval.runs import Ranked
from eval.statistics import bootstrap_interval

QUERIES = 40
DEPTH = 100
# A right-to-left override, a zero-width space, a NUL and half a surrogate pair stand among them.
HOSTILE = (
    "</title></style></svg><script>window.top.hit = 1</script><img src=x onerror='window.top.hit=1'>"
    "\"'&\u202e\u200b\0\ud800"
)


def facts(synthetic: bool = False) -> DatasetFacts:
    return DatasetFacts("made-up", "test", "0" * 64, synthetic, 500, 900, QUERIES, 2 * QUERIES)


def qrels() -> Qrels:
    """Two relevant documents a query, one that is not, and one more that is in no ranking."""
    return {
        f"q{each}": {
            f"d{each}": 1,
            f"d{each + 1}": 2,
            f"d{each + 2}": 0,
            **({f"lost{each}": 1} if each % 5 == 0 else {}),
        }
        for each in range(QUERIES)
    }


def ranking(query: int, step: int) -> list[Ranked]:
    """All documents d0 … d499, turned so that the relevant ones come at ranks that depend on `step`."""
    order = [(query * 7 + place * step) % 500 for place in range(DEPTH)]
    lead = {(query * step) % 23: query, (query * step) % 41 + 30: query + 1}
    for place, document in lead.items():
        if document in order:
            order.remove(document)
        order.insert(place, document)
    return [Ranked(f"d{document}", 1 / (10 + rank)) for rank, document in enumerate(order[:DEPTH])]


def result(name: str = "now", step: int = 3, hostile: str = "", p50: float = 8.0) -> Result:
    """One configuration's result; `step` makes its rankings, `hostile` is put into every text."""
    judged = qrels()
    run = {query: ranking(int(query[1:]), step) for query in judged}
    scores = measure(judged, run)
    reports = {
        query: QueryReport(
            text=f"What is {query}?{hostile}",
            relevant={document: grade for document, grade in judged[query].items() if grade > 0},
            ranks={
                each.document: rank for rank, each in enumerate(ranked, 1) if judged[query].get(each.document, 0) > 0
            },
            found=tuple(
                Found(
                    each.document + hostile,
                    f"Title of {each.document}{hostile}",
                    each.score,
                    judged[query].get(each.document),
                    f"Once upon a time.{hostile}",
                )
                for each in ranked[:10]
            ),
            relevance=0.9 - int(query[1:]) / 100,
        )
        for query, ranked in run.items()
    }
    return Result(
        dataset=facts(),
        config=Config(name, {"rrf_k": float(step), "encoder": f"folder{hostile}"}, {"dense": {"name": "minilm"}}),
        metrics=scores.means,
        intervals={
            metric: bootstrap_interval(list(values.values()), 200) for metric, values in scores.per_query.items()
        },
        latency_ms=Latency(p50, 1.5 * p50, 2 * p50, 1.1 * p50, QUERIES, {"encode": p50 / 2}),
        queries_per_s=1000 / p50,
        per_query=scores.per_query,
        depth=DEPTH,
        versions={"python": "3.11"},
        machine={"cpus": 2},
        throughput=Throughput(16, 900.0),
        queries=reports,
    )


def evaluation(*runs: Result, synthetic: bool = False) -> Evaluation:
    """These results, or two of them, compared."""
    both = [replace(each, dataset=facts(synthetic)) for each in runs or (result(), result("new", 2, p50=9.0))]
    return Evaluation(tuple(both), compare_all(both))
