"""Which part of a source is asked for: `--include`, `--exclude`, and a glob given as SOURCE.

Unlike an ignore file, which says what a folder's documents are, these narrow what a run is about: what they leave out
is not the source's, so it is never deleted for being gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.sources.patterns import Pattern, parse
from rag.errors import BadInput


@dataclass(frozen=True, slots=True)
class Filter:
    """Of each group in `groups` one pattern must name a file or a folder above it; none of `exclude` may."""

    groups: tuple[tuple[Pattern, ...], ...] = ()
    exclude: tuple[Pattern, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it lets everything through."""
        return not self.groups and not self.exclude

    def admits(self, parts: Sequence[str]) -> bool:
        """Whether a document is asked for. `parts` is its path below the source's root."""
        return not _names(self.exclude, parts) and all(_names(group, parts) for group in self.groups)

    def enters(self, parts: Sequence[str]) -> bool:
        """Whether a folder may hold something that is asked for."""
        return not any(each.matches(parts, True) for each in self.exclude) and all(
            any(each.leads_to(parts) for each in group) for group in self.groups
        )


def make_filter(include: Sequence[str], exclude: Sequence[str], glob: str | None = None) -> Filter:
    """Patterns as in .gitignore; `glob` is always from the root. Raises BadInput for one that can match nothing."""
    groups = [tuple(_pattern(each) for each in include)] if include else []
    if glob is not None:
        groups.append((_pattern("/" + glob),))
    return Filter(tuple(groups), tuple(_pattern(each) for each in exclude))


def _pattern(text: str) -> Pattern:
    pattern = parse(text)
    if pattern is None or pattern.negated:
        raise BadInput(f"'{text}' is no pattern of files: write one as *.md or drafts/**.")
    return pattern


def _names(patterns: Sequence[Pattern], parts: Sequence[str]) -> bool:
    """Whether one of them names the file or a folder that it lies in."""
    count = len(parts)
    return any(each.matches(parts[:length], length < count) for each in patterns for length in range(1, count + 1))
