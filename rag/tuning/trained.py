"""What a finished training leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MODEL = "model"  # its folder, in that of the training's state


@dataclass(frozen=True, slots=True)
class Trained:
    """The model's folder, nDCG@10 of each held-out question before and after, and the losses by step.

    `resumed`: it went on from a killed one.
    """

    folder: Path
    before: tuple[float, ...]
    after: tuple[float, ...]
    losses: tuple[tuple[int, float], ...]
    steps: int
    seconds: float
    device: str
    resumed: bool
