"""How the embedded engine grows: latency, memory, disk and building time at several sizes, and what quantization costs.

    python benchmarks/scale.py [--sizes 1000 10000 100000] [--optimize-up-to 100000] [--queries 200] [--json FILE]
    python benchmarks/scale.py --sizes 1000 3000 --queries 50       under a minute
    python benchmarks/scale.py --join ONE.json TWO.json             tables and laws of several runs

Each size is a collection of its own in a process of its own, over the seeded points of corpus.py (384 dimensions,
about 60 sparse terms, 800 characters of text), all of one tenant. It is written in batches, closed, opened anew and
asked; then `optimize()` builds the graph, and it is opened and asked once more. A hybrid query takes 100 candidates of
each leg, fuses them, and reads ten payloads, as Librarian's search does once the question is encoded. Recall is the
share of the ten exact neighbours among the dense ten.

Times by the clock are those of a quiet machine only; beside them stands the processor's time, all threads together,
which other work changes less. "Anonymous" is what opening and asking added to the process's own memory, "mapped" what
of the engine's files was touched (the kernel may take it back). "As written" there is no graph: every dense query goes
past every point; nor is there one below some 7,000 points of 384 dimensions, Qdrant's 10 MB.

A power law (least squares of the logarithms) is drawn through each measure. It is evidence between the sizes that were
measured; the column beside it says by how much it misses them.

Quantization: SciFact's 5,183 abstracts and 300 test questions, encoded by the default encoder, in the same engine with
its own quantization (see scale_quantization.py). Left out where the data is missing, and with --no-quantization.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from index_measuring import FEWEST_QUERIES, say
from index_report import machine
from index_stores import TOP
from scale_measuring import Measured, in_a_process
from scale_quantization import Cost, quantization
from scale_report import Results, read, to_json, to_markdown

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "scifact"


def main() -> int:
    """Measure, print, and write the numbers where asked."""
    arguments = _arguments()
    results = _joined(arguments.join) if arguments.join else _run(arguments)
    print(to_markdown(results), end="")
    _write(arguments.json, results)
    return 0


def _run(arguments: argparse.Namespace) -> Results:
    where = machine()
    sizes: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="librarian-scale-") as name:
        for points in sorted(set(arguments.sizes)):
            optimize = points <= arguments.optimize_up_to
            folder = Path(name) / str(points)
            sizes.append(in_a_process(points, arguments.queries, arguments.query_seconds, folder, optimize=optimize))
            _write(arguments.json, Results(where, sizes, []))  # a run that is cut short has measured something
    costs: list[Cost] = []
    if arguments.quantization and not arguments.data.is_dir():
        say(f"quantization: left out, SciFact is not in {arguments.data}; name its folder with --data")
    elif arguments.quantization:
        say("quantization")
        costs = quantization(arguments.data, arguments.keep)
    return Results(where, sizes, costs)


def _write(path: Path | None, results: Results) -> None:
    if path:
        path.write_text(to_json(results), encoding="utf-8")


def _joined(paths: list[Path]) -> Results:
    runs = [read(path) for path in paths]
    sizes = {each.points: each for run in runs for each in run.sizes}
    costs = next((run.quantization for run in runs if run.quantization), [])
    return Results(runs[0].machine, [sizes[points] for points in sorted(sizes)], costs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how the embedded engine grows with its points.")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000], help="points of each run")
    parser.add_argument("--optimize-up-to", type=int, default=100_000, help="largest size that is optimised as well")
    parser.add_argument("--queries", type=int, default=200, help="queries of each kind (default: 200)")
    parser.add_argument("--query-seconds", type=float, default=40, help="ask one kind of query for so long at most")
    parser.add_argument("--no-quantization", dest="quantization", action="store_false", help="leave that part out")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of SciFact, in BEIR's layout")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="remember SciFact's vectors there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    parser.add_argument("--join", type=Path, nargs="+", metavar="FILE", help="measure nothing: join what was written")
    arguments = parser.parse_args()
    if any(points < 10 * TOP for points in arguments.sizes) or arguments.queries < FEWEST_QUERIES:
        parser.error(f"at least {10 * TOP} points and {FEWEST_QUERIES} queries are needed")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
