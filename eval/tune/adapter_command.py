"""`librarian tune adapter`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from librarian import DataDir, Set, one_line


def adapter(
    datasets: Annotated[
        list[Path], typer.Argument(help="Folders of questions with answers (BEIR layout), split by article.")
    ],
    name: Annotated[str, typer.Option("--name", help="Name of the adapter.")] = "adapter",
    also: Annotated[
        list[Path] | None, typer.Option("--also", help="A folder that is trained on entirely; may be repeated.")
    ] = None,
    measure: Annotated[
        list[Path] | None,
        typer.Option("--measure", help="A folder that is held out entirely and measured by itself; may be repeated."),
    ] = None,
    hold_out: Annotated[
        float,
        typer.Option("--hold-out", min=0, max=0.9, help="Share of the articles that is kept apart to measure by."),
    ] = 0.4,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Examples from each question.")] = 2,
    unanswerable: Annotated[
        float, typer.Option("--unanswerable", min=0, max=0.9, help="Share of examples without the answering passage.")
    ] = 0.35,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=64, help="Longer examples are left out.")] = 512,
    rank: Annotated[int, typer.Option("--rank", min=1, max=512, help="Rank of the LoRA.")] = 16,
    layers: Annotated[
        int | None, typer.Option("--layers", min=1, help="Change only so many of the upper layers (quicker).")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start", help="Go on from this adapter (see `tune list`); --rank and --layers are then its own."
        ),
    ] = None,
    passages: Annotated[int, typer.Option("--passages", min=1, max=20, help="At most so many in an example.")] = 3,
    learning_rate: Annotated[float, typer.Option("--learning-rate", min=0, help="At its highest.")] = 1e-3,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Examples in a step.")] = 4,
    seed: Annotated[int, typer.Option("--seed", help="Of the split, the examples and the training.")] = 0,
    data_licence: Annotated[
        str, typer.Option("--data-licence", help="Licence of the texts, for the card.")
    ] = "not stated",
    licence: Annotated[str, typer.Option("--licence", help="Licence of the adapter, for the card.")] = "not stated",
    data_dir: DataDir = None,
    set_: Set = None,
) -> None:
    """Teach the chat model to answer briefly from numbered passages, to cite them, and to abstain.

    A run that was killed is gone on with by the same command.
    """
    from rag.settings import load
    from rag.tuning.adapter.examples import Shape
    from rag.tuning.adapter.preparing import Plan
    from rag.tuning.adapter.training import Recipe
    from rag.tuning.extra import ADAPTERS, require

    require(ADAPTERS)
    from eval.tune.adapter import Order, make_adapter

    settings = load({"data_dir": data_dir}, pairs=set_).settings
    plan = Plan(
        tuple(datasets),
        tuple(also or ()),
        tuple(measure or ()),
        hold_out=hold_out,
        seed=seed,
        rounds=rounds,
        max_tokens=max_tokens,
        shape=Shape(passages=(1, passages), unanswerable=unanswerable),
    )
    recipe = Recipe(rank=rank, alpha=2 * rank, layers=layers, learning_rate=learning_rate, batch=batch, seed=seed)
    order = Order(name, plan, recipe, data_licence, licence, start)

    def say(line: str) -> None:
        print(one_line(line), flush=True)

    made = make_adapter(order, settings, say)
    for each in made.card.metrics:
        before = "–" if each.before is None else f"{each.before:.3f}"
        print(one_line(f"{each.data:18} {each.metric:26} {before:>6} → {each.after:.3f}  ({each.count})"))
    print(one_line(f"serve it: LIBRARIAN_ENGINE_ADAPTER={made.folder} librarian up"))
