"""From the setting `engine_model` to what vLLM is told to serve."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from rag.errors import EngineError
from rag.settings import PREFIX, Settings
from serve.engine.child import Child
from serve.engine.locate import find_engine_python
from serve.engine.log import last_lines, rotate

PACKAGED = "smollm2"
PACKAGED_FOLDER = "smollm2-135m-instruct"
PREPARE = Path(__file__).with_name("prepare.py")
NEEDED = ("config.json", "model.safetensors", "tokenizer.json")

Echo = Callable[[str], None]


def prepare_model(settings: Settings, echo: Echo | None = None, script: Path = PREPARE) -> Path:
    """The folder that vLLM serves, or a hub name as a Path. The packaged model is converted on first use.

    Two processes at once convert once: the second waits for the first. `echo` gets a line when there is a wait.
    Raises EngineError when the folder is missing or incomplete, or the conversion fails or takes longer than
    engine_start_timeout seconds.
    """
    if settings.engine_model != PACKAGED:
        return _named(settings.engine_model)
    say = echo or (lambda _line: None)
    folder = (settings.models_dir / PACKAGED_FOLDER).absolute()
    if _is_ready(folder):
        return folder
    lock = _acquire_lock(folder, settings.engine_start_timeout, say)
    try:
        if not _is_ready(folder):
            say("preparing the packaged model SmolLM2-135M-Instruct (once, about half a minute)")
            _convert(settings, folder, script)
    finally:
        lock.release()
    return folder


def served_folder(settings: Settings) -> Path | None:
    """The folder of the model that the local engine serves, where its tokenizer lies; None where that is not known.

    Not known where another server is used (llm_url) or the packaged model has not been prepared yet.
    """
    if settings.llm_url:
        return None
    packaged = settings.engine_model == PACKAGED
    folder = (settings.models_dir / PACKAGED_FOLDER).absolute() if packaged else Path(settings.engine_model)
    return folder if _is_ready(folder) else None


def _acquire_lock(folder: Path, timeout_s: float, say: Echo) -> BaseFileLock:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f"{folder.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say("waiting for another process that is preparing the model")
            lock.acquire(timeout=timeout_s)
    except Timeout:
        raise EngineError(
            f"another process has been preparing {folder} for over {timeout_s:g} s; end it and start again"
        ) from None
    except OSError as error:
        raise EngineError(f"cannot write models to {folder.parent}: {error}; check LIBRARIAN_DATA_DIR") from None
    return lock


def _named(model: str) -> Path:
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.absolute()
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise EngineError(f"LIBRARIAN_ENGINE_MODEL is {model!r}, no folder; name a folder, {PACKAGED} or a hub name")
    return Path(model)


def _is_ready(folder: Path) -> bool:
    """Whether the folder is there. It comes by a rename, so incomplete means that someone took something out."""
    if not folder.exists():
        return False
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise EngineError(f"{folder} lacks {', '.join(missing)}; remove the folder and start again to make it anew")
    return True


def _convert(settings: Settings, folder: Path, script: Path) -> None:
    log = (settings.data_dir / "logs" / "prepare.log").absolute()
    python = find_engine_python(settings)
    rotate(log)
    env = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX) and key != "PYTHONPATH"}
    env |= {"HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    child = Child([str(python), str(script), "--out", str(folder)], log, env, orphan_grace_s=0)
    deadline = time.monotonic() + settings.engine_start_timeout
    try:
        while child.status() is None and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        ended = child.status()
        child.stop(grace_s=1)
    if child.succeeded() and _is_ready(folder):
        return
    how = f"ended with {ended}" if ended else f"took longer than {settings.engine_start_timeout:g} s"
    raise EngineError("\n  ".join([f"preparing the packaged model {how}; {log} says:", *last_lines(log)]))
