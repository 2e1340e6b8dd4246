"""A card as a page for people: `README.md`, in the form that model hubs read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rag.tuning.card import Card, Interval, Measured

_LIBRARIES = {"encoder": "sentence-transformers", "reranker": "sentence-transformers", "adapter": "peft"}


def readme(card: Card) -> str:
    """The page: what it is, what it was made of, how well it does and with what it was made."""
    data = card.data
    sections = [
        _front(card),
        f"# {card.name}",
        f"A tuned {card.kind}, made by Librarian from `{card.base.name}` on {card.created}.",
        "## What it was made of",
        _table(
            ("", ""),
            [
                ("base", f"{card.base.name} ({card.base.sha256[:16]})"),
                ("data", f"{data.name} ({data.sha256[:16]})"),
                ("pairs", f"{data.pairs} to train on, {data.held_out} held out"),
                ("split", f"{data.split}, seed {data.seed}"),
                ("licence of the data", data.licence),
                ("licence", card.licence),
                ("seed of the training", str(card.seed)),
            ],
        ),
    ]
    if card.metrics:
        rows = [_row(each) for each in card.metrics]
        sections += ["## How well it does", _table(("data", "metric", "of", "before", "after", "p"), rows)]
        sections += ["Intervals are of 95%; p is of a paired test between the two."]
    for title, found in (
        ("Settings of the training", card.settings),
        ("What else is known", card.facts),
        ("Made with", card.versions),
    ):
        if found:
            sections += [f"## {title}", _table(("", ""), [(name, _shown(each)) for name, each in found.items()])]
    return "\n\n".join(sections) + "\n"


def _front(card: Card) -> str:
    said = {
        "license": card.licence,
        "base_model": card.base.name,
        "library_name": _LIBRARIES[card.kind],
        "tags": ["librarian", card.kind],
    }
    return "\n".join(["---", *(f"{name}: {json.dumps(each)}" for name, each in said.items()), "---"])


def _row(each: Measured) -> tuple[str, ...]:
    before, after = _value(each.before, each.before_interval), _value(each.after, each.after_interval)
    return (each.data, each.metric, str(each.count), before, after, "" if each.p is None else f"{each.p:.4f}")


def _value(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if interval is None else f"{value:.4f} [{interval[0]:.4f}, {interval[1]:.4f}]"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(_cell(each) for each in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(dict(value) if isinstance(value, Mapping) else value)
