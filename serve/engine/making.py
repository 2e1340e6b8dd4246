"""A model's folder that a script of the engine's Python makes: once, and whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from rag.errors import EngineError
from rag.settings import PREFIX, Settings
from serve.engine.child import Child
from serve.engine.locate import find_engine_python
from serve.engine.log import last_lines, rotate

PREPARE = Path(__file__).with_name("prepare.py")
NEEDED = ("config.json", "model.safetensors", "tokenizer.json")

Echo = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Making:
    """A folder, what is done to make it and how long that takes, in words that are shown, and what `script` is told
    beside --out."""

    folder: Path
    what: str
    takes: str
    arguments: Sequence[str] = ()
    script: Path = PREPARE


def make_folder(settings: Settings, making: Making, say: Echo) -> Path:
    """The folder, made where it is not there. Two processes at once make it once: the second waits for the first.

    Raises EngineError where it lacks a file, cannot be made, or takes longer than engine_start_timeout seconds.
    """
    folder = making.folder
    if is_ready(folder):
        return folder
    lock = _acquire_lock(folder, settings.engine_start_timeout, say)
    try:
        if not is_ready(folder):
            say(f"{making.what} (once, {making.takes})")
            _run(settings, making)
    finally:
        lock.release()
    return folder


def is_ready(folder: Path) -> bool:
    """Whether the folder is there. It comes by a rename, so incomplete means that someone took something out."""
    if not folder.exists():
        return False
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise EngineError(f"{folder} lacks {', '.join(missing)}; remove the folder and start again to make it anew")
    return True


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


def _run(settings: Settings, making: Making) -> None:
    log = (settings.data_dir / "logs" / "prepare.log").absolute()
    python = find_engine_python(settings)
    rotate(log)
    env = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX) and key != "PYTHONPATH"}
    env |= {"HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    command = [str(python), str(making.script), "--out", str(making.folder), *making.arguments]
    child = Child(command, log, env, orphan_grace_s=0)
    deadline = time.monotonic() + settings.engine_start_timeout
    try:
        while child.status() is None and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        ended = child.status()
        child.stop(grace_s=1)
    if child.succeeded() and is_ready(making.folder):
        return
    how = f"ended with {ended}" if ended else f"took longer than {settings.engine_start_timeout:g} s"
    raise EngineError("\n  ".join([f"{making.what} {how}; {log} says:", *last_lines(log)]))
