"""JSON, JSON Lines and XML: each value on a line with the names that lead to it, so that a piece says what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ingest.loading.decoding import decode
from ingest.loading.errors import too_many_characters
from ingest.loading.interface import Limits, Loaded


def load_json(data: bytes, name: str, limits: Limits) -> Loaded:
    """The values of one JSON document; what is no JSON, as the text that it is."""
    text = decode(data)
    try:
        root = _parsed(text)
    except (ValueError, RecursionError):
        return Loaded(text, format="text")
    records = root if isinstance(root, list) else [root]
    return Loaded(_written(records, limits), _title(root), "text")


def load_json_lines(data: bytes, name: str, limits: Limits) -> Loaded:
    """The values of each line's record; a line that is no JSON, as it is."""

    def records() -> Iterator[Any]:
        for line in decode(data).split("\n"):
            if line.strip():
                try:
                    yield _parsed(line)
                except (ValueError, RecursionError):
                    yield line

    return Loaded(_written(records(), limits), format="text")


def _parsed(text: str) -> Any:
    """Numbers stay as they are written: 1.10 is not 1.1, and a long one is no work."""
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)


def _title(root: Any) -> str | None:
    title = (root.get("title") or root.get("name")) if isinstance(root, dict) else None
    return title if isinstance(title, str) else None


def _written(records: Any, limits: Limits) -> str:
    """Records as blocks of lines. Raises TooLarge as soon as they pass the limit: names repeat on every line."""
    room = limits.characters
    blocks = []
    for record in records:
        lines = []
        for line in _lines(record):
            room -= len(line) + 1
            if room < 0:
                raise too_many_characters(limits.characters)
            lines.append(line)
        if lines:
            blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _lines(record: Any) -> Iterator[str]:
    """A line for each value of a record: its names joined by dots, and the value; a list of plain values is one."""
    todo: list[tuple[str, Any]] = [("", record)]
    while todo:
        name, value = todo.pop()
        if isinstance(value, dict):
            todo += [(f"{name}.{key}" if name else str(key), each) for key, each in reversed(value.items())]
        elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
            todo += [(name, each) for each in reversed(value)]
        else:
            words = _words(value)
            if words:
                yield f"{name}: {words}" if name else words


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(filter(None, map(_words, value)))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value).strip()
