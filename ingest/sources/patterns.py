"""Globs with the meaning that .gitignore gives them, matched in time proportional to pattern times path.

Ignore files may come with somebody else's repository, so a pattern that would take for ever is not an option: each part
of a path is matched by a regex without backtracking (fnmatch's, of atomic groups), and `**` by trying on from the last.

Source of the meaning: gitignore(5), "PATTERN FORMAT".
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_PATTERN = 4096  # characters, as a path
_ANY = re.compile("")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line. `segments` are the parts between slashes, None for `**`; one that is not anchored is a single part."""

    segments: tuple[re.Pattern[str] | None, ...]
    anchored: bool
    folders_only: bool
    negated: bool

    def matches(self, parts: Sequence[str], is_folder: bool) -> bool:
        """Whether it names this file or folder. `parts` is the path below the folder that the pattern speaks of."""
        if self.folders_only and not is_folder:
            return False
        if not self.anchored:
            segment = self.segments[0]
            return segment is None or segment.match(parts[-1]) is not None
        return _match(self.segments, parts)

    def leads_to(self, parts: Sequence[str]) -> bool:
        """Whether it may name this folder, or something above or below it."""
        if not self.anchored:
            return True
        for segment, part in zip(self.segments, parts, strict=False):
            if segment is None:
                return True
            if not segment.match(part):
                return False
        return True


def parse(line: str) -> Pattern | None:
    """The pattern of a line; None for a comment, an empty line and what can never match."""
    line = line.rstrip("\r\n")
    line = _without_trailing_spaces(line)
    if not line or line.startswith("#") or len(line) > MAX_PATTERN:
        return None
    negated = line.startswith("!")
    body = line[1:] if negated else line
    folders_only = body.endswith("/")
    body = body[:-1] if folders_only else body
    anchored = "/" in body
    body = body.removeprefix("/")
    if not body or _ends_in_escape(body):
        return None
    segments: list[re.Pattern[str] | None] = []
    for part in body.split("/"):
        if part == "**" and anchored:
            if not segments or segments[-1] is not None:
                segments.append(None)
        else:
            segments.append(re.compile(fnmatch.translate(_unescaped(part))))
    if segments[-1] is None:  # "a/**" is what is in the folder, never the folder itself
        segments.append(_ANY)
    return Pattern(tuple(segments), anchored, folders_only, negated)


def _match(segments: Sequence[re.Pattern[str] | None], parts: Sequence[str]) -> bool:
    at = part = 0
    stars, resume = -1, 0
    while part < len(parts):
        segment = segments[at] if at < len(segments) else _END
        if segment is None:
            stars, resume = at, part
            at += 1
        elif segment is not _END and segment.match(parts[part]):
            at += 1
            part += 1
        elif stars >= 0:
            resume += 1
            at, part = stars + 1, resume
        else:
            return False
    return all(each is None for each in segments[at:])


_END = re.compile(r"(?!)")


def _without_trailing_spaces(line: str) -> str:
    """Less its trailing spaces; one after a backslash stays."""
    bare = line.rstrip(" ")
    return line[: len(bare) + 1] if _ends_in_escape(bare) else bare


def _ends_in_escape(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _unescaped(part: str) -> str:
    """gitignore's escapes and `[^…]` in the spelling of fnmatch, which knows neither."""
    if "\\" not in part and "[^" not in part:
        return part
    made, at = [], 0
    while at < len(part):
        if part[at] == "\\" and at + 1 < len(part):
            escaped = part[at + 1]
            made.append(f"[{escaped}]" if escaped in "*?[" else escaped)
            at += 2
        elif part.startswith("[^", at):
            made.append("[!")
            at += 2
        else:
            made.append(part[at])
            at += 1
    return "".join(made)
