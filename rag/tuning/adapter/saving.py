"""A trained adapter as files: peft's two, in half precision, without paths of the machine it was trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from rag.tuning.adapter.folder import CONFIG, WEIGHTS, open_adapter


def save(model: Any, base: Path, folder: Path) -> None:
    """Write the adapter of a peft model into `folder`, in place of what is there. Raises ArtefactRefused for one whose
    numbers half precision cannot hold."""
    from safetensors.torch import load_file, save_file

    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, safe_serialization=True)
    for path in folder.iterdir():
        if path.name not in (CONFIG, WEIGHTS):
            path.unlink()
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base.name
    (folder / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    halves = {name: each.half() for name, each in load_file(folder / WEIGHTS).items()}
    save_file(halves, folder / WEIGHTS, metadata={"format": "pt"})
    open_adapter(folder, base)
