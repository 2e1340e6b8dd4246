"""The embedded index against its peers: upserts per second, milliseconds per query, and what `optimize` brings.

    python benchmarks/index.py [--points 20000] [--edge-points 100000] [--queries 200] [--json FILE] [--markdown]

Stores, one after the other in this process, on the same seeded points (see corpus.py), batches, queries and tenants:

    Librarian         EmbeddedIndex over Qdrant Edge: one `query` with the legs, `reciprocal_rank_fusion` in Python,
                      one `fetch` of ten payloads. What `rag.retrieval.Retriever` does once the query is encoded.
    qdrant-client     its local mode in a folder, spoken to directly; the fusion is its own.
    langchain-qdrant  QdrantVectorStore over another such folder. Its Embeddings and SparseEmbeddings only look the
                      vectors up by text, so that the store is measured and no model.

Each answer is ten points with their payloads. "Dense" and "hybrid" search all points, "filtered" the tenth that one
tenant owns; hybrid takes 100 candidates from each leg and fuses them with equal constants. Nobody's index is
optimised here. "Same hits" is the share of Librarian's ten points that a peer also returns: that the stores do the
same work; what is missing at 100% in hybrid are ties (equal BM25 sums, equal fused scores), which each store
breaks in its own way.

What is not the same:
- Durability. The local mode makes SQLite sync to the disk for every point. Librarian's engine leaves a batch in its
  write-ahead log, in the system's page cache (which outlives a killed process, not a power cut), and syncs every
  5,000 points. Two further rows bound what that explains: Librarian with its log synced after each batch, and the
  local mode in memory with nothing durable at all.
- Filters. Every call to Librarian filters by tenant and by groups; it has no other. "Dense" and "hybrid" therefore
  search a second collection whose points all are one tenant's, while the peers search theirs with no filter. Peers
  filter by tenant alone.
- Payloads hold the same fields. LangChain nests all but the text under "metadata".
- LangChain takes k candidates from each leg; here k is 100 with `limit=10`, so that it does the same work.
- The peers' own objects (PointStruct, SparseVector) are made within the time, as is Librarian's Record checked;
  Python lists of floats are made before it.
- Slow stores are measured for `--upsert-seconds` and `--query-seconds` at most. The rest of their points is then
  loaded with SQLite's syncing off and not counted; the rest of the queries is not asked.
- The folders lie under TMPDIR: on a disk in memory the peers' upserts look better than on a real one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from corpus import Corpus
from index_measuring import FEWEST_QUERIES, Limits, compare, compare_durability, run_large, say
from index_report import Results, machine, to_json, to_markdown
from index_stores import TOP
from rich.console import Console
from rich.markdown import Markdown


def main() -> int:
    """Run everything; 1 where a store failed."""
    arguments = _arguments()
    results = _run(arguments)
    text = to_markdown(results)
    if arguments.markdown or not sys.stdout.isatty():
        print(text)
    else:
        Console().print(Markdown(text))
    if arguments.json:
        arguments.json.write_text(to_json(results), encoding="utf-8")
    return 1 if results.failed else 0


def _run(arguments: argparse.Namespace) -> Results:
    where = machine()
    limits = Limits(arguments.upsert_seconds, arguments.query_seconds)
    alone = None
    with tempfile.TemporaryDirectory(prefix="librarian-benchmark-") as name:
        folder = Path(name)
        say(f"drawing {arguments.points:,} points")
        corpus = Corpus.make(arguments.points, arguments.queries)
        rows = compare(corpus, folder, limits)
        durability = compare_durability(corpus, folder)
        if arguments.edge_points:
            say(f"drawing {arguments.edge_points:,} points")
            alone = run_large(Corpus.make(arguments.edge_points, arguments.queries), folder, limits)
    return Results(where, arguments.points, rows, durability, alone)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the embedded index against its peers.")
    parser.add_argument("--points", type=int, default=20_000, help="points in every store (default: 20000)")
    parser.add_argument("--edge-points", type=int, default=100_000, help="points for Librarian alone; 0: leave out")
    parser.add_argument("--queries", type=int, default=200, help="queries of each kind (default: 200)")
    parser.add_argument("--upsert-seconds", type=float, default=60, help="time a store's upserts for so long at most")
    parser.add_argument("--query-seconds", type=float, default=25, help="ask one kind of query for so long at most")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    parser.add_argument("--markdown", action="store_true", help="print Markdown as it is, for pasting")
    arguments = parser.parse_args()
    if arguments.points < 10 * TOP or arguments.queries < FEWEST_QUERIES:
        parser.error(f"at least {10 * TOP} points and {FEWEST_QUERIES} queries are needed")
    if arguments.edge_points and arguments.edge_points < 10 * TOP:
        parser.error(f"--edge-points is 0 or at least {10 * TOP}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
