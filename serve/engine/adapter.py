"""From the setting `engine_adapter` to the adapter that vLLM serves with its model, and how it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rag.errors import EngineError
from rag.settings import Settings
from rag.tuning.adapter.folder import AdapterFolder, open_adapter
from rag.tuning.adapter.packaged import packaged_adapter
from serve.engine.model import PACKAGED

AUTO, NONE = "auto", "none"
# The ranks that vLLM can be told to make room for.
_ROOMS = (8, 16, 32, 64, 128, 256, 320, 512)


def engine_adapter(settings: Settings, model: Path) -> AdapterFolder | None:
    """The adapter of these settings for `model` (its folder, or a hub name), checked; None where there is to be none.

    Raises EngineError where the setting names no folder, and ArtefactRefused where the folder cannot be used.
    """
    base = model if model.is_dir() else None
    if settings.engine_adapter == NONE:
        return None
    if settings.engine_adapter == AUTO:
        packaged = packaged_adapter() if settings.engine_model == PACKAGED else None
        return open_adapter(packaged, base) if packaged else None
    folder = Path(settings.engine_adapter).expanduser().absolute()
    if not folder.is_dir():
        raise EngineError(
            f"LIBRARIAN_ENGINE_ADAPTER is {settings.engine_adapter!r}, no folder; name an adapter's folder, {AUTO} or "
            f"{NONE}"
        )
    return open_adapter(folder, base)


def adapter_options(adapters: Sequence[AdapterFolder]) -> list[str]:
    """What vLLM is told to serve them, each under its folder's name. Raises EngineError for a rank that it has not."""
    if not adapters:
        return []
    widest = max(adapters, key=lambda each: each.rank)
    room = next((each for each in _ROOMS if each >= widest.rank), None)
    if room is None:
        raise EngineError(
            f"adapter {widest.path} is of rank {widest.rank}, and vLLM serves ranks up to {_ROOMS[-1]}; train one of "
            "a lower rank"
        )
    named = [f"{each.path.name}={each.path}" for each in adapters]
    return ["--enable-lora", "--max-lora-rank", str(room), "--lora-modules", *named]
