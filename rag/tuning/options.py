"""How a training goes: the choices that people make, with defaults for a small set on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Training:
    """`evaluations`: how often in an epoch the held-out questions are asked; `patience`: how many of these in a row
    may bring nothing before it stops. `max_tokens` of a text are read in training, which need not be all that the
    model reads later. `max_steps` 0: as many as the epochs come to.
    """

    epochs: float = 2.0
    batch_size: int = 32
    learning_rate: float = 2e-5
    warmup: float = 0.1
    weight_decay: float = 0.01
    negatives: int = 1
    max_tokens: int = 128
    evaluations: int = 2
    patience: int = 3
    seed: int = 0
    max_steps: int = 0
    gradient_checkpointing: bool = False


@dataclass(frozen=True, slots=True)
class EncoderTraining(Training):
    """`scale` is the inverse temperature of the ranking loss. `mini_batch` above 0: a batch goes through the model in
    parts of so many pairs, with the loss of the whole one. `lora_rank` above 0: only low-rank changes of that rank are
    trained, and joined into the weights at the end. `teacher` names the reranker whose order of a pair's passages is
    learnt too, and the hash of its files; `teacher_weight` is that loss's weight beside the ranking loss."""

    scale: float = 20.0
    mini_batch: int = 0
    lora_rank: int = 0
    teacher: str = ""
    teacher_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class RerankerTraining(Training):
    """A pair and each of its negatives are examples of their own; `batch_size` counts those."""

    negatives: int = 3
    max_tokens: int = 160


@dataclass(frozen=True, slots=True)
class Step:
    """How far a training is. `loss` is of the last steps, `held_out` the latest nDCG@10, as far as known."""

    step: int
    steps: int
    loss: float | None = None
    held_out: float | None = None


Tell = Callable[[Step], None]
