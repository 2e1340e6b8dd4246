"""What an evaluation of answers says: on a terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval import result, words
from eval.answers.evaluation import NOT_VALIDATED, Answered
from eval.answers.questions import Questions
from eval.answers.scoring import LEXICAL
from rag.errors import BadInput


def to_json(answered: Answered) -> dict[str, Any]:
    """The result as `eval retrieval` has it, with `answers`: what else was found, by configuration where several."""
    found = answered.evaluation.to_json(brief=True)
    details = dict(answered.details)
    return {**found, "answers": details if len(details) > 1 else next(iter(details.values()))}


def write_all(folder: Path, answered: Answered, questions: Questions) -> None:
    """Write `result.json` (which `eval gate` takes), `answers.json` and `report.md`. Raises BadInput."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        result.write(folder / "result.json", answered.evaluation)
        details = json.dumps(dict(answered.details), indent=1, ensure_ascii=False)
        (folder / "answers.json").write_text(details + "\n", encoding="utf-8")
        (folder / "report.md").write_text(markdown(answered, questions), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"the report cannot be written to {folder}: {error.strerror or error} (--out FOLDER).") from None


def lines(answered: Answered, questions: Questions) -> list[str]:
    """The report in plain lines, measures left out."""
    runs = answered.evaluation.runs
    found = []
    if questions.unknown:
        found.append(
            f"{questions.unknown} queries are not asked: neither a judgement nor their metadata says whether they can "
            "be answered"
        )
    for run in runs:
        found += [f"{run.config.name}: {text}" for text in _sentences(answered.details[run.config.name])]
    decisive = next(iter(runs[0].metrics), None)
    found += [words.comparison(each) for each in answered.evaluation.comparisons if each.metric == decisive]
    return found


def label(name: str) -> str:
    """A measure as it is shown."""
    return f"{name} (lexical)" if name in LEXICAL else name


def markdown(answered: Answered, questions: Questions) -> str:
    """The report as Markdown."""
    runs = answered.evaluation.runs
    facts = runs[0].dataset
    head = ["measure", *(run.config.name for run in runs)]
    rows = [
        [label(name), *(words.score(run, name) if name in run.metrics else "" for run in runs)]
        for name in runs[0].metrics
    ]
    table = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    text = [f"# {facts.name}: answers", "", words.dataset(facts), "", *table, ""]
    text += ["Means with their 95% bootstrap intervals. Lexical measures compare words, not meaning.", ""]
    text += [f"- {each}" for each in lines(answered, questions)]
    turns = {run.config.name: answered.details[run.config.name].get("by_turn") for run in runs}
    for name, found in turns.items():
        if found:
            text += ["", f"## {name}: first and later turns", "", "| measure | first | later |", "| --- | --- | --- |"]
            text += [
                f"| {label(each)} | {_cell(found, 'first', each)} | {_cell(found, 'later', each)} |"
                for each in dict.fromkeys((*found["first"], *found["later"]))
            ]
    return "\n".join([*text, ""])


def print_answers(answered: Answered, questions: Questions, folder: Path) -> None:
    """The measures as a table, then what else there is to say."""
    import sys

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from librarian import one_line

    runs = answered.evaluation.runs
    console = Console(highlight=False, markup=False, soft_wrap=True, width=None if sys.stdout.isatty() else 400)
    print(one_line(words.dataset(runs[0].dataset)))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("")
    for run in runs:
        table.add_column(run.config.name, justify="right")
    for name in runs[0].metrics:
        table.add_row(label(name), *(words.score(run, name) if name in run.metrics else "" for run in runs))
    console.print(table)
    for each in [*lines(answered, questions), f"report: {folder}"]:
        print(one_line(each))


def _sentences(found: Mapping[str, Any]) -> list[str]:
    kinds = found["questions"]
    said = [", ".join(f"{found['refused'][kind]} of {count} {kind} refused" for kind, count in kinds.items())]
    auc = found["relevance_auc"]
    if auc is not None:
        said.append(f"relevance puts an answerable question above an unanswerable one {auc:.3f} of the time")
    if found["model"] is None:
        said.append("retrieval only: no model was asked, what is refused is refused before it")
    else:
        by, matched = found["citations_by_model"], found["citations_matched"]
        said.append(f"{by} citations by the model {found['model']}, {matched} matched by the service")
    if found["hidden"]:
        said.append(
            f"the relevant documents of {found['hidden']} questions were hidden; for "
            f"{found['hidden_but_gold_supplied']} of them another supplied passage holds the gold answer's words"
        )
    said += [f"{found[key]} {text}" for key, text in _TROUBLES.items() if found[key]]
    for name, times in found["times_ms"].items():
        if name == "first_text" and found["model"] is None:
            continue
        said.append(f"{name.replace('_', ' ')} p50 {times['p50']:.0f} ms, p95 {times['p95']:.0f} ms")
    return [*said, *_judge(found["judge"])]


_TROUBLES = {"failed": "questions failed", "cut_short": "answers were cut off at the limit of tokens"}


def _judge(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return []
    said = []
    if "model" in found:
        for name in ("Grounded", "CitationRecall"):
            if name in found:
                low, high = found[name]["interval"]
                said.append(f"{name} by judge {found['model']}: {found[name]['mean']:.3f} [{low:.3f}, {high:.3f}]")
        said.append(f"{found['errors']} replies of the judge were no verdict")
        validation = found["validation"]
        said.append(NOT_VALIDATED if validation == NOT_VALIDATED else _agreement("the judge", validation))
    if found["lexical_agreement"]:
        said.append(_agreement("the lexical test", found["lexical_agreement"]))
    return said


def _agreement(who: str, found: Mapping[str, Any]) -> str:
    if found["agreement"] is None:
        return f"{who} gave no verdict on any of {found['pairs']} labelled pairs"
    kappa = "undefined" if found["kappa"] is None else f"{found['kappa']:.2f}"
    return (
        f"{who} agrees with people on {found['agreement']:.1%} of {found['judged']} judged of {found['pairs']} "
        f"labelled pairs, Cohen's kappa {kappa}"
    )


def _cell(found: Mapping[str, Mapping[str, float]], group: str, name: str) -> str:
    value = found[group].get(name)
    return "" if value is None else f"{value:.0f}" if name == "questions" else f"{value:.3f}"
