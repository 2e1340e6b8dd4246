"""Training of an adapter: LoRA (Hu et al., ICLR 2022) by peft, on the answers alone, by trl's SFTTrainer.

Heavy imports stand in the functions: the command line starts without them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from rag.tuning.adapter.examples import Example
from rag.tuning.adapter.folder import CONFIG
from rag.tuning.adapter.packing import IGNORED, packed
from rag.tuning.state import last_checkpoint

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an adapter is trained. `layers` is how many of the upper layers it changes (None: all): what lies below is
    not gone back through. `learning_rate` rises over `warmup` steps and falls to nothing by the end. The `batch`
    examples of a step are computed in `parts`: short ones are quicker together, long ones apart, for attention takes
    the square of what is computed together. `batch` must be a multiple of it."""

    rank: int = 16
    alpha: int = 32
    layers: int | None = None
    learning_rate: float = 5e-4
    warmup: int = 15
    batch: int = 4
    parts: int = 1
    seed: int = 0
    save_steps: int = 25
    report_steps: int = 5


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of prompt and target; `prompt` is how many of them are the prompt's."""

    ids: tuple[int, ...]
    prompt: int


def encode(example: Example, tokenizer: Any) -> Encoded:
    """The prompt as a server makes it with the model's chat template, and the target with the end of its turn."""
    messages = [{"role": each.role, "content": each.content} for each in example.messages]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    tail = tokenizer(example.target + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    return Encoded((*head, *tail), len(head))


def ordered(examples: Sequence[Encoded], seed: int) -> list[Encoded]:
    """All examples in an order drawn by the seed."""
    found = list(examples)
    Random(seed).shuffle(found)  # noqa: S311
    return found


def train(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Encoded],
    recipe: Recipe,
    folder: Path,
    say: Callable[[str], None],
    start: Path | None = None,
) -> Any:
    """Train an adapter on `model` and return the peft model. Checkpoints go to `folder`; what stands there is gone on
    with, so a run that was killed ends as if it had not been. `start` is the folder of an adapter to begin from: its
    rank and its layers are then the trained ones', whatever the recipe says (see `of_start`)."""
    from peft import LoraConfig
    from transformers import PrinterCallback

    datasets: Any = import_module("datasets")  # neither says its types
    trl: Any = import_module("trl")

    depth = model.config.num_hidden_layers
    lowest = depth - (recipe.layers or depth)
    rows = [
        {"input_ids": list(each.ids), "labels": [IGNORED] * each.prompt + list(each.ids[each.prompt :])}
        for each in ordered(examples, recipe.seed)
    ]
    config = trl.SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=recipe.batch // recipe.parts,
        gradient_accumulation_steps=recipe.parts,
        num_train_epochs=1,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup,
        lr_scheduler_type="linear",
        max_grad_norm=1.0,
        save_steps=recipe.save_steps,
        logging_steps=recipe.report_steps,
        seed=recipe.seed,
        bf16=False,
        gradient_checkpointing=False,
        train_sampling_strategy="sequential",
        dataset_kwargs={"skip_prepare_dataset": True},
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    lora = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=0.0,
        target_modules=list(LINEAR),
        layers_to_transform=list(range(lowest, depth)),
        task_type="CAUSAL_LM",
    )
    trainer = trl.SFTTrainer(
        model=model if start is None else _begun(model, start),
        callbacks=[_progress(say)],
        args=config,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer,
        data_collator=packed,
        peft_config=lora if start is None else None,
    )
    trainer.remove_callback(PrinterCallback)
    done = last_checkpoint(folder)
    trainer.train(resume_from_checkpoint=str(done) if done else None)
    return trainer.model


def _begun(model: Any, start: Path) -> Any:
    """The model with the adapter in `start`, to be trained further."""
    from peft import PeftModel

    begun: Any = PeftModel.from_pretrained(model, start, is_trainable=True)
    # Its file names the model without a folder: peft would look such a name up on the hub at every checkpoint.
    begun.peft_config["default"].base_model_name_or_path = model.config.name_or_path
    return begun


def of_start(recipe: Recipe, start: Path) -> Recipe:
    """The recipe with rank, alpha and layers of the adapter in `start`."""
    config = json.loads((start / CONFIG).read_text(encoding="utf-8"))
    layers = config.get("layers_to_transform")
    return replace(
        recipe, rank=config["r"], alpha=config["lora_alpha"], layers=len(layers) if isinstance(layers, list) else None
    )


def _progress(say: Callable[[str], None]) -> Any:
    """A callback that says step, loss and the time that is left, reckoned from the steps of this run."""
    import time

    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        began = 0.0
        first = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.began, self.first = time.monotonic(), state.global_step

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            logs = kwargs.get("logs") or {}
            done = state.global_step - self.first
            if not done or "loss" not in logs:
                return
            left = (time.monotonic() - self.began) / done * (state.max_steps - state.global_step)
            loss = float(logs["loss"])
            say(f"step {state.global_step} of {state.max_steps}, loss {loss:.3f}, about {left / 60:.0f} min left")

    return Progress()
