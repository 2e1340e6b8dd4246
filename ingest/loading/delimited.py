"""CSV and TSV: a table whose pieces each have the names of the columns."""

from __future__ import annotations

import csv
from collections import Counter
from io import StringIO
from pathlib import PurePosixPath

from ingest.loading.decoding import decode
from ingest.loading.errors import too_many_characters
from ingest.loading.interface import Limits, Loaded
from ingest.loading.markup import long_table

_SEPARATORS = ",;\t|"
_MAX_COLUMNS = 16_384  # as in a spreadsheet; a line of more is no row
_SAMPLE = 64 * 1024  # characters that the separator is told from


def load_delimited(data: bytes, name: str, limits: Limits) -> Loaded:
    """The table; a text that is none, as it is."""
    text = decode(data)
    if len(text) > limits.characters:
        raise too_many_characters(limits.characters)
    separator = "\t" if PurePosixPath(name).suffix.lower() in {".tsv", ".tab"} else _separator(text[:_SAMPLE])
    rows = []
    try:
        for row in csv.reader(StringIO(text, newline=""), delimiter=separator):
            if len(row) > _MAX_COLUMNS:
                return Loaded(text, format="text")
            rows.append(row)
    except csv.Error:  # a cell of over 128 Ki characters, or a quote that never ends
        return Loaded(text, format="text")
    blocks, room = [], limits.characters
    for block in long_table(rows):
        room -= len(block) + 2
        if room < 0:
            raise too_many_characters(limits.characters)
        blocks.append(block)
    return Loaded("\n\n".join(blocks) + "\n")


def _separator(sample: str) -> str:
    """The character that most lines have equally often."""
    lines = [line for line in sample.split("\n")[:50] if line.strip()]

    def evenness(separator: str) -> tuple[float, int]:
        counts = Counter(line.count(separator) for line in lines)
        count, times = max(counts.items(), key=lambda item: (item[1] if item[0] else 0, item[0]), default=(0, 0))
        return (times / max(1, len(lines)) if count else 0.0, count)

    return max(_SEPARATORS, key=evenness)
