"""An adapter joined into its model's weights, for a device where computing it apart costs more than the model itself.

vLLM's path for adapters on a CPU takes some six times as long to the first token. The price of joining is that the bare
model is not served.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from contextlib import suppress
from pathlib import Path

from rag.encoders.folder import hash_folder
from rag.errors import EngineError
from rag.settings import Settings
from rag.tuning.adapter.folder import WEIGHTS, AdapterFolder
from serve.engine.locate import Device
from serve.engine.making import PREPARE, Echo, Making, make_folder

_DIGITS = 12


def can_be_merged(model: Path, adapter: AdapterFolder) -> bool:
    """Whether adding it to the weights is all that it takes, and the weights are in one file here."""
    return adapter.scale is not None and (model / "model.safetensors").is_file()


def is_to_be_merged(settings: Settings, model: Path, adapter: AdapterFolder, device: Device) -> bool:
    """Whether the settings want it joined: with `auto` on a CPU where it can be.

    Raises EngineError where it is to be `always` and cannot be.
    """
    can_be = can_be_merged(model, adapter)
    if settings.engine_merge == "always" and not can_be:
        raise EngineError(
            f"LIBRARIAN_ENGINE_MERGE is 'always', and adapter {adapter.path} cannot be joined into {model}: it takes a "
            "plain LoRA and a model in one model.safetensors; set it to auto"
        )
    return can_be and (settings.engine_merge == "always" or (settings.engine_merge == "auto" and device == "cpu"))


def merged_model(settings: Settings, model: Path, adapter: AdapterFolder, echo: Echo, script: Path = PREPARE) -> Path:
    """The folder of `model` with `adapter` in its weights: made on first use, and anew where either has changed.

    Raises EngineError when it cannot be made.
    """
    name = f"{model.name}-{adapter.path.name}"
    digest = hashlib.sha256(f"{hash_folder(model)} {adapter.scale}".encode())
    digest.update((adapter.path / WEIGHTS).read_bytes())
    folder = (settings.models_dir / f"{name}-{digest.hexdigest()[:_DIGITS]}").absolute()
    existed = folder.exists()
    made = make_folder(
        settings,
        Making(
            folder,
            f"joining the adapter {adapter.path.name} into {model.name}",
            "some seconds",
            ["--base", str(model), "--adapter", str(adapter.path), "--scale", str(adapter.scale)],
            script,
        ),
        echo,
    )
    if not existed:
        _remove_others(made, name)
    return made


def _remove_others(made: Path, name: str) -> None:
    """Those of the same names and other contents: each is as large as the model, and an engine has read its own."""
    older = re.compile(rf"{re.escape(name)}-[0-9a-f]{{{_DIGITS}}}(\.lock|\.partial-\d+)?")
    for path in made.parent.iterdir():
        if older.fullmatch(path.name) and not path.name.startswith(made.name):
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
