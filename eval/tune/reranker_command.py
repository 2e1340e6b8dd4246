"""`librarian tune reranker`."""

from __future__ import annotations

from typing import Annotated

import typer

from eval.tune.training_options import Checkpointing, Epochs, Evaluations, Licence, Pairs, Patience, Rate, Seed
from librarian import DataDir, Json, Set


def reranker(
    pairs: Pairs,
    name: Annotated[str, typer.Option("--name", help="What the tuned reranker is called.")],
    base: Annotated[
        str, typer.Option("--base", help="minilm, the folder or hub name of an encoder or of a cross-encoder.")
    ] = "minilm",
    epochs: Epochs = 2,
    batch: Annotated[
        int, typer.Option("--batch", min=2, max=65536, help="Questions with one passage each, in one step.")
    ] = 32,
    rate: Rate = 2e-5,
    negatives: Annotated[
        int, typer.Option("--negatives", min=1, max=50, help="Hard negatives of each pair to be used.")
    ] = 3,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=8, max=8192, help="Tokens of question and passage read in training.")
    ] = 160,
    evaluations: Evaluations = 2,
    patience: Patience = 3,
    checkpointing: Checkpointing = False,
    seed: Seed = 0,
    licence: Licence = "not stated",
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
