"""In which numbers the local engine computes: a processor without bf16 imitates it, five times as slowly."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rag.settings import Settings
from serve.engine.locate import Device
from serve.engine.room import memory_bytes, weights_bytes

AUTO, FULL = "auto", "float32"
CPU_INFO = Path("/proc/cpuinfo")
# Of x86 (AVX-512 or AMX) and of Arm.
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"})
# Weights that are kept in bf16 take twice their size; the rest of the memory is for the other processes and the cache.
_MOST_OF_MEMORY = 0.25
_GIB = 2**30


def engine_dtype(settings: Settings, model: Path, device: Device, cpu_info: Path = CPU_INFO) -> str:
    """vLLM's --dtype: the setting; with `auto` on a CPU that has no bf16 float32, where the memory and the key-value
    cache have room for it, else vLLM's own choice."""
    if settings.engine_dtype != AUTO or device != "cpu":
        return settings.engine_dtype
    config = _config(model)
    quantised = "quantization_config" in config  # its kernels take half precision only
    if quantised or not _lacks_bf16(cpu_info) or 2 * weights_bytes(model) > _MOST_OF_MEMORY * memory_bytes():
        return AUTO
    return FULL if _cache_bytes(config, settings.engine_context_tokens) <= settings.engine_kv_gib * _GIB else AUTO


def _lacks_bf16(cpu_info: Path) -> bool:
    """False where the system does not tell."""
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = [line for line in lines if line.partition(":")[0].strip() in ("flags", "Features")]
    return bool(flags) and not any(_BF16_FLAGS & set(line.partition(":")[2].split()) for line in flags)


def _config(model: Path) -> dict[str, Any]:
    try:
        found = json.loads((model / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _cache_bytes(config: dict[str, Any], tokens: int) -> float:
    """Of the keys and values of one window in float32; without end where the model does not say how large they are."""
    try:
        heads = int(config["num_attention_heads"])
        head = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
        kept = int(config.get("num_key_value_heads") or heads)
        return tokens * 2 * int(config["num_hidden_layers"]) * kept * head * 4
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return math.inf
