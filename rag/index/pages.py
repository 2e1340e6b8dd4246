"""Memory of an engine's mapped files, given back to the system.

The engine maps its files and writes through the mapping, so each page that it touched counts as this process's memory
for as long as it runs, though the system holds it anyway and could drop it at any time.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path

_DONTNEED = 4  # MADV_DONTNEED: for a shared mapping of a file the content stays in the system's cache


def release(folder: Path) -> None:
    """Let go of the pages of files below `folder` that this process maps; they are mapped again when touched.

    Only Linux tells what is mapped where; elsewhere nothing happens. Nothing may unmap those files meanwhile: the
    addresses could belong to something else by then.
    """
    if sys.platform != "linux":
        return
    below = f"{folder}/"
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # a container may hide it
        return
    for line in lines:
        fields = line.split(maxsplit=5)
        # "s": shared. A private mapping would lose what was written to it.
        if len(fields) == 6 and fields[1].endswith("s") and fields[5].startswith(below):
            start, end = (int(each, 16) for each in fields[0].split("-"))
            _libc().madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONTNEED)


@cache
def _libc() -> ctypes.PyDLL:
    return ctypes.PyDLL(None)
