"""An adapter joined into its model's weights, for a device where computing it apart costs more than the model itself.

vLLM's path for adapters on a CPU takes some six times as long to the first token. The price of joining is that the bare
model is not served.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from rag.errors import EngineError
from rag.settings import Settings
from rag.tuning.adapter.folder import WEIGHTS, AdapterFolder
from serve.engine.locate import Device
from serve.engine.making import NEEDED, PREPARE, Echo, Making, make_folder

_DIGITS = 12


def can_be_merged(model: Path, adapter: AdapterFolder) -> bool:
    """Whether adding it to the weights is all that it takes, and they lie here in one file, not quantised."""
    if adapter.scale is None or not all((model / name).is_file() for name in NEEDED):
        return False
    return "quantization_config" not in (model / "config.json").read_text(encoding="utf-8", errors="replace")


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


def merged_folder(settings: Settings, model: Path, adapter: AdapterFolder) -> Path:
    """Where the two lie joined, or will: another place for other weights of either, another tokenizer or template."""
    digest = hashlib.sha256(f"{adapter.scale}".encode())
    for file in sorted(each for each in model.iterdir() if each.is_file() and not each.name.startswith(".")):
        digest.update(f"\n{file.name} {file.stat().st_size} ".encode())
        # Of weights the time: to read gigabytes at each start would cost more than to join them once too often.
        digest.update(f"{file.stat().st_mtime_ns}".encode() if file.suffix == ".safetensors" else file.read_bytes())
    digest.update((adapter.path / WEIGHTS).read_bytes())
    name = f"{model.name}-{adapter.path.name}-{digest.hexdigest()[:_DIGITS]}"
    return (settings.models_dir / name).absolute()


def merged_model(settings: Settings, model: Path, adapter: AdapterFolder, echo: Echo, script: Path = PREPARE) -> Path:
    """The folder of `model` with `adapter` in its weights: made on first use, and anew where either has changed.

    Raises EngineError when it cannot be made.
    """
    folder = merged_folder(settings, model, adapter)
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
        _remove_others(made)
    return made


def remove_merged(folder: Path) -> None:
    """Take such a folder away: at once for those who look for it, whole or not."""
    gone = folder.with_name(f"{folder.name}.removed-{os.getpid()}")
    with suppress(OSError):
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _remove_others(made: Path) -> None:
    """Those of the same names and other contents: each is as large as the model, and an engine has read its own."""
    older = re.compile(rf"{re.escape(made.name[:-_DIGITS])}[0-9a-f]{{{_DIGITS}}}(\.removed-\d+)?")
    for path in made.parent.iterdir():
        if older.fullmatch(path.name) and path.is_dir() and path != made:
            remove_merged(path)
