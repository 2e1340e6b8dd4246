"""What `librarian eval retrieval` prints at its end."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from eval import words
from eval.evaluation import Evaluated
from eval.result import Evaluation
from librarian import one_line


def print_json(evaluation: Evaluation) -> None:
    """One configuration's result, or `runs` and `comparisons`; without the queries' texts, which the files have."""
    print(json.dumps(evaluation.to_json(brief=True), indent=2, ensure_ascii=False))


def print_tables(evaluated: Evaluated, folder: Path) -> None:
    """Metrics with their intervals, latency, comparisons in the first metric, and where the files are."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    evaluation = evaluated.evaluation
    console = Console(highlight=False, markup=False, soft_wrap=True, width=None if sys.stdout.isatty() else 400)
    _say(words.dataset(evaluation.runs[0].dataset))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("")
    for run in evaluation.runs:
        table.add_column(run.config.name, justify="right")
    for metric in evaluation.runs[0].metrics:
        table.add_row(metric, *(words.score(run, metric) for run in evaluation.runs))
    console.print(table)
    for run in evaluation.runs:
        _say(f"{run.config.name}: {words.latency(run)} ({words.stages(run)})")
    decisive = next(iter(evaluation.runs[0].metrics))
    for each in evaluation.comparisons:
        if each.metric == decisive:
            _say(words.comparison(each))
    _say(f"report: {folder}")


def print_warnings(warnings: Sequence[str]) -> None:
    """On stderr, so that JSON stands alone."""
    for each in warnings:
        print(one_line(f"warning: {each}"), file=sys.stderr)


def _say(text: str) -> None:
    print(one_line(text))
