"""Run the local engine in the foreground: what `librarian model` does."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rag.errors import EngineError
from rag.settings import Settings
from rag.tuning.adapter.folder import AdapterFolder
from rag.urls import without_password
from serve.engine.adapter import engine_adapter
from serve.engine.command import engine_environment, served_name, usable_cpus, vllm_command
from serve.engine.locate import Device, engine_device, find_engine_python
from serve.engine.making import Echo
from serve.engine.merging import is_to_be_merged, merged_model
from serve.engine.model import prepare_model
from serve.engine.precision import engine_dtype
from serve.engine.process import Engine

WATCH_S = 0.5
REPEAT_S = 10.0
STOP_GRACE_S = 10.0


def build_engine(
    settings: Settings, echo: Echo | None = None, beside: Sequence[AdapterFolder] = (), log: str = "engine"
) -> Engine:
    """The engine of these settings, its model prepared, not yet started; it also serves the adapters `beside`, and
    writes to `log`.log.

    With none beside it, the adapter of the settings may be served joined into its model, under the adapter's name.

    Raises EngineError when there is no vLLM or no such model, and ArtefactRefused for an adapter that cannot be used.
    """
    say = echo or (lambda _line: None)
    python = find_engine_python(settings)
    device = engine_device(python)
    model = prepare_model(settings, echo)
    adapter = engine_adapter(settings, model)
    name = served_name(model)
    adapters = [*([adapter] if adapter else []), *beside]
    what = name + "".join(f" and the adapter {each.path.name}" for each in adapters)
    joined = _joined(settings, model, adapter, device, say) if adapter and not beside else None
    if adapter and joined:
        what = f"{name} and the adapter {adapter.path.name} in its weights"
        model, name, adapters = joined, adapter.path.name, []
    say(f"starting vLLM with {what} on {'a GPU' if device == 'gpu' else 'the CPU'} ({python})")
    return Engine(
        vllm_command(python, model, settings, device, adapters, name, engine_dtype(settings, model, device)),
        port=settings.engine_port,
        log=settings.data_dir / "logs" / f"{log}.log",
        env=engine_environment(model, settings, device, os.environ, usable_cpus()),
        start_timeout_s=settings.engine_start_timeout,
    )


def _joined(settings: Settings, model: Path, adapter: AdapterFolder, device: Device, say: Echo) -> Path | None:
    """The folder of both, where they are to be one. With `auto` a disk that has no room for it stops nobody, and who
    asks for the bare model by its name gets both."""
    bare = settings.engine_merge == "auto" and settings.llm_model == served_name(model)
    if bare or not is_to_be_merged(settings, model, adapter, device):
        return None
    try:
        return merged_model(settings, model, adapter, say)
    except EngineError as error:
        if settings.engine_merge != "auto":
            raise
        say(f"{error}\n  so the adapter is served beside its model, which is several times as slow on a CPU")
        return None


def run_engine(settings: Settings, echo: Echo, build: Callable[[Settings, Echo], Engine] = build_engine) -> int:
    """Start the engine and stay until SIGINT or SIGTERM, then stop it and return 0 (the exit status).

    `echo` gets short lines about what happens. Where llm_url names a server, nothing is started.
    Raises EngineError when the engine cannot be had or started, or dies.
    """
    if settings.llm_url:
        echo(f"LIBRARIAN_LLM_URL names {without_password(settings.llm_url)}: that one is used, no engine is needed")
        return 0
    engine: Engine | None = None
    with signals_interrupt():
        try:
            engine = build(settings, echo)
            began = time.monotonic()
            engine.start(progress_lines(echo))
            echo(f"ready after {time.monotonic() - began:.0f} s: {engine.url} (log: {engine.log}); Ctrl-C stops it")
            while True:
                engine.check()
                time.sleep(WATCH_S)
        except KeyboardInterrupt:
            echo("stopping the engine")
            return 0
        finally:
            with signals_wait():
                if engine is not None:
                    engine.stop(STOP_GRACE_S)


def progress_lines(echo: Echo) -> Callable[[float, str], None]:
    """A progress callback that says each new phase once, and again every REPEAT_S seconds while it lasts."""
    said: tuple[str, float] | None = None

    def progress(elapsed_s: float, phase: str) -> None:
        nonlocal said
        if said is None or said[0] != phase or elapsed_s - said[1] >= REPEAT_S:
            echo(f"{elapsed_s:4.0f} s  {phase}")
            said = (phase, elapsed_s)

    return progress


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt inside. Only the main thread can: elsewhere nothing changes."""
    with _handling(_interrupt):
        yield


@contextmanager
def signals_wait() -> Iterator[None]:
    """SIGINT and SIGTERM do nothing inside: a second Ctrl-C must not cut the stop short, which is bounded anyway."""
    with _handling(signal.SIG_IGN):
        yield


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
