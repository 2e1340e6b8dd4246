"""The command and the environment that start vLLM: pure functions of the settings, the model and the device."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rag.settings import PREFIX, Settings
from rag.tuning.adapter.folder import AdapterFolder
from serve.engine.adapter import adapter_options
from serve.engine.locate import Device
from serve.engine.port import LOOPBACK
from serve.engine.precision import AUTO

SMALL_MACHINE_CPUS = 4
CPU_SEQUENCES = 16


def served_name(model: Path) -> str:
    """The name under which a model is served: a folder's own name, or the whole hub name."""
    return model.name if model.is_dir() else str(model)


def vllm_command(
    python: Path,
    model: Path,
    settings: Settings,
    device: Device,
    adapters: Sequence[AdapterFolder] = (),
    name: str | None = None,
    dtype: str = AUTO,
) -> list[str]:
    """vLLM's OpenAI-compatible server for `model` (a folder or a hub name) on 127.0.0.1:engine_port, and for the model
    with each of `adapters` beside it. The model is served as `name`; None: as its folder or hub name says.
    `dtype` is what it computes in (precision.py)."""
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(model), "--served-model-name", name or served_name(model)]
    command += ["--host", LOOPBACK, "--port", str(settings.engine_port)]
    command += ["--max-model-len", str(settings.engine_context_tokens), "--enable-prefix-caching"]
    if dtype != AUTO:
        command += ["--dtype", dtype]
    if device == "cpu":
        # Compiling for a CPU takes minutes and gains little; 16 at once is what two cores can feed.
        command += ["--enforce-eager", "--max-num-seqs", str(CPU_SEQUENCES)]
    return [*command, *adapter_options(adapters)]


def engine_environment(
    model: Path, settings: Settings, device: Device, base: Mapping[str, str], cpus: frozenset[int]
) -> dict[str, str]:
    """Environment of vLLM: `base` without what is ours (keys among it) or of another Python, and vLLM's settings.

    `cpus` are the processors that this process may use.
    """
    dropped = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    env = {key: value for key, value in base.items() if not key.startswith(PREFIX) and key not in dropped}
    env |= {
        "PYTHONUNBUFFERED": "1",
        # `python -m` would import from the current folder first: a `datasets` or `eval` folder there breaks vLLM.
        "PYTHONSAFEPATH": "1",
        "NO_COLOR": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_HOST_IP": LOOPBACK,
    }
    if model.is_dir():
        env["HF_HUB_OFFLINE"] = "1"
    if device == "cpu":
        env["VLLM_CPU_KVCACHE_SPACE"] = str(settings.engine_kv_gib)
        if 1 < len(cpus) <= SMALL_MACHINE_CPUS:
            # By itself vLLM leaves one core idle for its scheduler: on two cores, half of the machine.
            env.setdefault("VLLM_CPU_OMP_THREADS_BIND", ",".join(map(str, sorted(cpus))))
    return env


def usable_cpus() -> frozenset[int]:
    """Numbers of the processors that this process may run on; empty where the system does not tell (macOS)."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
