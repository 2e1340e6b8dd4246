"""From folders of questions to examples for training and for the questions held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.context import Budget
from rag.errors import BadInput
from rag.tokens import TokenCounter
from rag.tuning.adapter.examples import Example, Shape, make_examples
from rag.tuning.adapter.pairs import Pairs, read_pairs, split_groups
from rag.tuning.adapter.training import Encoded, encode

# As the settings' defaults: a window and what of it the passages take.
BUDGET = Budget(window=4096, answer=256, passages=1600)
# What is asked of a finished adapter: passages as long as serving's, three questions in ten without an answer.
HELD_OUT = Shape(passages=(2, 3), words=(60, 130), unanswerable=0.3)
SPLIT = "held-out questions"  # what a card calls those of the folders that are split


@dataclass(frozen=True, slots=True)
class Plan:
    """What is learnt from. Each folder is split by article or document: `hold_out` of them are kept apart, but for the
    folders of `whole`, which are trained on entirely, and those of `apart`, which are held out entirely and measured
    each by itself. Every pair becomes an example `rounds` times, with other passages each time; examples over
    `max_tokens` are left out. `first_round` is the number of the first: a training that begins from another's adapter
    draws examples that one has not seen."""

    folders: tuple[Path, ...]
    whole: tuple[Path, ...] = ()
    apart: tuple[Path, ...] = ()
    hold_out: float = 0.4
    seed: int = 0
    rounds: int = 2
    first_round: int = 0
    max_tokens: int = 512
    shape: Shape = field(default_factory=Shape)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Examples, and what a card says of them. `held_out` has those of the folders that are split, then the ones of
    each folder apart, by its name, none of them empty. `trained` and `held` name the groups on either side."""

    train: tuple[Encoded, ...]
    held_out: dict[str, tuple[Example, ...]]
    pairs: int
    held_pairs: int
    too_long: int
    without: int
    trained: tuple[str, ...]
    held: dict[str, tuple[str, ...]]
    hash: str


def prepare(plan: Plan, tokenizer: Any, counter: TokenCounter) -> Prepared:
    """Read, split and build. Raises BadInput for folders that cannot be read, or that leave nothing on either side."""
    kept: list[Pairs] = []
    held: list[Pairs] = []
    without = 0
    for folder in plan.folders:
        found = read_pairs(folder)
        without += found.without
        ours, theirs = split_groups((each.source.group for each in found.pairs), plan.hold_out, plan.seed)
        kept.append(found.of_groups(ours))
        held.append(found.of_groups(theirs))
    for folder in plan.whole:
        kept.append(read_pairs(folder))
    train: list[Encoded] = []
    first = plan.seed + plan.first_round
    for seed in range(first, first + plan.rounds):
        for pairs in kept:
            train += [encode(each, tokenizer) for each in make_examples(pairs, plan.shape, counter, BUDGET, seed)]
    short = tuple(each for each in train if len(each.ids) <= plan.max_tokens)
    if not short:
        raise BadInput(f"nothing is left to train on: no example has at most {plan.max_tokens} tokens (--max-tokens).")
    asked = {SPLIT: held}
    for folder in plan.apart:
        asked[folder.name] = [*asked.get(folder.name, ()), read_pairs(folder)]
    shown = {name: _shown(each, counter, plan.seed) for name, each in asked.items()}
    return Prepared(
        train=short,
        held_out={name: each for name, each in shown.items() if each},
        pairs=sum(len(each.pairs) for each in kept),
        held_pairs=sum(len(each.pairs) for found in asked.values() for each in found),
        too_long=len(train) - len(short),
        without=without,
        trained=_groups(kept),
        held={name: _groups(each) for name, each in asked.items()},
        hash=hashlib.sha256(json.dumps([each.hash for each in kept]).encode()).hexdigest(),
    )


def _shown(held: Sequence[Pairs], counter: TokenCounter, seed: int) -> tuple[Example, ...]:
    return tuple(each for pairs in held for each in make_examples(pairs, HELD_OUT, counter, BUDGET, seed))


def _groups(found: Sequence[Pairs]) -> tuple[str, ...]:
    return tuple(sorted({each.source.group for pairs in found for each in pairs.pairs}))
