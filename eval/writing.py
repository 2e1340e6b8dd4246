"""An evaluation as files: JSON to compare with later, TREC runs for other tools, and reports to read."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path

from eval import result, words
from eval.datasets import Dataset
from eval.evaluation import Evaluated
from eval.result import Evaluation
from eval.runs import write_qrels, write_run
from rag.errors import BadInput

WORST = 10


def default_folder(data_dir: Path, dataset: Dataset) -> Path:
    """A folder of its own for each evaluation: `DATA_DIR/eval/reports/<dataset>-<split>-<time>`."""
    base = data_dir / "eval" / "reports" / f"{dataset.folder.name}-{dataset.split}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder, number = base, 2
    while folder.exists():
        folder, number = base.with_name(f"{base.name}-{number}"), number + 1
    return folder


def write_all(folder: Path, evaluated: Evaluated, dataset: Dataset) -> None:
    """Write `result.json`, `run-<config>.trec`, `qrels.trec`, `report.md` and `report.html`. Raises BadInput."""
    evaluation = evaluated.evaluation
    try:
        folder.mkdir(parents=True, exist_ok=True)
        result.write(folder / "result.json", evaluation)
        for name, run in evaluated.runs.items():
            write_run(folder / f"run-{name}.trec", run, name)
        write_qrels(folder / "qrels.trec", dataset.qrels)
        (folder / "report.md").write_text(markdown(evaluation), encoding="utf-8")
        if page := _page(evaluation):
            (folder / "report.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"the report cannot be written to {folder}: {error.strerror or error} (--out FOLDER).") from None


def _page(evaluation: Evaluation) -> str | None:
    try:
        html = import_module("eval.report.html")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("eval.report"):
            raise
        return None
    page: str = html.render(evaluation)
    return page


def markdown(evaluation: Evaluation) -> str:
    """The report as tables."""
    first = evaluation.runs[0]
    names = [run.config.name for run in evaluation.runs]
    lines = [f"# {first.dataset.name}: retrieval", "", words.dataset(first.dataset), "", "## Quality", ""]
    lines += _table(
        ["metric", *names],
        [[metric, *(words.score(run, metric) for run in evaluation.runs)] for metric in first.metrics],
    )
    lines += ["", "Mean over the queries and its 95% bootstrap interval.", "", "## Speed", ""]
    speed = [
        [
            run.config.name,
            *(f"{each:.1f}" for each in (run.latency_ms.p50, run.latency_ms.p95, run.latency_ms.p99)),
            f"{run.queries_per_s:.0f}",
            words.stages(run),
        ]
        for run in evaluation.runs
    ]
    lines += _table(["config", "p50 ms", "p95 ms", "p99 ms", "queries/s", "median of the stages"], speed)
    if evaluation.comparisons:
        lines += ["", "## Comparisons", ""]
        lines += _table(
            ["metric", "b − a", "difference", "95% interval", "p", "p (Holm)", "better", "worse", "alike"],
            [
                [
                    each.metric,
                    f"{each.b} − {each.a}",
                    f"{each.difference:+.4f}",
                    f"[{each.interval[0]:+.4f}, {each.interval[1]:+.4f}]",
                    f"{each.p:.4f}",
                    f"{each.p_holm:.4f}",
                    *(str(count) for count in (each.wins, each.losses, each.ties)),
                ]
                for each in evaluation.comparisons
            ],
        )
    lines += ["", "## Settings", ""]
    lines += _table(
        ["config", "settings"], [[r.config.name, words.settings(r.config.settings)] for r in evaluation.runs]
    )
    lines += ["", *_worst(evaluation), "## Made with", ""]
    made = ", ".join(f"{name} {value}" for name, value in first.versions.items())
    lines += [
        f"{made}; {first.machine.get('cpus')} CPU cores. Queries and judgements: sha256 {first.dataset.hash}.",
        "",
    ]
    return "\n".join(lines)


def _worst(evaluation: Evaluation) -> list[str]:
    run = evaluation.runs[-1]
    metric = next(iter(run.metrics))
    order = sorted(run.queries, key=lambda query: run.per_query[metric][query])[:WORST]
    if not order:
        return []
    rows = []
    for query in order:
        report = run.queries[query]
        wanted = ", ".join(f"{each} ({report.ranks.get(each, f'not in {run.depth}')})" for each in report.relevant)
        instead = report.found[0].document if report.found else "nothing"
        rows.append([report.text, f"{run.per_query[metric][query]:.3f}", wanted, instead])
    lines = [f"## The {len(order)} worst queries of {run.config.name}", ""]
    return [*lines, *_table(["query", metric, "relevant (rank)", "found first"], rows), ""]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    cells = [[each.replace("|", "\\|").replace("\n", " ") for each in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)]
