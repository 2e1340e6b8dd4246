"""Citations that a model cannot fake.

An answer streams through `CitationFilter`. Markers of passages that were really supplied stay, in one form (`[2]`);
every other numbered marker is taken out. Where a sentence ends without a marker and its words stand in a supplied
passage, the service adds the marker itself and says so (origin "matched"): small models seldom cite.

A model that obeys a hostile document is reckoned with: a marker is not made the text of a link, and no picture is
written, which a client would fetch from an address that says what the conversation was about.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rag.code_spans import RUN_LENGTH, Code
from rag.prompt import INVISIBLE, neutralise
from rag.schema import Citation, Passage

MATCH_COVERAGE = 0.7
MATCH_WORDS = 4

# A sentence of at least so many characters that comes for the third time: the model is going round in circles.
LOOP_LENGTH = 20
LOOP_TIMES = 3

# Characters of a marker, and of a sentence's end, at most. What is longer is plain text: a model that repeats itself
# must not make the stream stand still, and where the stream is cut must not matter.
MARKER_LENGTH = 80
END_LENGTH = 64

_MARKER = re.compile(r"\[\s*(?:passages?\s+)?(\d{1,9}(?:\s*[,;–-]\s*\d{1,9})*)\s*\]", re.IGNORECASE)
_MARKER_START = re.compile(r"\[\s*(?:p|pa|pas|pass|passa|passag|passages?\s*)?[\d\s,;–-]*", re.IGNORECASE)
_OPEN_MARKER = re.compile(r"\[\s*(?:p|pa|pas|pass|passa|passag|passages?\s*)?[\d\s,;–-]*\Z", re.IGNORECASE)

# Joiners and variation selectors: scripts and emoji need them, so an answer keeps them. Behind ASCII they have no use
# but to hide a marker: "[9" and one more.
_JOINERS = frozenset(map(chr, (0x200C, 0x200D, *range(0xFE00, 0xFE10))))
_NEEDLESS = re.compile("(?<=[\x00-\x7f])[\u200c\u200d\ufe00-\ufe0f]+")
_LETTER = re.compile(r"[^\W\d_]")
_ENDS = ".!?…"
_CLOSERS = "\"'”’)*_`"
_SPECIAL = re.compile(r"[\[.!?…\n`]")
_WORD = re.compile(r"[^\W_]+")
_STOP_WORDS = """
a an and are as at be been but by can could did do does for from had has have how if in into is it its may might must
no nor not of on or should so such than that the their them then there these they this those to was were what when
where which who why will with would you your
i we he she don doesn didn isn aren wasn won s t ll re ve
"""
_STOP = frozenset(_STOP_WORDS.split())


def content_words(text: str) -> frozenset[str]:
    """The words that carry meaning, folded and cut to their first six letters (a crude stem, enough to compare)."""
    words = (match.group().casefold() for match in _WORD.finditer(text))
    return frozenset(word[:6] for word in words if word not in _STOP)


def _marker(text: str) -> re.Match[str] | None:
    return _MARKER.match(text, 0, MARKER_LENGTH)


def _may_become_marker(text: str) -> bool:
    return len(text) < MARKER_LENGTH and _MARKER_START.fullmatch(text) is not None


class CitationFilter:
    """Turns a model's raw stream into shown text; `text` and `citations` are right after `finish`.

    `feed` returns what can be shown now. Only what may yet become a marker, or a sentence's end, is held back.
    `looping` turns true when the same sentence has come three times.
    """

    def __init__(self, passages: Sequence[Passage], question: str = "") -> None:
        self._passages = passages
        self._asked = content_words(question)
        read = [neutralise(f"{each.title} {' '.join(each.heading_path)} {each.text}") for each in passages]
        self._words = [content_words(each) for each in read]  # of what the model was shown
        self._buffer = ""
        self._last = ""  # character of the raw stream that was kept
        self._sentence = ""
        self._sentence_cited = False
        self._code = Code()
        self._kept = False  # a marker's look-alike, in a block of code whose end has not come
        self._heard: Counter[str] = Counter()
        self.looping = False
        self.text = ""
        self.citations: list[Citation] = []

    def feed(self, text: str) -> str:
        """Take a piece of the raw stream and return the text to show, possibly empty."""
        self._buffer += self._visible(text)
        return self._drain(final=False)

    def finish(self) -> str:
        """The stream has ended: the rest of the text to show."""
        shown = self._drain(final=True)
        shown += self._end_sentence()
        return shown + (self._put(self._code.ending()) if self._kept else "")

    def _visible(self, text: str) -> str:
        """The text without characters that hide a marker, turn the direction of an address, or cannot be sent."""
        text = INVISIBLE.sub(lambda match: match[0] if match[0] in _JOINERS else "", text)
        text = _NEEDLESS.sub("", self._last + text)[len(self._last) :]
        self._last = text[-1:] or self._last
        return text

    def _drain(self, final: bool) -> str:
        shown = ""
        while self._buffer:
            special = _SPECIAL.search(self._buffer)
            if special is None:
                shown += self._emit(len(self._buffer))
                break
            shown += self._emit(special.start())
            step = self._special(final)
            if step is None:
                break
            shown += step
        return shown

    def _special(self, final: bool) -> str | None:
        """Deal with the special character at the buffer's start; None where more of the stream must come first."""
        first = self._buffer[0]
        if first == "[":
            return self._bracket(final)
        if first == "\n":
            return self._end_sentence() + self._emit(1)
        if first == "`":
            run = len(self._buffer) - len(self._buffer.lstrip("`"))
            whole = run < len(self._buffer) or final or run >= RUN_LENGTH
            return self._emit(min(run, RUN_LENGTH)) if whole else None
        end = len(self._buffer) - len(self._buffer.lstrip(_ENDS))
        end += len(self._buffer[end:]) - len(self._buffer[end:].lstrip(_CLOSERS))
        rest = self._buffer[end:]
        after = rest.lstrip(" ")
        if len(self._buffer) - len(after) >= END_LENGTH:
            return self._emit(END_LENGTH)
        if not after and not final:
            return None
        if after.startswith("["):  # a marker behind the full stop belongs to the sentence before it
            if not final and _may_become_marker(after):
                return None
            if _marker(after):
                shown = self._emit(end + len(rest) - len(after))
                return shown + (self._bracket(final) or "")
        if rest[:1] in {" ", "\n", "\t", ""}:
            return self._emit(end) + self._end_sentence()
        return self._emit(end)  # "v1.31", "docs.html": no end

    def _bracket(self, final: bool) -> str | None:
        marker = _marker(self._buffer)
        if marker is None:
            if not final and _may_become_marker(self._buffer):
                return None
            return self._emit(1)
        code = self._code.inside(self._buffer, final)
        if code is None:
            return None
        if code:  # args[0] is no citation
            self._kept = True
            return self._emit(1)
        self._buffer = self._buffer[marker.end() :]
        shown = ""
        for number in dict.fromkeys(int(each) for each in re.findall(r"\d+", marker.group(1))):
            if 1 <= number <= len(self._passages):
                shown += self._mark(number, matched=False)
            elif _OPEN_MARKER.search(self.text[-MARKER_LENGTH:]):  # without it, "[[9]7]" would be left as "[7]"
                shown += self._put(f"({number})")
        return shown

    def _emit(self, length: int) -> str:
        text, self._buffer = self._buffer[:length], self._buffer[length:]
        return self._put(self._gap(text) + text)

    def _put(self, text: str) -> str:
        self._sentence += text
        self.text += text
        self._code.take(text)
        return text

    def _gap(self, text: str) -> str:
        """A space, which is all that it takes, where Markdown would make a picture, or a link of a citation.

        Within code too: whether a backtick opens code is not known before the other one comes.
        """
        if text.startswith("[") and self.text.endswith("!"):
            return " "
        if text.startswith("`") and self.text.endswith("`"):  # two runs that a marker stood between stay two
            return " "
        if not self.citations or self.citations[-1].end != len(self.text):
            return ""
        if text.startswith(("(", "[")):
            return " "
        line = re.split(r"[\n\r]", self.text)[-1] if text.startswith(":") else "a"
        return "" if _LETTER.search(line) else " "  # "[1]: address" on a line of its own would make every [1] a link

    def _listen(self) -> None:
        """Notice a model that says the same sentence over and over: small ones do, and would until their limit."""
        said = " ".join(self._sentence.split()).casefold()
        if len(said) >= LOOP_LENGTH:
            self._heard[said] += 1
            self.looping = self.looping or self._heard[said] >= LOOP_TIMES

    def _mark(self, number: int, matched: bool) -> str:
        gap = " " if matched and self.text and not self.text[-1].isspace() else ""
        marker = f"[{number}]"
        start = len(self.text) + len(gap)
        self.text += gap + marker
        self._code.take(gap + marker)
        passage = self._passages[number - 1]
        origin = "matched" if matched else "model"
        self.citations.append(Citation(number, passage.id, start, start + len(marker), origin))  # type: ignore[arg-type]
        self._sentence_cited = True
        return gap + marker

    def _end_sentence(self) -> str:
        words = content_words(self._sentence)
        self._listen()
        cited, self._sentence, self._sentence_cited = self._sentence_cited, "", False
        if cited or len(words) < MATCH_WORDS or words <= self._asked:  # saying the question again claims nothing
            return ""
        coverage = [len(words & each) / len(words) for each in self._words]
        best = max(range(len(coverage)), key=lambda index: coverage[index], default=None)
        if best is None or coverage[best] < MATCH_COVERAGE:
            return ""
        shown = self._mark(best + 1, matched=True)
        self._sentence_cited = False
        return shown
