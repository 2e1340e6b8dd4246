"""How much memory there is, and how much a model's weights take."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def memory_bytes(limit: Path = CGROUP_LIMIT) -> int:
    """What this process may use: the machine's memory, or its container's share."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(whole, int(limit.read_text(encoding="utf-8")))
    except (OSError, ValueError):  # no such file, or "max"
        return whole


def weights_bytes(model: Path) -> float:
    """Of a folder's weights as they are stored; without end where they are not here."""
    return sum(each.stat().st_size for each in model.glob("*.safetensors")) or math.inf
