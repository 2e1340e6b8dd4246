"""One change of retrieval's settings at a time: how well it finds, and what it costs.

    python benchmarks/ablation.py [--data FOLDER] [--keep FOLDER] [--reranker FOLDER] [--sparse FOLDER]
        [--rows KEY,KEY] [--only quality|time] [--queries 100] [--rounds 2] [--again]

Three sets of questions. SciFact's train split, and sentences of the Kubernetes pages that link to another page
(kubernetes_links.py says how they are made): documents are ranked by their best chunk, as `librarian eval retrieval`
ranks them, and scored by nDCG@10. The chunking corpora's questions: how much of the gold spans is in the passages that
an answer is given by default, in characters (of one corpus spaces are lost in reading: its offsets are up to 8 off).
No question of a test split is read. Documents go through the real ingestion, once for each way of indexing,
and questions through the real Retriever. Beside each difference to the default stands the p-value of the paired
randomisation test (eval/statistics.py), not corrected: of twenty rows without any effect one is below .05.

Milliseconds are those of a whole search of the SciFact collection, each query encoded anew, the row's and the default's
by turns, query by query, so that a busy machine slows both. The difference is the median of the differences of pairs.
The default's own row is the default against itself: how large a difference is without any cause.

What a row measured is kept in --keep, with the vectors of the documents and the index, and not measured again unless
--again: a run can be split by --rows and --only, and the last one prints the whole table, without the rows that are not
measured yet. Keep no results over a change of the code.

Exit code 2: the data is missing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

# benchmarks/ingest.py is called as the package is: the package's folder must come before this one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablation_rows import rows
from ablation_running import DATA, run

NEEDED = ("scifact", "kubernetes/pages", "chunking/corpora")


def main() -> int:
    """Measure what is asked for and print all that is known."""
    arguments = _arguments()
    if not all((arguments.data / each).is_dir() for each in NEEDED):
        print(f"SKIPPED: {arguments.data} does not hold {', '.join(NEEDED)}; name their folder with --data.")
        return 2
    run(arguments)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure each change of retrieval's settings by itself.")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with scifact/, kubernetes/ and chunking/")
    parser.add_argument(
        "--keep",
        type=Path,
        default=Path(tempfile.gettempdir()) / "librarian-ablation",
        help="folder for vectors, index and results",
    )
    parser.add_argument("--reranker", metavar="FOLDER", help="a cross-encoder, for one more row")
    parser.add_argument("--sparse", metavar="FOLDER", help="a learned sparse encoder (SPLADE), for one more row")
    parser.add_argument("--rows", metavar="KEY,KEY", help="measure these only (default: all)")
    parser.add_argument("--only", choices=("quality", "time"), help="measure this only")
    parser.add_argument("--queries", type=int, default=100, help="queries to time (default: 100)")
    parser.add_argument("--rounds", type=int, default=2, help="times that each is asked (default: 2)")
    parser.add_argument("--again", action="store_true", help="measure again what is known")
    arguments = parser.parse_args()
    if min(arguments.queries, arguments.rounds) < 1:
        parser.error("--queries and --rounds are 1 or more")
    known = [each.key for each in rows(arguments.reranker, arguments.sparse)]
    arguments.rows = arguments.rows.split(",") if arguments.rows else known
    if unknown := set(arguments.rows) - set(known):
        parser.error(f"--rows: {', '.join(sorted(unknown))} is none of {', '.join(known)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
