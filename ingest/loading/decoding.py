"""Bytes to text, in whatever encoding they were saved."""

from __future__ import annotations

import codecs
import re

from ingest.loading.errors import Damaged

WESTERN = "cp1252"
_HIGH = bytes(range(128, 256))
_SAMPLE = 256 * 1024  # bytes that an encoding is told from
_HEAD = 64 * 1024  # bytes that binary data is told from
_BINARY = "it is binary data, not text: convert it, or move it out of the folder."
# The marks of UTF-32 come first: the little-endian one starts with that of UTF-16.
_MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# Of each four bytes: those that are zero at least that often, and those that hardly ever are.
_WIDE = (
    ("utf-32-le", ((2, 0.95), (3, 0.99)), (0,)),
    ("utf-32-be", ((0, 0.99), (1, 0.95)), (3,)),
    ("utf-16-le", ((1, 0.7), (3, 0.7)), (0, 2)),
    ("utf-16-be", ((0, 0.7), (2, 0.7)), (1, 3)),
)
_CONTROL = re.compile("[\x01-\x07\x0b\x0e-\x1a\x1c-\x1f]")


def decode(data: bytes, declared: str | None = None) -> str:
    """Bytes to text with newlines as line ends: a byte order mark, UTF-8, UTF-16 or UTF-32 as its zero bytes tell, the
    encoding that the document has `declared`, or what charset-normalizer finds. Raises Damaged for binary data."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _wide(data) or "utf-8-sig"
    if encoding == "utf-8-sig" and b"\0" in data[:_HEAD]:
        raise Damaged(_BINARY)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8-sig":
            text = data.decode(encoding, errors="replace")
            if text.count("\ufffd") > 1 + len(text) // 100:
                raise Damaged(_BINARY) from None
        else:
            text = _as_declared(data, declared) or _guess(data)
    if len(_CONTROL.findall(text, 0, _HEAD)) > len(text[:_HEAD]) // 50:
        raise Damaged(_BINARY)
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _wide(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: text in it has its zero bytes at the same place of nearly every character."""
    head = data[: _HEAD - _HEAD % 4]
    if len(head) < 8:
        return None
    zeros = [head[start::4].count(0) / len(head[start::4]) for start in range(4)]
    for name, empty, full in _WIDE:
        if all(zeros[place] > least for place, least in empty) and all(zeros[place] < 0.05 for place in full):
            return name if len(data) % (4 if "32" in name else 2) == 0 else None
    return None


def _as_declared(data: bytes, encoding: str | None) -> str | None:
    """The text in an encoding of that name; None where there is none, or the bytes are no text in it."""
    try:
        return data.decode(encoding) if encoding and codecs.lookup(encoding)._is_text_encoding else None
    except (LookupError, UnicodeError, ValueError):
        return None


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    sample = data[:_SAMPLE]
    if _high_bytes(sample) < 0.03 and _decodes(sample, WESTERN):  # English with a few quotes or accents
        return data.decode(WESTERN, errors="replace")
    found = from_bytes(sample)
    best = found.best()
    if best is None:
        raise Damaged("its character encoding cannot be told; save it as UTF-8.")
    # Western and Central European readings of one text often score alike: the commoner one is taken.
    western = next((each for each in found if each.encoding == WESTERN), best)
    alike = western.chaos <= best.chaos + 0.02 and western.coherence >= best.coherence - 0.01
    return data.decode(western.encoding if alike else best.encoding, errors="replace")


def _high_bytes(data: bytes) -> float:
    """Share of the bytes that are not ASCII."""
    return 1 - len(data.translate(None, _HIGH)) / len(data)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
