"""The ablation as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablation_measuring import Milliseconds
from ablation_quality import Scores, metric_of
from ablation_rows import DEFAULT, Row

from eval.comparing import compare
from eval.datasets import Dataset
from eval.words import p_value


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a row: the scores on each set, and its milliseconds; None: not measured."""

    row: Row
    scores: Sequence[Scores | None]
    milliseconds: Milliseconds | None


def to_markdown(measured: Sequence[Measured], sets: Sequence[Dataset], machine: Mapping[str, Any]) -> str:
    """The table of the rows of which something is known."""
    default = next(each for each in measured if each.row == DEFAULT)
    names = [f"{each.name} {each.split} ({len(each.queries)}), {metric_of(each)}" for each in sets]
    lines = [
        f"Machine: {', '.join(f'{name} {value}' for name, value in machine.items())}",
        "",
        f"| one change at a time | {' | '.join(names)} | milliseconds a search |",
        f"| --- |{' --- |' * len(names)} ---: |",
    ]
    for each in measured:
        if each.milliseconds or any(each.scores):
            cells = [_score(each, number, default, metric_of(dataset)) for number, dataset in enumerate(sets)]
            lines.append(f"| {each.row.shown} | {' | '.join(cells)} | {_time(each)} |")
    return "\n".join(lines)


def _score(measured: Measured, number: int, default: Measured, metric: str) -> str:
    """`.7312, -.0042, p = 0.031`."""
    own, base = measured.scores[number], default.scores[number]
    if own is None:
        return "not measured"
    mean = _short(sum(own.values()) / len(own))
    if base is None or measured.row == DEFAULT:
        return mean
    found = compare(DEFAULT.key, measured.row.key, metric, base, own)
    if not found.wins and not found.losses:
        return f"{mean}, the same"
    return f"{mean}, {_short(found.difference, '+')}, {p_value(found.p)} ({found.wins} better, {found.losses} worse)"


def _time(measured: Measured) -> str:
    found = measured.milliseconds
    return f"{found.difference:+.1f} ({found.own:.1f} to {found.default:.1f})" if found else "not measured"


def _short(value: float, sign: str = "") -> str:
    """Four decimals without the zero before the point."""
    return f"{value:{sign}.4f}".replace("0.", ".", 1)
