"""`librarian tune reranker`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from librarian import DataDir, Json, Set


def reranker(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="Folder that `librarian tune pairs` made.")],
    name: Annotated[str, typer.Option("--name", help="What the tuned reranker is called.")],
    base: Annotated[
        str, typer.Option("--base", help="minilm, the folder or hub name of an encoder or of a cross-encoder.")
    ] = "minilm",
    epochs: Annotated[float, typer.Option("--epochs", min=0.01, max=100, help="Times through all pairs.")] = 2,
    batch: Annotated[
        int, typer.Option("--batch", min=2, max=65536, help="Questions with one passage each, in one step.")
    ] = 32,
    rate: Annotated[float, typer.Option("--learning-rate", min=1e-8, max=1, help="Learning rate at its peak.")] = 2e-5,
    negatives: Annotated[
        int, typer.Option("--negatives", min=1, max=50, help="Hard negatives of each pair to be used.")
    ] = 3,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=8, max=8192, help="Tokens of question and passage read in training.")
    ] = 160,
    evaluations: Annotated[
        int, typer.Option("--evaluations", min=1, max=100, help="Times an epoch that held-out questions are asked.")
    ] = 2,
    patience: Annotated[
        int, typer.Option("--patience", min=1, max=100, help="Stop after so many of them without a gain.")
    ] = 3,
    checkpointing: Annotated[bool, typer.Option("--gradient-checkpointing", help="Less memory for more time.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the training.")] = 0,
    licence: Annotated[str, typer.Option("--licence", help="Licence of the result, for its card.")] = "not stated",
    data_dir: DataDir = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Train a cross-encoder on pairs. It is kept as an artefact, and in service only once it is promoted.

    librarian tune reranker pairs --name order-1

    librarian tune promote order-1 --on mine
    """
    from eval.progress import shown_progress
    from eval.tune.printing import print_artefact
    from eval.tune.training import keep, telling
    from rag.encoders.folder import find_folder
    from rag.settings import load
    from rag.tuning import extra
    from rag.tuning.options import RerankerTraining
    from rag.tuning.pairs import read_pairs
    from rag.tuning.registry import Registry
    from rag.tuning.reranker import train_reranker

    extra.require(extra.ENCODERS)
    registry = Registry.of(load({"data_dir": data_dir}, pairs=set_).settings)
    registry.check_free(name)
    found = read_pairs(pairs)
    options = RerankerTraining(
        epochs=epochs,
        batch_size=batch,
        learning_rate=rate,
        negatives=negatives,
        max_tokens=max_tokens,
        evaluations=evaluations,
        patience=patience,
        seed=seed,
        gradient_checkpointing=checkpointing,
    )
    folder = find_folder(base)
    with shown_progress(json_) as show:
        done = train_reranker(folder, found, registry.work(name), options, telling(show))
    artefact = keep(registry, name, "reranker", (base, folder), found, options, done, licence)
    print_artefact(artefact, json_)
