"""The chat model that an adapter is trained on: a folder here, as the engine serves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rag.encoders.folder import hash_folder
from rag.errors import BadInput
from rag.settings import Settings
from rag.tuning.card import Base

PACKAGED, PACKAGED_FOLDER = "smollm2", "smollm2-135m-instruct"


def base_folder(settings: Settings) -> Path:
    """The folder of `engine_model`. Raises BadInput where it is a hub name, or the packaged one is not prepared yet."""
    packaged = settings.engine_model == PACKAGED
    folder = settings.models_dir / PACKAGED_FOLDER if packaged else Path(settings.engine_model).expanduser()
    if (folder / "config.json").is_file():
        return folder.absolute()
    if packaged:
        raise BadInput(f"{folder} is not there yet: run `librarian model --prepare` first.")
    raise BadInput(
        f"engine_model is '{settings.engine_model}', which is no model's folder: an adapter is trained on one."
    )


def describe_base(folder: Path) -> Base:
    """Its name and the hash of its files."""
    return Base(folder.name, hash_folder(folder))


def load_base(folder: Path) -> tuple[Any, Any]:
    """Model (float32) and tokenizer, from safetensors alone."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    causal: Any = AutoModelForCausalLM
    model = causal.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, local_files_only=True)
    if torch.cuda.is_available():
        model = model.to("cuda")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer
