"""Judgements (qrels): how relevant which document is to which query, as BEIR and TREC write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from eval.errors import DatasetError

# By query, by document: 0 or less is not relevant, more is more.
Qrels = Mapping[str, Mapping[str, int]]


def read_qrels(path: Path) -> Qrels:
    """Judgements from a file of `query document grade` (BEIR, tab-separated, with or without a head line) or of
    `query iteration document grade` (TREC).

    Raises DatasetError with the number of the first line that is neither, or that contradicts an earlier one.
    """
    found: dict[str, dict[str, int]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            for number, line in enumerate(file, 1):
                text = line.rstrip("\r\n")
                if not text.strip():
                    continue
                parts = _fields(text)
                if number == 1 and parts and not _is_grade(parts[-1]):
                    continue  # the head line
                if parts is None or not _is_grade(parts[-1]) or not all(parts):
                    raise DatasetError(f"{path} line {number} is no 'query, document, grade' with a whole number last.")
                query, document, grade = parts[0], parts[-2], int(parts[-1])
                if found.setdefault(query, {}).setdefault(document, grade) != grade:
                    raise DatasetError(f"{path} line {number} judges '{document}' for '{query}' again, otherwise.")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from None
    if not found:
        raise DatasetError(f"{path} holds no judgements.")
    return found


def _fields(text: str) -> list[str] | None:
    """Three fields, or TREC's four; names may hold spaces where tabs part the fields."""
    parts = [each.strip() for each in text.split("\t")] if "\t" in text else text.split()
    return parts if len(parts) in {3, 4} else None


def _is_grade(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 9
