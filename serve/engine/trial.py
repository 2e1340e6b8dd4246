"""An adapter beside the one in service, for as long as both are tried: on the local engine, or on one's own server.

On a server it is loaded at run time, which vLLM allows where VLLM_ALLOW_RUNTIME_LORA_UPDATING is set, and which needs
the adapter's folder at the same path there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from rag.errors import EngineError, ModelUnavailable
from rag.settings import Settings
from rag.tuning.adapter.folder import open_adapter
from rag.urls import without_password
from serve.engine.adapter import engine_adapter
from serve.engine.command import served_name
from serve.engine.model import prepare_model
from serve.engine.port import LOOPBACK
from serve.engine.process import Engine
from serve.engine.run import STOP_GRACE_S, build_engine, progress_lines

LOAD_SECONDS = 60


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
    now = engine_adapter(settings, model)
    own = settings.model_copy(update={"engine_port": _free_port()})
    engine = build(own, echo, [open_adapter(folder, model if model.is_dir() else None)])
    served = own.model_copy(update={"llm_url": engine.url, "llm_model": now.path.name if now else served_name(model)})
    try:
        engine.start(progress_lines(echo))
        yield served, served.model_copy(update={"llm_model": folder.name})
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
