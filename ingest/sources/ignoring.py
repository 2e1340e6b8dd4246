"""Ignore files (`.librarianignore`, and in a git repository `.gitignore`): what in a folder is not to be listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.sources.patterns import Pattern, parse
from ingest.sources.reading import read_file

IGNORE_FILE = ".librarianignore"
GIT_IGNORE_FILE = ".gitignore"
_MAX_BYTES = 1024 * 1024
_MAX_PATTERNS = 10_000


@dataclass(frozen=True, slots=True)
class Rules:
    """The patterns of one ignore file, which speak of what lies below the first `depth` parts of a path."""

    depth: int
    patterns: tuple[Pattern, ...]

    def ignores(self, parts: Sequence[str], is_folder: bool) -> bool | None:
        """Whether the last pattern that names it ignores or keeps it; None where none names it."""
        below = parts[self.depth :]
        for pattern in reversed(self.patterns):
            if pattern.matches(below, is_folder):
                return not pattern.negated
        return None


def ignored(rules: Sequence[Rules], parts: Sequence[str], is_folder: bool) -> bool:
    """Whether a file or folder is ignored: the file nearest to it decides. `rules` are from the outermost in."""
    for each in reversed(rules):
        verdict = each.ignores(parts, is_folder)
        if verdict is not None:
            return verdict
    return False


def read_rules(file: str, depth: int) -> Rules:
    """The rules of an ignore file. Raises SourceError where it cannot be read."""
    text = read_file(file, _MAX_BYTES).decode("utf-8-sig", "surrogateescape")
    patterns = [each for each in map(parse, text.split("\n")[:_MAX_PATTERNS]) if each]
    return Rules(depth, tuple(patterns))


def rules_above(root: str) -> list[Rules]:
    """The rules that a git repository has for one of its folders, unless they ignore that folder itself.

    Who names an ignored folder wants it.
    """
    path = Path(root)
    top = next((each for each in path.parents if (each / ".git").exists()), None)
    if top is None or (path / ".git").exists():
        return []
    rules: list[Rules] = []
    parts = path.parts[1:]
    for depth in range(len(top.parts) - 1, len(parts)):
        folder = Path("/", *parts[:depth])
        file = folder / GIT_IGNORE_FILE
        if file.is_file():
            rules.append(read_rules(str(file), depth))
        if ignored(rules, parts[: depth + 1], True):
            return []
    return rules


def in_repository(root: str) -> bool:
    """Whether the folder is (part of) a git repository's working tree."""
    path = Path(root)
    return any((each / ".git").exists() for each in (path, *path.parents))
