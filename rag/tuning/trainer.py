"""What the trainings of encoders and rerankers share: the trainer's arguments, its progress, when it stops."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rag.tuning.options import Step, Tell, Training

METRIC = "held_out_ndcg@10"
# Losses are told as means of so many steps at most.
_TOLD_STEPS = 5


def arguments(options: Training, examples: int, folder: Path) -> dict[str, Any]:
    """The trainer's arguments, for `examples` rows of training data. Evaluated, saved and told by steps, so that a
    killed training loses one evaluation's worth at most. Half precision where the device has it."""
    import torch

    steps_an_epoch = max(1, math.ceil(examples / options.batch_size))
    between = max(1, steps_an_epoch // max(1, options.evaluations))
    return {
        "output_dir": str(folder),
        "num_train_epochs": options.epochs,
        "max_steps": options.max_steps or -1,
        "per_device_train_batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "warmup_steps": options.warmup,
        "weight_decay": options.weight_decay,
        "bf16": torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        **({"gradient_checkpointing": True} if options.gradient_checkpointing else {}),
        "eval_strategy": "steps",
        "eval_steps": between,
        "save_strategy": "steps",
        "save_steps": between,
        "save_total_limit": 2,
        # One that divides the other: a training that goes on from a checkpoint tells the same means.
        "logging_steps": next(each for each in range(_TOLD_STEPS, 0, -1) if between % each == 0),
        "load_best_model_at_end": True,
        "metric_for_best_model": METRIC,
        "greater_is_better": True,
        "restore_callback_states_from_checkpoint": True,
        "seed": options.seed,
        "data_seed": options.seed,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def callbacks(options: Training, tell: Tell) -> list[Any]:
    """The trainer's callbacks: progress, and stopping early."""
    from transformers import EarlyStoppingCallback, TrainerCallback

    class Telling(TrainerCallback):
        """Hands what the trainer logs to `tell`."""

        def __init__(self) -> None:
            self.loss: float | None = None
            self.held_out: float | None = None

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            found = logs or {}
            self.loss = found.get("loss", self.loss)
            self.held_out = found.get(f"eval_{METRIC}", self.held_out)
            tell(Step(state.global_step, state.max_steps, self.loss, self.held_out))

    return [Telling(), EarlyStoppingCallback(early_stopping_patience=options.patience)]


def without_cards(library_trainer: Any, model: Any) -> Any:
    """The library's trainer, without the card that it would write into every checkpoint: it costs more than a step."""

    class Trainer(library_trainer):  # type: ignore[misc]
        """Trains, evaluates and saves; what an artefact's card says is written once, at the end, by the registry."""

        def add_model_card_callback(self, default_args_dict: Any) -> None:
            """None is added."""

    model._create_model_card = lambda *_, **__: None
    return Trainer


def train(run: Any, checkpoint: Path | None) -> None:
    """Let a trainer run to its end, from a checkpoint where there is one."""
    from transformers import PrinterCallback

    run.remove_callback(PrinterCallback)
    run.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def evaluator(score: Callable[[Any], Sequence[float]]) -> Any:
    """An evaluator for the trainer that gives the mean of `score(model)` as METRIC."""
    from sentence_transformers.base.evaluation.evaluator import BaseEvaluator

    class Evaluator(BaseEvaluator):
        """nDCG@10 of the held-out questions."""

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.primary_metric = METRIC

        def __call__(self, model: Any, output_path: Any = None, epoch: float = -1, steps: int = -1) -> dict[str, float]:
            found = score(model)
            return {METRIC: sum(found) / len(found)}

    return Evaluator()


def losses(log: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """Step and loss of everything that the trainer logged."""
    return [(int(each["step"]), float(each["loss"])) for each in log if "loss" in each]


def quiet() -> None:
    """The libraries say on stderr what the progress says already."""
    from datasets.utils.logging import disable_progress_bar
    from transformers.utils import logging as transformers_logging

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    disable_progress_bar()
