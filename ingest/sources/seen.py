"""A set of texts for telling repetitions, of 64 bits each: what it holds is a few bytes a text, not the texts."""

from __future__ import annotations

from array import array
from hashlib import blake2b


class Seen:
    """Remembers texts by a 64-bit hash: among n texts one is taken for another with probability n²/2⁶⁵."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0

    def add(self, text: str) -> bool:
        """Whether the text is new."""
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if not self._put(int.from_bytes(digest, "little") or 1):
            return False
        self._count += 1
        if self._count * 2 > len(self._slots):
            held, self._slots = self._slots, array("Q", bytes(8 * 4 * len(self._slots)))
            for each in held:
                if each:
                    self._put(each)
        return True

    def _put(self, key: int) -> bool:
        slots = self._slots
        mask = len(slots) - 1
        at = key & mask
        while slots[at]:
            if slots[at] == key:
                return False
            at = (at + 1) & mask
        slots[at] = key
        return True
