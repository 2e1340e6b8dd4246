"""Source code to the places where a reader would cut it: definitions and blank lines, by indentation alone.

No language is parsed. A line that names a definition opens it, and the next line that is indented no deeper closes it:
right for nearly all code that people indent, and where it is wrong only a heading path is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_DEFINITION = re.compile(
    r"(?:(?:export|default|async|public|private|protected|internal|static|final|abstract|override|sealed|partial|open"
    r"|data|inline|unsafe|pub|pub\([a-z]{1,10}\)|extern|const|virtual)[ \t]{1,4}){0,6}"
    r"(?:class|def|function|func|fun|fn|interface|struct|enum|trait|impl|module|namespace|object|record|protocol)"
    r"\b\*?[ \t]{1,4}(?:\([^()\n]{0,80}\)[ \t]{0,4})?(?P<name>[A-Za-z_$][\w$]{0,79}(?:(?:\.|::)[\w$]{1,40}){0,4})"
)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
# What stands right above a definition and belongs to it: decorators, attributes, comments.
_ABOVE = ("@", "#", "//", "/*", "*", "--", ";;")
# A bracket that closes (or, on a line of its own, opens) a body is still part of the definition.
_BRACKETS = ("}", ")", "]", "{", "end")
_LONGEST_LINE = 400
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Part:
    """Lines without a blank one between them, and the definitions around them from the outermost in."""

    start: int
    end: int
    path: tuple[str, ...]


def parts(text: str) -> Iterator[Part]:
    """The parts of a program in order. Blank lines belong to none."""
    opened: list[tuple[int, str]] = []
    start = end = above = -1
    path: tuple[str, ...] = ()
    for match in _LINE.finditer(text):
        line = match.group()[:_LONGEST_LINE].rstrip()
        words = line.lstrip()
        if not words:
            if match.group().isspace():
                if start >= 0:
                    yield Part(start, end, path)
                start = above = -1
                continue
            words = "…"  # a line that only begins with very much white space
        found = _DEFINITION.match(words)
        if found or not words.startswith(_BRACKETS):
            indent = len(line.expandtabs(4)) - len(words)
            while opened and opened[-1][0] >= indent:
                opened.pop()
            if found and len(opened) < _DEEPEST:
                opened.append((indent, found["name"]))
        now = tuple(name for _, name in opened)
        if start >= 0 and now != path:
            cut = above if found and above >= 0 else match.start()
            if cut > start:
                yield Part(start, cut, path)
            start = cut
        elif start < 0:
            start = match.start()
        path, end = now, match.end()
        above = (above if above >= 0 else match.start()) if words.startswith(_ABOVE) else -1
    if start >= 0:
        yield Part(start, end, path)
