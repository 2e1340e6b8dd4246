"""`librarian tune encoder`."""

from __future__ import annotations

from typing import Annotated

import typer

from eval.tune.training_options import Checkpointing, Epochs, Evaluations, Licence, Pairs, Patience, Rate, Seed
from librarian import DataDir, Json, Set


def encoder(
    pairs: Pairs,
    name: Annotated[str, typer.Option("--name", help="What the tuned encoder is called.")],
    base: Annotated[
        str | None, typer.Option("--base", help="minilm, a folder or a hub name; none: the encoder of the settings.")
    ] = None,
    epochs: Epochs = 2,
    batch: Annotated[int, typer.Option("--batch", min=2, max=65536, help="Pairs that are told apart at once.")] = 32,
    mini_batch: Annotated[
        int, typer.Option("--mini-batch", min=0, help="Pairs in memory at once, for large batches; 0: all of them.")
    ] = 0,
    rate: Rate = 2e-5,
    negatives: Annotated[
        int, typer.Option("--negatives", min=0, max=50, help="Hard negatives of each pair to be used.")
    ] = 1,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=8, max=8192, help="Tokens of a text that are read in training.")
    ] = 128,
    scale: Annotated[float, typer.Option("--scale", min=1, max=200, help="Inverse temperature of the loss.")] = 20,
    lora: Annotated[
        int, typer.Option("--lora", min=0, max=256, help="Train low-rank changes of this rank only; 0: all weights.")
    ] = 0,
    teacher: Annotated[
        str | None,
        typer.Option("--teacher", help="A reranker (tuned one's name, folder, hub name) to learn its order from."),
    ] = None,
    teacher_weight: Annotated[
        float, typer.Option("--teacher-weight", min=0, max=100, help="Weight of that beside the ranking loss.")
    ] = 1,
    evaluations: Evaluations = 2,
    patience: Patience = 3,
    checkpointing: Checkpointing = False,
    seed: Seed = 0,
    licence: Licence = "not stated",
    data_dir: DataDir = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Train an encoder on pairs. It is kept as an artefact, and in service only once it is promoted.

    On a GPU where there is one, in half precision where that has it. A killed training goes on when it is run again.

      librarian tune encoder pairs --name docs-1

      librarian tune encoder pairs --name docs-2 --batch 256 --mini-batch 32 --epochs 4
    """
    from eval.progress import shown_progress
    from eval.tune.printing import print_artefact
    from eval.tune.training import keep, teacher_folder, telling
    from rag.encoders.folder import find_folder, hash_folder
    from rag.settings import load
    from rag.tuning import extra
    from rag.tuning.encoder import train_encoder
    from rag.tuning.options import EncoderTraining
    from rag.tuning.pairs import read_pairs
    from rag.tuning.registry import Registry

    extra.require(extra.ENCODERS)
    settings = load({"data_dir": data_dir}, pairs=set_).settings
    registry = Registry.of(settings)
    registry.check_free(name)
    found = read_pairs(pairs)
    taught = None if teacher is None else teacher_folder(registry, teacher)
    options = EncoderTraining(
        epochs=epochs,
        batch_size=batch,
        learning_rate=rate,
        negatives=negatives,
        max_tokens=max_tokens,
        evaluations=evaluations,
        patience=patience,
        seed=seed,
        gradient_checkpointing=checkpointing,
        scale=scale,
        mini_batch=mini_batch,
        lora_rank=lora,
        teacher="" if taught is None else f"{teacher} ({hash_folder(taught)[:16]})",
        teacher_weight=teacher_weight,
    )
    chosen = base or settings.encoder
    folder = find_folder(chosen)
    with shown_progress(json_) as show:
        done = train_encoder(folder, found, registry.work(name), options, telling(show), taught)
    artefact = keep(registry, name, "encoder", (chosen, folder), found, options, done, licence)
    print_artefact(artefact, json_)
