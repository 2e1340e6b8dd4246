"""HTML elements within Markdown that a reader of the rendered page does not see."""

from __future__ import annotations

import re

from ingest.loading.hiding import style_hides

_NO_CONTENT = frozenset({"script", "style", "template", "noscript"})
_STYLE = re.compile(r"""\bstyle\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_HIDDEN = re.compile(r"""(?<![\w-])hidden(?![\w-])|aria-hidden\s{0,9}=\s{0,9}["']?true""", re.IGNORECASE)
_QUOTED = re.compile(r"""(?<!hidden=)"[^"]*"|(?<!hidden=)'[^']*'""")


def is_hidden_tag(name: str, attributes: str) -> bool:
    """Whether a tag of that name, with what else stands in it, opens an element that is not shown."""
    if name.lower() in _NO_CONTENT:
        return True
    if not attributes.strip():
        return False
    style = _STYLE.search(attributes)
    if style and style_hides(style[1] or style[2] or style[3] or ""):
        return True
    return _HIDDEN.search(_QUOTED.sub("", attributes)) is not None


def element_end(text: str, name: str, position: int) -> int:
    """Where the element ends whose opening tag ends at `position`, those of its name within it counted; -1 if never."""
    depth = 1
    for tag in re.compile(rf"<(/?){name}(?=[\s>/])[^<>]{{0,2000}}>", re.IGNORECASE).finditer(text, position):
        depth += -1 if tag[1] else 1
        if not depth:
            return tag.end()
    return -1
