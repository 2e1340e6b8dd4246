"""The whole way of an adapter: examples, training, held-out questions with and without it, card."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.comparing import compare
from eval.tune.adapter_scoring import Replied, measure
from rag.errors import BadInput
from rag.settings import Settings
from rag.tokens import LocalTokenCounter
from rag.tuning.adapter.base import base_folder, describe_base, load_base
from rag.tuning.adapter.examples import Example
from rag.tuning.adapter.preparing import SPLIT, Plan, Prepared, prepare
from rag.tuning.adapter.replying import replies
from rag.tuning.adapter.saving import save
from rag.tuning.adapter.training import Recipe, encode, of_start, train
from rag.tuning.artefacts import Artefact
from rag.tuning.card import Base, Card, Data, Measured, versions
from rag.tuning.errors import ArtefactRefused
from rag.tuning.registry import Registry

# What an adapter is for, in the order in which a card shows it.
SHOWN = ("F1", "Contains", "Cited", "CitedRelevant", "CitationPrecision", "CitationRecall", "Refused", "Answered")
REPLY_TOKENS = 96
STATE = "training.json"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: a name, what to learn from, how, the licences of the data and of the result, and the name of the
    adapter to begin from, if not from nothing."""

    name: str
    plan: Plan
    recipe: Recipe
    data_licence: str = "not stated"
    licence: str = "not stated"
    start: str | None = None


def make_adapter(order: Order, settings: Settings, say: Say) -> Artefact:
    """Train, measure and register. A run that was killed is gone on with by the same order.

    Raises BadInput for data or a model that cannot be used, or where a training of another order has this name, and
    ArtefactRefused for an adapter to begin from that is not whole or another model's.
    """
    registry = Registry.of(settings)
    registry.check_free(order.name)
    folder = base_folder(settings)
    base = describe_base(folder)
    start = _start(order, registry, base)
    if start is not None:
        past = start.card.settings.get("first_round", 0) + start.card.settings.get("rounds", 0)
        plan = replace(order.plan, first_round=past)
        order = replace(order, plan=plan, recipe=of_start(order.recipe, start.folder))
    model, tokenizer = load_base(folder)
    say("building the examples")
    prepared = prepare(order.plan, tokenizer, LocalTokenCounter(folder))
    work = registry.work(order.name)
    _claim(work / STATE, order, base, prepared)
    asked = sum(map(len, prepared.held_out.values()))
    say(f"{len(prepared.train)} examples to train on, {asked} of {prepared.held_pairs} held out")
    if start is not None and (seen := _unheld(start, prepared)):
        say(f"held out here, but perhaps trained on by '{start.card.name}': {', '.join(seen)}")
    began = time.monotonic()
    tuned = train(
        model, tokenizer, prepared.train, order.recipe, work / "checkpoints", say, start.folder if start else None
    )
    seconds = time.monotonic() - began
    metrics = _measured(tuned, tokenizer, prepared, say)
    made = work / "made"
    save(tuned, folder, made)
    shutil.rmtree(work / "checkpoints", ignore_errors=True)
    facts: dict[str, Any] = {"seconds_of_the_last_run": round(seconds)}
    if start is not None:
        facts["began from"] = f"{start.card.name} (trained on {start.card.data.name}, {start.card.data.sha256[:16]})"
        facts["held out here and not there"] = ", ".join(_unheld(start, prepared)) or "none"
    return registry.add(made, _card(order, base, prepared, metrics, facts))


def _start(order: Order, registry: Registry, base: Base) -> Artefact | None:
    if order.start is None:
        return None
    found = registry.get(order.start, "adapter")
    if found.card.base.sha256 != base.sha256:
        raise ArtefactRefused(
            f"adapter '{order.start}' was made for {found.card.base.name}, which is not the model of these settings "
            f"({base.name}): begin from another (--start), or from nothing."
        )
    return found


