"""The run of ablation.py: what is asked for and not known yet is measured, kept, and all of it printed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ablation_measuring import Bench, Milliseconds
from ablation_quality import Scores
from ablation_report import Measured, to_markdown
from ablation_rows import Row, rows
from chunking_questions import questions
from index_report import machine
from ingest_measuring import say
from kubernetes_links import links

from eval.datasets import Dataset, open_dataset
from eval.progress import shown_progress
from rag.encoders import LocalEncoder, dense_encoder
from rag.settings import Settings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    sets = (
        open_dataset(arguments.data / "scifact", "train"),
        links(arguments.data / "kubernetes" / "pages"),
        questions(arguments.data / "chunking"),
    )
    every = rows(arguments.reranker, arguments.sparse)
    results = _Results(arguments.keep / "results", arguments.again)
    with shown_progress() as show:
        bench = Bench(arguments.keep, _local(), show)
        for row in every:
            if row.key in arguments.rows:
                _measure(arguments, bench, results, row, sets)
    measured = [Measured(row, [results.quality(row, each) for each in sets], results.time(row)) for row in every]
    print(to_markdown(measured, sets, machine()))


def _measure(arguments: argparse.Namespace, bench: Bench, results: _Results, row: Row, sets: Sequence[Dataset]) -> None:
    if arguments.only != "time":
        for dataset in sets:
            results.want(_quality_name(row, dataset), lambda dataset=dataset: dict(bench.quality(row, dataset)))
    if arguments.only != "quality":
        timed = sets[0].queries[: arguments.queries]
        results.want(_time_name(row), lambda: asdict(bench.milliseconds(row, sets[0], timed, arguments.rounds)))


class _Results:
    """One JSON file for each thing measured."""

    def __init__(self, folder: Path, again: bool) -> None:
        self._folder, self._again = folder, again

    def want(self, name: str, measure: Callable[[], Any]) -> None:
        """Measure it, unless it is known."""
        if self._again or self._read(name) is None:
            say(f"measuring {name}")
            found = measure()
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")

    def quality(self, row: Row, dataset: Dataset) -> Scores | None:
        """Each question's score; None where it is not known."""
        return self._read(_quality_name(row, dataset))

    def time(self, row: Row) -> Milliseconds | None:
        """A row's milliseconds; None where they are not known."""
        found = self._read(_time_name(row))
        return None if found is None else Milliseconds(**found)

    def _read(self, name: str) -> Any:
        file = self._folder / f"{name}.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def _quality_name(row: Row, dataset: Dataset) -> str:
    return f"{row.key}-{dataset.name}-{dataset.hash[:8]}"


def _time_name(row: Row) -> str:
    return f"{row.key}-ms"


def _local() -> LocalEncoder:
    dense = dense_encoder(Settings())
    if not isinstance(dense, LocalEncoder):
        raise TypeError("the default settings no longer name an encoder of this process")
    return dense
