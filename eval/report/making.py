"""How the numbers came about: settings, index, versions, and what to type to get them again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from eval.metrics import DEFAULT_METRICS
from eval.report.markup import Html, element, join, short
from eval.report.tables import folded, table
from eval.result import Result

_DEFAULT = "default"
_LENGTH = 120


def section(runs: Sequence[Result]) -> Html:
    """Settings that differ, the index, versions, and the command."""
    first = runs[0]
    names = [run.config.name for run in runs]
    differ, alike = rows_of([run.config.settings for run in runs], _DEFAULT)
    index_differs, index_alike = rows_of([flat(run.config.index) for run in runs], "–")
    made = [[name, value] for name, value in first.versions.items()]
    made += [[name, str(value)] for name, value in first.machine.items()]
    made += [["sha256 of queries and judgements", first.dataset.hash]]
    return element(
        "section",
        element("h2", "How it was made"),
        element("h3", "Settings"),
        table(["setting", *names], differ, "Settings that are not the same everywhere", numbers=False)
        if differ
        else element(
            "p", "No settings differ." if len(runs) > 1 else "All settings are the defaults." if not alike else None
        ),
        table(["setting", *names], alike, "Changed settings that are the same everywhere", numbers=False)
        if alike
        else None,
        table(["index", *names], index_differs, "What the index was built with, where it differs", numbers=False)
        if index_differs
        else None,
        folded(
            "What the index was built with", table(["index", *names], index_alike, "The same everywhere", numbers=False)
        )
        if index_alike
        else None,
        folded(
            "Versions, machine and dataset", table(["", ""], made, "What the numbers were made with", numbers=False)
        ),
        element("h3", "Do it again"),
        element("pre", element("code", command(runs)), tabindex="0"),
        *_files(runs),
        id="made",
    )


def rows_of(given: Sequence[Mapping[str, Any]], absent: str) -> tuple[list[list[str]], list[list[str]]]:
    """A row for each name: those whose values differ, then those whose values do not. For one mapping all are of the
    first kind."""
    differ: list[list[str]] = []
    alike: list[list[str]] = []
    for name in sorted({name for each in given for name in each}):
        values = [shown(each[name]) if name in each else absent for each in given]
        (alike if len(given) > 1 and len(set(values)) == 1 else differ).append([name, *values])
    return differ, alike


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested mappings as one, with names such as `dense.name`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {before + name: value}
    return found


def shown(value: Any) -> str:
    """A setting's value in a cell."""
    return short(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _LENGTH)


def command(runs: Sequence[Result]) -> str:
    """The command that makes this evaluation again, for the dataset of this name in the current folder. It names no
    collection and no limit: the hash tells whether the questions are the same."""
    first = runs[0]
    parts = ["librarian", "eval", "retrieval", first.dataset.name, "--split", first.dataset.split]
    if first.dataset.split == "all":
        parts = parts[:-2]
    if tuple(first.metrics) != DEFAULT_METRICS:
        parts += [part for metric in first.metrics for part in ("--metric", metric)]
    if first.throughput:
        parts += ["--concurrency", str(first.throughput.concurrency)]
    if len(runs) > 1 or first.config.settings:
        parts += [part for run in runs for part in ("--config", f"{run.config.name}.toml")]
    return shlex.join(parts)


def toml(settings: Mapping[str, Any]) -> str:
    """Settings as a TOML file. A JSON text, number, list or truth value is the same in TOML; null cannot be said
    there, and is left out."""
    return "".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in sorted(settings.items())
        if value is not None
    )


def _files(runs: Sequence[Result]) -> list[Html]:
    if len(runs) == 1 and not runs[0].config.settings:
        return []
    return [
        join(
            [
                element("p", element("code", f"{run.config.name}.toml"), class_="file"),
                element("pre", element("code", toml(run.config.settings) or "# empty: the defaults\n"), tabindex="0"),
            ]
        )
        for run in runs
    ]
