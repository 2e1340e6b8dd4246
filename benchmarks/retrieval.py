"""A whole hybrid search against its own parts and against LangChain's: milliseconds a query, alone and with company.

    python benchmarks/retrieval.py [--sizes 10000,100000] [--callers 1,16] [--keep FOLDER] [--optimize] [--json FILE]

Real chunks: the Kubernetes pages, then SciFact, mtrag and the chunking corpora, cut by the real chunker; where that is
not enough, the pages again in chunks of 64 tokens, as a collection with two versions of a documentation would hold
them. A smaller size is the beginning of a larger one. Queries are those of the Kubernetes set, in an order drawn by a
seed. Encoding takes most of the time of a first run: vectors are kept in --keep (by default a folder of the system's
temporary one) and found again by what encoded them and the text.

"Whole" is `Retriever.search` on an event loop, as the service calls it, with the default settings: encode, both legs
in one call, fuse, document evidence, fetch, join neighbours, relevance. "Bare" is what no hybrid search can do without:
encode the query for both legs and ask the index for their candidates, with no payload, called directly: by this thread
where there is one caller, by as many threads where there are several. Both are asked the same queries in alternating
rounds, so that a busy machine slows both; the least and the greatest ratio of one round shows how busy it was. The
whole search may also win where there are several callers: it lets fewer threads at the work.

"LangChain" is QdrantVectorStore over qdrant-client's in-memory local mode, BM25Retriever and EnsembleRetriever, weights
.5 and .5, as their documentation shows them, in the environment that benchmarks/peers.sh makes, on --peer-chunks
chunks. Both sides answer with ten passages.

What is not the same:
- The vectors of queries are remembered by default; here one entry at most is, so that each query is encoded and what
  the memory itself costs is still paid.
- LangChain's retrievers are asked for 10 hits each, Librarian's legs for its default of candidates, each search within
  one tenant, and its answers have their neighbours joined: LangChain does less. Its ten may hold no text twice.
- LangChain's chunks come with Librarian's vectors, so that it need not encode them; it encodes queries in fp32 with
  sentence-transformers, as langchain-huggingface does, Librarian by its default backend (int8 for MiniLM on a CPU).
- Local mode is Qdrant's API rewritten in Python for tests: the ratio says nothing about a Qdrant server.
- BM25Retriever keeps its texts in memory, splits them at white space and does not stem: another BM25, so other hits.
  The shares of equal hits show whether both search the same thing: near 100% for the dense legs (what is missing is
  int8 against fp32), most documents, and far fewer chunks: Librarian passes over those that a passage holds already.

Exit code 1: the peer failed. 2: the data, or enough of it, is missing; what could be measured is printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

# benchmarks/ingest.py is called as the package is: the package's folder must come before this one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from retrieval_running import DATA, run


def main() -> int:
    """Run everything."""
    return run(_arguments())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure a whole hybrid search.")
    parser.add_argument("--sizes", type=_numbers, default=(10_000, 100_000), help="chunks (default: 10000,100000)")
    parser.add_argument("--callers", type=_numbers, default=(1, 16), help="callers at once (default: 1,16)")
    parser.add_argument("--queries", type=int, default=200, help="queries of a round (default: 200)")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of each kind, alternating (default: 4)")
    parser.add_argument(
        "--optimize", action="store_true", help="measure each size after `optimize()`, too, and beside LangChain then"
    )
    parser.add_argument("--peer-chunks", type=int, default=20_000, help="chunks for LangChain; 0: leave it out")
    parser.add_argument("--peer-queries", type=int, default=50, help="queries for LangChain (default: 50)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with kubernetes/, scifact/, mtrag/, chunking/")
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir()) / "librarian-vectors", help="folder for vectors"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    arguments = parser.parse_args()
    numbers = (*arguments.sizes, *arguments.callers, arguments.queries, arguments.rounds, arguments.peer_queries)
    if min(numbers) < 1 or arguments.peer_chunks < 0:
        parser.error("sizes, callers, queries and rounds are 1 or more")
    return arguments


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(each) for each in text.split(",")}))


if __name__ == "__main__":
    sys.exit(main())
