"""Low-rank adaptation of an encoder or reranker (Hu et al., 2021), joined into its weights once it is trained."""

from __future__ import annotations

from typing import Any

# Ranks are scaled so that the learning rate fits them all alike.
_ALPHA_PER_RANK = 2
_DROPOUT = 0.05


def add_lora(model: Any, rank: int) -> None:
    """Freeze a sentence-transformers model and train low-rank changes of all its linear layers instead."""
    from peft import LoraConfig

    config = LoraConfig(
        r=rank, lora_alpha=_ALPHA_PER_RANK * rank, lora_dropout=_DROPOUT, target_modules="all-linear", bias="none"
    )
    model.add_adapter(config)


def merge_lora(model: Any) -> None:
    """Join the changes into the weights: the model is of its base's architecture again."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, layer.get_base_layer())
    transformer = model[0].auto_model
    transformer._hf_peft_config_loaded = False
    if hasattr(transformer, "peft_config"):
        del transformer.peft_config
