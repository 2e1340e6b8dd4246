"""From the setting `engine_model` to what vLLM is told to serve."""

from __future__ import annotations

from pathlib import Path

from rag.errors import EngineError
from rag.settings import Settings
from serve.engine.making import PREPARE, Echo, Making, is_ready, make_folder

PACKAGED = "smollm2"
PACKAGED_FOLDER = "smollm2-135m-instruct"


def prepare_model(settings: Settings, echo: Echo | None = None, script: Path = PREPARE) -> Path:
    """The folder that vLLM serves, or a hub name as a Path. The packaged model is converted on first use.

    `echo` gets a line when there is a wait. Raises EngineError when the folder is missing or incomplete, or the
    conversion fails or takes longer than engine_start_timeout seconds.
    """
    if settings.engine_model != PACKAGED:
        return _named(settings.engine_model)
    folder = (settings.models_dir / PACKAGED_FOLDER).absolute()
    what = "preparing the packaged model SmolLM2-135M-Instruct"
    return make_folder(
        settings, Making(folder, what, "about half a minute", script=script), echo or (lambda _line: None)
    )


def served_folder(settings: Settings) -> Path | None:
    """The folder of the model that the local engine serves, where its tokenizer lies; None where that is not known.

    Not known where another server is used (llm_url) or the packaged model has not been prepared yet.
    """
    if settings.llm_url:
        return None
    packaged = settings.engine_model == PACKAGED
    folder = (settings.models_dir / PACKAGED_FOLDER).absolute() if packaged else Path(settings.engine_model)
    return folder if is_ready(folder) else None


def _named(model: str) -> Path:
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.absolute()
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise EngineError(f"LIBRARIAN_ENGINE_MODEL is {model!r}, no folder; name a folder, {PACKAGED} or a hub name")
    return Path(model)
