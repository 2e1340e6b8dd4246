"""An adapter's folder: whether it is one, whole, safe to read, and made for a model. Loads no model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.tuning.artefacts import PICKLED, open_artefact
from rag.tuning.card import CARD
from rag.tuning.errors import ArtefactRefused

# What numpy has a type for: bfloat16 it has not.
_READABLE = frozenset({"F16", "F32", "F64"})
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_NOT_PLAIN = (
    *("use_dora", "fan_in_fan_out", "rank_pattern", "alpha_pattern", "modules_to_save", "lora_bias"),
    "alora_invocation_tokens",  # of one that is at work in a part of the prompt only
)
JOINABLE = (".lora_A.weight", ".lora_B.weight")


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """A LoRA as peft saves it, its rank, and by what its product is multiplied before it is added to the weights.

    `scale` is None where it is not one that can be joined into the weights by adding alone (DoRA, ranks or scales that
    differ by layer, trained biases or embeddings).
    """

    path: Path
    rank: int
    scale: float | None = None


def open_adapter(path: Path, base: Path | None = None) -> AdapterFolder:
    """The adapter in a folder; `base` is the folder of the model that it is to serve.

    One with a card must be what the card says. Raises ArtefactRefused, naming the file, where it is missing, cut short,
    corrupt, pickled, no LoRA, or made for a model of other sizes.
    """
    what = f"adapter '{path.name}'"
    pickled = next((each.name for each in sorted(path.glob("*")) if each.suffix in PICKLED), None)
    if pickled:
        raise ArtefactRefused(f"{what} holds {pickled}, which is pickled: reading it could run code. Save {WEIGHTS}.")
    if (path / CARD).is_file():
        open_artefact(path).check("adapter")
    config = _config(what, path)
    if config.get("peft_type") != "LORA":
        raise ArtefactRefused(f"{what} is no LoRA but {config.get('peft_type')}: an engine cannot serve it.")
    rank = config.get("r")
    if not isinstance(rank, int) or rank < 1:
        raise ArtefactRefused(f"{what} names no rank in {CONFIG}.")
    shapes = _shapes(what, path)
    if base is not None:
        _check_sizes(what, shapes, rank, base)
    return AdapterFolder(path, rank, _scale(config, rank, shapes))


def _scale(config: Mapping[str, Any], rank: int, shapes: Mapping[str, tuple[int, ...]]) -> float | None:
    """alpha / rank (Hu et al., 2021), or alpha / sqrt(rank) of a rank-stabilised one (Kalajdzievski, 2023)."""
    alpha = config.get("lora_alpha")
    if not isinstance(alpha, int | float) or any(config.get(each) for each in _NOT_PLAIN):
        return None
    if config.get("bias", "none") != "none" or not all(name.endswith(JOINABLE) for name in shapes):
        return None
    return float(alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def _config(what: str, path: Path) -> dict[str, Any]:
    try:
        found = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactRefused(f"{what} has no {CONFIG} that can be read in {path} ({type(error).__name__}).") from None
    if not isinstance(found, dict):
        raise ArtefactRefused(f"{what} has a {CONFIG} that holds no settings.")
    return found


def _shapes(what: str, path: Path) -> Mapping[str, tuple[int, ...]]:
    import numpy as np
    from safetensors import SafetensorError, safe_open

    found: dict[str, tuple[int, ...]] = {}
    try:
        with safe_open(path / WEIGHTS, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118  # no mapping
                part = tensors.get_slice(name)
                found[name] = tuple(part.get_shape())
                if part.get_dtype() in _READABLE and not np.isfinite(tensors.get_tensor(name)).all():
                    raise ArtefactRefused(f"{what} is corrupt: {name} in {WEIGHTS} holds numbers that are none.")
    except (OSError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ArtefactRefused(f"{what} is not whole: {WEIGHTS} is missing, cut short or corrupt ({reason}).") from None
    if not any(".lora_A." in name for name in found):
        raise ArtefactRefused(f"{what} holds no LoRA in {WEIGHTS}.")
    return found


def _check_sizes(what: str, shapes: Mapping[str, tuple[int, ...]], rank: int, base: Path) -> None:
    """What is read from and written to must be as wide as the model's own layers are."""
    try:
        model = json.loads((base / "config.json").read_text(encoding="utf-8"))
        hidden, inner, layers = (int(model[each]) for each in ("hidden_size", "intermediate_size", "num_hidden_layers"))
        heads = int(model["num_attention_heads"])
        head = int(model.get("head_dim") or hidden // heads)
        keys = int(model.get("num_key_value_heads") or heads) * head
    except (OSError, ValueError, KeyError, TypeError):
        return  # a model of another build: its engine will say what it thinks of the adapter
    widths = {
        "q_proj": (hidden, heads * head),
        "k_proj": (hidden, keys),
        "v_proj": (hidden, keys),
        "o_proj": (heads * head, hidden),
        "gate_proj": (hidden, inner),
        "up_proj": (hidden, inner),
        "down_proj": (inner, hidden),
    }
    for name, shape in shapes.items():
        parts = name.split(".")
        module = next((each for each in parts if each in widths), None)
        layer = int(parts[parts.index("layers") + 1]) if "layers" in parts else 0
        if module is None:
            continue
        wide, out = widths[module]
        wanted = (rank, wide) if "lora_A" in parts else (out, rank)
        if tuple(shape) != wanted or layer >= layers:
            raise ArtefactRefused(
                f"{what} was made for another model: {name} is {tuple(shape)} in layer {layer}, and {base.name} has "
                f"{layers} layers and takes {wanted}."
            )
