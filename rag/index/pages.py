"""An engine's mapped files: memory given back to the system, content brought in before it is needed.

The engine maps its files and writes through the mapping, so each page that it touched counts as this process's memory
for as long as it runs, though the system holds it anyway and could drop it at any time.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_BLOCK_BYTES = 1 << 20
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


def bring_in(files: Sequence[Path], limit: int) -> None:
    """Read the files from end to end, so that the system holds what is mapped of them when it is touched.

    Pages touched in no order are read from the disk one by one, each of them waited for: twenty times as long.
    `limit`: more bytes than this, all together, are left alone, since the system may not have the memory to hold them.
    """
    try:
        if sum(file.stat().st_size for file in files) > limit:
            return
        buffer = bytearray(_BLOCK_BYTES)
        for file in files:
            with file.open("rb", buffering=0) as opened:
                while opened.readinto(buffer):
                    pass
    except OSError:  # gone meanwhile; who needs it says so
        return


@cache
def _libc() -> ctypes.PyDLL:
    return ctypes.PyDLL(None)
