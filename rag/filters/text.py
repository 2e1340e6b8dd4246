"""A filter as a short text, for the terminal: `team=infra and (year>=2024 or not exists draft)`.

    either     = both {"or" both}
    both       = one {"and" one}
    one        = "not" one | "(" either ")" | "exists" NAME | NAME comparison
    comparison = ("=" | "!=" | ">" | ">=" | "<" | "<=") VALUE | ["not"] "in" "(" VALUE {"," VALUE} ")"

Names and values are words, or stand in single or double quotes; a quotation mark within them is written \\" or \\', a
backslash \\\\. The words and, or, not, in, exists are names only in quotes. `!=` is `not` of `=`: true where the field
is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.errors import BadInput
from rag.filters.terms import MAX_DEPTH, MAX_VALUES, And, Equals, Exists, Filter, In, Not, Or, Range, check_limits

MAX_TEXT = 10_000

_KEYWORDS = frozenset({"and", "or", "not", "in", "exists"})
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
# Alternatives that begin differently, each repeating one class of characters: time is linear in the text.
_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<sign><=|>=|!=|[=<>(),])|(?P<quoted>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')"""
    r"""|(?P<word>[^\s=<>!(),"']+)""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def from_text(text: str) -> Filter:
    """The filter that a text describes. Raises BadInput, naming the character, for one that is none."""
    if len(text) > MAX_TEXT:
        raise BadInput(f"the filter has {len(text)} characters; {MAX_TEXT} is the limit.")
    return check_limits(_Reader(text).whole())


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def keyword(self) -> str:
        return self.text if self.kind == "word" and self.text in _KEYWORDS else ""

    @property
    def sign(self) -> str:
        return self.text if self.kind == "sign" else ""


class _Reader:
    """Reads a text from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._place = 0

    def whole(self) -> Filter:
        found = self._either(1)
        if self._next.kind != "end":
            raise self._wrong("'and', 'or' or the end", self._next)
        return found

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self) -> _Token:
        token = self._next
        self._place += token.kind != "end"
        return token

    def _takes(self, *words: str) -> bool:
        """Take the next token if it is one of these keywords or signs."""
        if (self._next.keyword or self._next.sign) in words:
            self._place += 1
            return True
        return False

    def _either(self, depth: int) -> Filter:
        parts = [self._both(depth)]
        while self._takes("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _both(self, depth: int) -> Filter:
        parts = [self._one(depth)]
        while self._takes("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, depth: int) -> Filter:
        token = self._next
        if depth > MAX_DEPTH:
            raise BadInput(f"the filter has more than {MAX_DEPTH} levels at character {token.at + 1}: make it smaller.")
        if self._takes("not"):
            return Not(self._one(depth + 1))
        if self._takes("("):
            found = self._either(depth + 1)
            self._expect(")")
            return found
        exists = self._takes("exists")
        name = self._take()
        if name.kind not in ("word", "quoted") or name.keyword:
            raise self._wrong("a field's name" if exists else "a field's name, 'not', 'exists' or '('", name)
        try:
            return Exists(name.text) if exists else self._comparison(name.text)
        except _Misread:
            raise
        except BadInput as error:
            raise BadInput(f"the filter is wrong at character {name.at + 1}: {error}") from None

    def _comparison(self, field: str) -> Filter:
        negated = self._takes("not")
        if self._takes("in"):
            found: Filter = In(field, self._list())
            return Not(found) if negated else found
        sign = self._take()
        if negated or sign.sign not in ("=", "!=", *_BOUNDS):
            raise self._wrong("'in'" if negated else "=, !=, >, >=, <, <= or 'in'", sign)
        value = self._value()
        if sign.sign in _BOUNDS:
            return Range(field, **{_BOUNDS[sign.sign]: value})
        return Equals(field, value) if sign.sign == "=" else Not(Equals(field, value))

    def _list(self) -> tuple[str, ...]:
        self._expect("(")
        values = [self._value()]
        while self._takes(","):
            values.append(self._value())
            if len(values) > MAX_VALUES:
                raise BadInput(f"the filter has more than {MAX_VALUES} values: make it smaller.")
        self._expect(")")
        return tuple(values)

    def _value(self) -> str:
        token = self._take()
        if token.kind not in ("word", "quoted"):
            raise self._wrong("a value", token)
        return token.text

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            raise self._wrong(f"'{sign}'", self._next)

    @staticmethod
    def _wrong(expected: str, token: _Token) -> _Misread:
        found = "its end" if token.kind == "end" else repr(token.text[:40])
        return _Misread(f"the filter cannot be read at character {token.at + 1}: expected {expected}, found {found}.")


class _Misread(BadInput):
    """The text is no filter; the message says where."""


def _tokens(text: str) -> list[_Token]:
    found = []
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            left = text[place]
            what = "this quotation mark is never closed" if left in "\"'" else f"{left!r} means nothing here"
            raise BadInput(f"the filter cannot be read at character {place + 1}: {what}.")
        kind = str(token.lastgroup)
        written = token.group()
        if kind != "space":
            found.append(_Token(kind, _ESCAPE.sub(r"\1", written[1:-1]) if kind == "quoted" else written, place))
        place = token.end()
    found.append(_Token("end", "", len(text)))
    return found
