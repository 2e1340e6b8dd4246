"""Options that the commands of trainings share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Pairs = Annotated[Path, typer.Argument(metavar="PAIRS", help="Folder that `librarian tune pairs` made.")]
Epochs = Annotated[float, typer.Option("--epochs", min=0.01, max=100, help="Times through all pairs.")]
Rate = Annotated[float, typer.Option("--learning-rate", min=1e-8, max=1, help="Learning rate at its peak.")]
Evaluations = Annotated[
    int, typer.Option("--evaluations", min=1, max=100, help="Times an epoch that held-out questions are asked.")
]
Patience = Annotated[int, typer.Option("--patience", min=1, max=100, help="Stop after so many of them without a gain.")]
Checkpointing = Annotated[bool, typer.Option("--gradient-checkpointing", help="Less memory for more time.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the training.")]
Licence = Annotated[str, typer.Option("--licence", help="Licence of the result, for its card.")]