def _unheld(start: Artefact, prepared: Prepared) -> list[str]:
    """What is held out now and was not when the adapter to begin from was trained: it may have learnt from that."""
    before = str(start.card.facts.get("held out", "")).split(", ")
    read = (SPLIT, *start.card.data.name.split(", "))  # a folder apart that it was not given it cannot have learnt from
    return [each for name, groups in prepared.held.items() if name in read for each in groups if each not in before]


def _claim(path: Path, order: Order, base: Base, prepared: Prepared) -> None:
    """Say whose training this folder holds. Raises BadInput where it is another one's."""
    own = json.loads(json.dumps([asdict(order), asdict(base), prepared.hash], default=str))
    if path.is_file():
        try:
            same = json.loads(path.read_text(encoding="utf-8")) == own
        except ValueError:
            same = False
        if not same:
            raise BadInput(
                f"{path.parent} holds a training of other data or settings: choose another name (--name), or delete it."
            )
    beside = path.with_suffix(".new")  # a kill must not leave half of it: that would be taken for another one's
    beside.write_text(json.dumps(own, indent=1), encoding="utf-8")
    beside.replace(path)


def _measured(tuned: Any, tokenizer: Any, prepared: Prepared, say: Say) -> tuple[Measured, ...]:
    return tuple(
        row for name, examples in prepared.held_out.items() for row in _asked(tuned, tokenizer, name, examples, say)
    )


def _asked(tuned: Any, tokenizer: Any, name: str, examples: Sequence[Example], say: Say) -> tuple[Measured, ...]:
    """The examples asked without the adapter and with it."""
    prompts = [encode(each, tokenizer) for each in examples]

    def replied(how: str) -> Replied:
        def progress(done: int) -> None:
            say(f"{name} {how}: {done} of {len(prompts)}")

        return measure(examples, replies(tuned, tokenizer, prompts, REPLY_TOKENS, progress))

    with tuned.disable_adapter():
        bare = replied("without the adapter")
    return compared(bare, replied("with the adapter"), name)


def compared(before: Replied, after: Replied, data: str) -> tuple[Measured, ...]:
    """Each measure before and after, with intervals, and the paired test where the same questions have both."""
    rows = []
    for name in SHOWN:
        ours, theirs = before.scored.per_query.get(name, {}), after.scored.per_query.get(name, {})
        if name not in after.scored.metrics:
            continue
        rows.append(
            Measured(
                data=data,
                metric=name,
                count=len(theirs),
                after=after.scored.metrics[name],
                after_interval=after.scored.intervals[name],
                before=before.scored.metrics.get(name),
                before_interval=before.scored.intervals.get(name),
                p=compare("before", "after", name, ours, theirs).p if ours.keys() & theirs.keys() else None,
            )
        )
    own = Measured(data, "Cited by the model itself", len(after.given), after.own, before=before.own)
    return (*rows, own)


def _card(
    order: Order, base: Base, prepared: Prepared, metrics: tuple[Measured, ...], facts: Mapping[str, Any]
) -> Card:
    plan = order.plan
    names = ", ".join(each.name for each in (*plan.folders, *plan.whole))
    return Card(
        name=order.name,
        kind="adapter",
        base=base,
        data=Data(
            name=names,
            sha256=prepared.hash,
            pairs=prepared.pairs,
            held_out=prepared.held_pairs,
            split=f"by article or document, {plan.hold_out:g} of them held out",
            seed=plan.seed,
            licence=order.data_licence,
        ),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=order.recipe.seed,
        settings={
            **asdict(order.recipe),
            "rounds": plan.rounds,
            "first_round": plan.first_round,
            "max_tokens": plan.max_tokens,
            **asdict(plan.shape),
        },
        metrics=metrics,
        versions=versions(),
        licence=order.licence,
        facts={
            "examples": len(prepared.train),
            "left out as too long": prepared.too_long,
            "questions whose answer stands in no text": prepared.without,
            "held out": ", ".join(each for groups in prepared.held.values() for each in groups),
            **facts,
        },
    )
