"""bf16 on a processor that has none: PyTorch imitates it, at many times the processor time for the same answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SHORT = 200  # characters: the texts that stay where bf16 is imitated

_CPU = Path("/proc/cpuinfo")


def imitated(backend: str) -> bool:
    """Whether this machine's processor imitates the backend's arithmetic."""
    return backend == "torch-bf16" and not (_CPU.exists() and "bf16" in _CPU.read_text())


def places(texts: Sequence[str], backend: str) -> list[int]:
    """Which of the texts are tried: all of them, and the short ones where the arithmetic is imitated."""
    return [at for at, text in enumerate(texts) if not imitated(backend) or len(text) < SHORT]
