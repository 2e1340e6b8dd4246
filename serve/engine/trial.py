"""An adapter beside the one in service, for as long as both are tried: on the local engine, or on one's own server.

Where the local engine joins adapters into its model, each gets an engine of its own, which is several times as quick as
one that serves both apart. On a server the candidate is loaded at run time, which vLLM allows where
VLLM_ALLOW_RUNTIME_LORA_UPDATING is set, and which needs the adapter's folder at the same path there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2

from rag.errors import EngineError, ModelUnavailable
from rag.settings import Settings
from rag.tuning.adapter.folder import AdapterFolder, open_adapter
from rag.urls import without_password
from serve.engine.adapter import engine_adapter
from serve.engine.command import served_name
from serve.engine.locate import engine_device, find_engine_python
from serve.engine.merging import can_be_merged, is_to_be_merged, merged_folder, remove_merged
from serve.engine.model import prepare_model
from serve.engine.port import LOOPBACK
from serve.engine.process import Engine
from serve.engine.room import memory_bytes, weights_bytes
from serve.engine.run import STOP_GRACE_S, build_engine, progress_lines

LOAD_SECONDS = 60
_COPIES = 4  # of the weights: two engines, in float32 where they are kept in half of it


@contextmanager
def tried_beside(
    settings: Settings, folder: Path, echo: Callable[[str], None], build: Callable[..., Engine] = build_engine
) -> Iterator[tuple[Settings, Settings]]:
    """Settings of what is in service and of the candidate in `folder`, both served while the block runs.

    Raises EngineError, ModelUnavailable where a server cannot load it, and ArtefactRefused.
    """
    if settings.llm_url:
        load_adapter(settings, folder)
        yield settings, settings.model_copy(update={"llm_model": folder.name})
        return
    model = prepare_model(settings, echo)
    candidate = open_adapter(folder, model if model.is_dir() else None)
    now = engine_adapter(settings, model)
    name = settings.llm_model or (now.path.name if now else served_name(model))
    with ExitStack() as engines:
        if _has_one_each(settings, model, candidate, now):
            url = engines.enter_context(_running(settings, echo, build, [], "trial-in-service"))
            own = settings.model_copy(update={"engine_adapter": str(folder), "llm_model": None})
            joined = merged_folder(settings, model, candidate)
            if not joined.exists():  # it is made for the trial alone, and anew where it is promoted
                engines.callback(remove_merged, joined)
            other = engines.enter_context(_running(own, echo, build, [], "trial-candidate"))
        else:
            url = other = engines.enter_context(_running(settings, echo, build, [candidate], "trial"))
        yield (
            settings.model_copy(update={"llm_url": url, "llm_model": name}),
            settings.model_copy(update={"llm_url": other, "llm_model": folder.name}),
        )


def _has_one_each(settings: Settings, model: Path, candidate: AdapterFolder, now: AdapterFolder | None) -> bool:
    """Whether each of the two gets an engine: where both are joined into the model, on a CPU with memory for that.

    Raises EngineError where the candidate could not be served as the settings want it.
    """
    both = [candidate, *([now] if now else [])]
    if settings.engine_merge != "always" and not all(can_be_merged(model, each) for each in both):
        return False
    device = engine_device(find_engine_python(settings))
    joined = [is_to_be_merged(settings, model, each, device) for each in both]
    roomy = _COPIES * weights_bytes(model) <= memory_bytes() / 2
    return all(joined) and device == "cpu" and roomy


@contextmanager
def _running(
    settings: Settings,
    echo: Callable[[str], None],
    build: Callable[..., Engine],
    beside: Sequence[AdapterFolder],
    log: str,
) -> Iterator[str]:
    """The URL of an engine on a port of its own, which is stopped whatever happens."""
    engine = build(settings.model_copy(update={"engine_port": _free_port()}), echo, beside, log)
    try:
        engine.start(progress_lines(echo))
        yield engine.url
    finally:
        engine.stop(STOP_GRACE_S)


def load_adapter(settings: Settings, folder: Path) -> None:
    """Have the server of `llm_url` load the adapter under its folder's name; one of that name that it has stays.

    Raises ModelUnavailable where it does not.
    """
    url = f"{str(settings.llm_url).rstrip('/')}/load_lora_adapter"
    key = settings.llm_api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        said = httpx2.post(
            url,
            json={"lora_name": folder.name, "lora_path": str(folder.absolute())},
            headers=headers,
            timeout=LOAD_SECONDS,
            trust_env=False,
        )
    except httpx2.HTTPError as error:
        raise ModelUnavailable(f"{without_password(url)} cannot be reached ({type(error).__name__}).") from None
    if said.is_success or "already" in said.text:
        return
    if said.status_code in (404, 405):
        raise ModelUnavailable(
            f"the server at {without_password(url)} loads no adapters: start vLLM with --enable-lora and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, or leave LIBRARIAN_LLM_URL empty for the local engine."
        )
    raise ModelUnavailable(
        f"the server at {without_password(url)} did not load the adapter {folder} (HTTP {said.status_code}): that "
        "folder must be there at the same path, and of a rank that it was started for."
    )


def _free_port() -> int:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, 0))
        except OSError as error:
            raise EngineError(f"no port on {LOOPBACK} is free: {error}") from None
        return int(probe.getsockname()[1])
