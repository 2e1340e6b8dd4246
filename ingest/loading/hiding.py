"""What an element's own style hides from a reader: words there may be meant for a model alone.

Only what stands on the element is read. What a style sheet hides is not known here, and neither is what a script shows
later: `opacity: 0` and collapsed boxes are how pages fade in what everybody reads, so they count as seen.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

_ESCAPE = re.compile(r"\\([0-9a-fA-F]{1,6})\s?")
_NEVER_SHOWN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|clip\s*:\s*rect\(\s*[01](?:px)?\b"
    r"|(?<![\w-])(?:left|top|text-indent)\s*:\s*-\d{3,}(?:\.\d+)?(?:px|em|rem)",
    re.IGNORECASE,
)
_SIZE_ZERO = re.compile(r"font-size\s*:\s*[0.]+\s{0,9}(?:(?:px|pt|r?em|%)\s{0,9})?(?:[!;]|$)", re.IGNORECASE)
_COLOUR = re.compile(r"(?<![\w-])color\s*:\s*([^;!]{1,60})", re.IGNORECASE)
_BACKGROUND = re.compile(r"(?<![\w-])background(?:-color)?\s*:\s*([^;!]{1,60})", re.IGNORECASE)
_WHITES = frozenset({"white", "#fff", "#ffff", "#ffffff", "#ffffffff", "rgb(255,255,255)", "hsl(0,0%,100%)"})
_AROUND = 12  # elements around one that are asked for a background
_WITHIN = 40  # elements within one that are asked for a size of their own


def is_hidden(element: Any) -> bool:
    """Whether the style on the element hides all of its text: not shown, off the page, without size, or in the colour
    of what is behind it."""
    style = _plain(element.get("style") or "")
    if style and _NEVER_SHOWN.search(style):
        return True
    if style and _SIZE_ZERO.search(style):  # mails put it around cells, whose text then has a size of its own
        return not any("font" in (each.get("style") or "").lower() for each in islice(element.iter("*"), 1, _WITHIN))
    said = _COLOUR.search(style) if style else None
    colour = _value(said[1] if said else element.get("color") or "")
    return bool(colour) and _is_invisible(colour, element, style)


def style_hides(style: str) -> bool:
    """As `is_hidden`, for a style whose element and surroundings are not known."""
    style = _plain(style)
    colour, behind = _COLOUR.search(style), _BACKGROUND.search(style)
    shown, under = _value(colour[1]) if colour else "", _value(behind[1]) if behind else "white"
    alike = shown == under or (shown in _WHITES and under in _WHITES) or (shown == "transparent" and not behind)
    return bool(_NEVER_SHOWN.search(style) or _SIZE_ZERO.search(style)) or (bool(colour) and alike)


def _is_invisible(colour: str, element: Any, style: str) -> bool:
    behind = _BACKGROUND.search(style)
    if colour == "transparent":
        return behind is None  # a gradient shows through letters cut out of it
    if behind:
        return _value(behind[1]) == colour
    return colour in _WHITES and not _may_be_dark(element)


def _may_be_dark(element: Any) -> bool:
    """Whether something around it may set a background: a class may."""
    for place, each in enumerate((element, *islice(element.iterancestors(), _AROUND))):
        said = _BACKGROUND.search(_plain(each.get("style") or ""))
        if each.get("class") or (said and _value(said[1]) not in _WHITES):
            return True
        if _value(each.get("bgcolor") or "white") not in _WHITES or each.get("background"):
            return True
        if place == _AROUND:
            return True
    return False


def _plain(style: str) -> str:
    """The style without what CSS reads over: comments, and letters written as their numbers."""
    seen, *commented = style.split("/*")  # not by a pattern: time in proportion to the text, whatever the text is
    style = seen + "".join(each.partition("*/")[2] for each in commented)
    return _ESCAPE.sub(lambda match: _letter(int(match[1], 16)), style) if "\\" in style else style


def _letter(number: int) -> str:
    return chr(number) if 0 < number < 128 else "?"


def _value(words: str) -> str:
    return "".join(words.split()).lower()
