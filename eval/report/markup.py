"""HTML and SVG from plain functions: whatever is not markup already is escaped, so nothing can be forgotten."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from html import escape

# What would not be seen, or would turn or hide what stands beside it: controls, marks of direction, spaces without
# width, separators, tags, and halves of surrogate pairs, which no file can hold. Joiners, which scripts and emoji
# need, stay as they are.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_VOID = frozenset({"meta", "br", "hr", "col"})


class Html(str):
    """Markup that may go onto a page as it is. Whatever is made of it with `str`'s own methods is plain text again."""

    __slots__ = ()


Child = str | None


def text(value: str) -> Html:
    """A text as markup. Characters that would not be seen are shown by their numbers, as in ⟨U+202E⟩."""
    return Html(_UNSEEN.sub(_shown, escape(value)))


def plain(value: str) -> str:
    """The same for an attribute or an SVG title: no markup within it."""
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", value)


def element(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """An element. A child that is no `Html` is escaped; None is left out.

    Attributes: `class_` is `class`, `aria_label` is `aria-label`; None and False are left out, True stands alone.
    """
    head = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{head}>")
    return Html(f"<{head}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Children one after the other."""
    return Html("".join(each if isinstance(each, Html) else text(each) for each in children if each is not None))


def short(value: str, limit: int) -> str:
    """A text of at most `limit` characters, its white space folded; `…` at its end says that more follows."""
    folded = " ".join(value[: 4 * limit].split())
    return folded if len(folded) <= limit and len(value) <= 4 * limit else folded[: limit - 1].rstrip() + "…"


def number(value: float) -> str:
    """A coordinate: two decimals, no more than are needed."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    shown = value if isinstance(value, str) else number(value)
    return f' {name}="{escape(plain(shown))}"'


def _shown(match: re.Match[str]) -> str:
    code = f"U+{ord(match[0]):04X}"
    meaning = escape(unicodedata.name(match[0], "control character"))
    return f'<span class="unseen" title="{meaning}">⟨{code}⟩</span>'
