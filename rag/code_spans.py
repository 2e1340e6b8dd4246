"""Where whoever renders an answer's Markdown sees code, as far as that is beyond doubt.

`args[0]` in code is no citation, and code is shown as code only where its end came. So text counts as code only within
a span that ends on its line, or within a fenced block, and only where CommonMark (0.31, sections 4.5 and 6.1) leaves no
other reading. Where something before it could mean that it is no code, it is text.
"""

from __future__ import annotations

import re

# Characters in which the end of a span must come. Beyond, it is text: a stream does not wait for it.
SPAN_LENGTH = 400
RUN_LENGTH = 64  # backticks that belong together at most

_PARTS = re.compile(r"`+|\n|[^`\n]+")
_HTML = re.compile(r"<[A-Za-z/!?]")
# HTML that an empty line does not end, another kind of fence, and a line end of another kind.
_LASTING = re.compile(r"<(?:pre|script|style|textarea|!|\?)|~~~|\r", re.IGNORECASE)
_LONGEST = len("<textarea") - 1


class Code:
    """Reads an answer as it is written. A run of backticks must come in one piece."""

    def __init__(self) -> None:
        self._line = ""
        self._open = 0  # backticks of the run that opened a span on this line
        self._alone = False  # that run began the line, and no other followed: a fence, if the line ends so
        self._fence: tuple[int, int] | None = None  # its indentation, and how many backticks
        self._doubt = False  # until the paragraph ends: a backtick in it may belong to one before
        self._html = False  # until the paragraph ends: it may be no Markdown at all
        self._lost = False  # for good

    def take(self, text: str) -> None:
        """More of what is shown."""
        for part in _PARTS.findall(text):
            if part == "\n":
                self._end_line()
                continue
            if self._fence is None:
                self._run(part) if part[0] == "`" else self._words(part)
            self._line += part

    def inside(self, rest: str, final: bool) -> bool | None:
        """Whether what comes next stands in code; `rest` is as much of it as there is. None: more must come first."""
        if self._lost:
            return False
        if self._fence is not None:
            return _depth(self._line + rest[:1]) >= self._fence[0]
        if not self._open or self._doubt or self._html:
            return False
        line, newline, _ = rest[:SPAN_LENGTH].partition("\n")
        whole = bool(newline) or len(rest) >= SPAN_LENGTH
        for found in re.finditer(r"`+", line):
            if len(found[0]) == self._open and (found.end() < len(line) or newline or (final and not whole)):
                return True
        return False if whole or final else None

    def ending(self) -> str:
        """What ends the block that the answer's end left open; empty where there is none."""
        if self._fence is None or self._lost or self._closes(self._line):
            return ""
        indent, length = self._fence
        return ("\n" if self._line else "") + " " * indent + "`" * length

    def _words(self, text: str) -> None:
        if self._open:  # if the span never ends, the paragraph is in doubt anyway
            self._lost = self._lost or "\r" in text
            return
        self._lost = self._lost or bool(_LASTING.search(self._line[-_LONGEST:] + text))
        self._html = self._html or bool(_HTML.search(self._line[-1:] + text))

    def _run(self, run: str) -> None:
        if self._open:
            self._alone = False
            if len(run) == self._open:
                self._open = 0
        elif self._line.endswith("\\"):
            self._doubt = True
        else:
            self._open = len(run)
            self._alone = len(run) >= 3 and not self._line.strip(" ")

    def _end_line(self) -> None:
        line = self._line
        if self._fence is not None:
            self._end_line_of_block(line)
        elif self._alone and not self._html and _depth(line) <= 3:
            self._fence, self._doubt = (_depth(line), self._open), False
        elif self._open >= 3:  # a fence behind a list's bullet or a quote mark, or none at all
            self._lost = True
        elif self._open:
            self._doubt = True
        elif not line.strip():
            self._doubt = self._html = False
        self._line, self._open, self._alone = "", 0, False

    def _end_line_of_block(self, line: str) -> None:
        """A block in a list's item ends with the item, another one does not: what may be either is the end of trust."""
        indent, length = self._fence or (0, 0)
        if self._closes(line):
            self._fence = None
        elif line.strip() and (_depth(line) < indent or (indent and line.strip().startswith("`" * length))):
            self._lost = True

    def _closes(self, line: str) -> bool:
        indent, length = self._fence or (0, 0)
        found = re.fullmatch(r" *(`+)[ \t]*", line)
        return found is not None and indent <= _depth(line) <= 3 and len(found[1]) >= length


def _depth(line: str) -> int:
    """How many spaces it begins with."""
    return len(line) - len(line.lstrip(" "))
