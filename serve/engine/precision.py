"""In which numbers the local engine computes: a processor without bf16 imitates it, five times as slowly."""

from __future__ import annotations

import os
from pathlib import Path

from rag.settings import Settings
from serve.engine.locate import Device

AUTO, FULL = "auto", "float32"
CPU_INFO = Path("/proc/cpuinfo")
# Of x86 (AVX-512 or AMX) and of Arm.
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"})
# Weights that are kept in bf16 take twice their size; the rest of the memory is for the other processes and the cache.
_MOST_OF_MEMORY = 0.25


def engine_dtype(settings: Settings, model: Path, device: Device, cpu_info: Path = CPU_INFO) -> str:
    """vLLM's --dtype: the setting; with `auto` on a CPU that has no bf16 float32, where the model is small enough, else
    vLLM's own choice."""
    if settings.engine_dtype != AUTO or device != "cpu":
        return settings.engine_dtype
    return FULL if _lacks_bf16(cpu_info) and 2 * _size(model) <= _MOST_OF_MEMORY * _memory() else AUTO


def _lacks_bf16(cpu_info: Path) -> bool:
    """False where the system does not tell."""
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = [line for line in lines if line.partition(":")[0].strip() in ("flags", "Features")]
    return bool(flags) and not any(_BF16_FLAGS & set(line.partition(":")[2].split()) for line in flags)


def _size(model: Path) -> float:
    """Bytes of its weights; without end where they are not here."""
    return sum(each.stat().st_size for each in model.glob("*.safetensors")) or float("inf")


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
