"""An HTML tree as Markdown, in one pass over it that neither depth nor breadth slows down."""

from __future__ import annotations

import re
from typing import Any

from ingest.loading.hiding import is_hidden
from ingest.loading.markup import long_table

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset((
    "address", "article", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "header", "hgroup", "hr", "html", "legend", "li", "main", "ol",
    "p", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
_MARKS = {"b": "**", "strong": "**", "i": "*", "em": "*", "code": "`", "kbd": "`", "samp": "`", "dt": "**"}
_UNSEEN = frozenset((
    "script", "style", "noscript", "template", "nav", "aside", "form", "svg", "head", "iframe", "object", "embed",
    "canvas", "video", "audio", "select", "button", "input", "textarea", "dialog", "link", "meta", "map", "area",
))  # fmt: skip
_AROUND = frozenset({"header", "footer"})  # of the page; those of an article belong to it
_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "menu", "menubar"})
_CLASSES = frozenset((
    "breadcrumb", "breadcrumbs", "catlinks", "cookie-banner", "cookie-consent", "headerlink", "hash-link",
    "mw-editsection", "navbar", "navbox", "noprint", "reference", "sidebar", "skip-link", "sr-only",
    "visually-hidden",
))  # fmt: skip
_LANGUAGE = re.compile(r"\b(?:language|lang|highlight-source)-([\w+#]{1,20})")
_SPACES = re.compile(r"[ \t\n\r\f\v\u00a0]+")
_MAX_NESTED = 12  # levels of lists, quotations and emphasis that are written
_MAX_SPAN = 100  # columns or rows that one cell may span
_LAYOUT_CELL = 600  # characters of a cell on average from which a table is a page's layout


def tag_of(element: Any) -> str:
    """The element's name in lower case, "" for what is none."""
    return element.tag.lower() if isinstance(element.tag, str) else ""


def is_unseen(element: Any, inside: bool) -> bool:
    """Whether a reader of the content does not see it; `inside` a main part, headers and footers belong to it."""
    tag = tag_of(element)
    if tag in _UNSEEN or (tag in _AROUND and not inside) or not tag:
        return True
    if element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    if (element.get("role") or "").lower() in _ROLES or is_hidden(element):
        return True
    return not _CLASSES.isdisjoint((element.get("class") or "")[:1000].lower().split())


class HtmlWriter:
    """Writes one tree; make one for each."""

    def __init__(self) -> None:
        self._blocks: list[tuple[str, bool]] = []  # a block, and whether it follows the one before without a gap
        self._inline: list[list[str]] = [[]]  # text of the open paragraph: one list for each open emphasis
        self._lists: list[int | None] = []  # of each open list the number of its next item, None without numbers
        self._bullet = ""  # of an item whose first block is not written yet
        self._quotes = 0
        self._heading = 0

    def written(self, root: Any) -> str:
        """The Markdown of the element `root`, ending in a newline."""
        from lxml import etree

        inside = tag_of(root) in {"main", "article"} or root.get("role") == "main"
        articles = headers = 0
        walk = etree.iterwalk(root, events=("start", "end"))
        skipped: Any = None
        for event, element in walk:
            tag = tag_of(element)
            if event == "start":
                menu = headers > 0 and tag in {"ul", "ol"}  # of languages, of ways to share
                if element is not root and (menu or is_unseen(element, inside or articles > 0)):
                    skipped = element
                    walk.skip_subtree()
                    continue
                articles += tag in {"article", "main"}
                headers += tag == "header"
                if self._whole(element, tag):
                    skipped = element
                    walk.skip_subtree()
                    continue
                self._open(tag)
                self._add(element.text)
            elif element is skipped:
                skipped = None
                self._add(element.tail)
            else:
                articles -= tag in {"article", "main"}
                headers -= tag == "header"
                self._close(tag)
                if element is not root:
                    self._add(element.tail)
        self._flush()
        parts = [part for text, tight in self._blocks for part in ("\n" if tight else "\n\n", text)]
        return "".join(parts).strip("\n") + "\n" if parts else ""

    def _whole(self, element: Any, tag: str) -> bool:
        """Writes an element that is a block as a whole: code, a table, a formula."""
        if tag == "pre":
            self._flush()
            code = _shown_text(element).strip("\n")
            if code.strip():
                said = _LANGUAGE.search(
                    " ".join([element.get("class") or "", *(c.get("class") or "" for c in element)])
                )
                self._block(_fenced(code, said[1] if said else ""))
            return True
        if tag == "math":
            self._add(element.get("alttext"))
            return True
        if tag == "table" and (rows := _rows(element)):
            self._flush()
            for caption in element.iterchildren("caption"):
                self._block(_flat(_shown_text(caption)))
            for block in long_table(rows):
                self._block(block)
            return True
        return False

    def _open(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._flush()
            self._heading = _HEADINGS[tag]
        elif tag in _BLOCKS:
            self._flush()
            self._open_block(tag)
        elif tag == "br":
            self._inline[-1].append("\n")
        if tag in _MARKS and len(self._inline) <= _MAX_NESTED:
            self._inline.append([])

    def _open_block(self, tag: str) -> None:
        if tag in {"ul", "ol"}:
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            number = self._lists[-1] if self._lists else None
            self._bullet = "- " if number is None else f"{number}. "
            if number is not None:
                self._lists[-1] = number + 1
        elif tag == "blockquote":
            self._quotes += 1

    def _close(self, tag: str) -> None:
        if tag in _MARKS and len(self._inline) > 1:
            words = "".join(self._inline.pop())
            self._inline[-1].append(_marked(words, _MARKS[tag]) if not self._heading else words)
        if tag in _HEADINGS or tag in _BLOCKS:
            self._flush()
        if tag in _HEADINGS:
            self._heading = 0
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
        elif tag == "li":
            self._bullet = ""
        elif tag == "blockquote":
            self._quotes -= 1

    def _add(self, text: str | None) -> None:
        if text:
            self._inline[-1].append(_SPACES.sub(" ", text))

    def _flush(self) -> None:
        """Ends the open paragraph. Emphasis that it is open in ends with it."""
        words = "".join(part for level in self._inline for part in level)
        for level in self._inline:
            level.clear()
        lines = [" ".join(line.split()) for line in words.split("\n")] if words.strip() else []
        text = "\n".join(line for line in lines if line)
        if not text:
            return
        if self._heading:
            self._block(f"{'#' * self._heading} {' '.join(text.split())}")
        else:
            self._block("\\" + text if text.startswith("#") else text)

    def _block(self, text: str) -> None:
        depth = min(len(self._lists), _MAX_NESTED)
        tight = False
        if depth:
            indent = "  " * (depth - 1)
            tight = bool(self._bullet) and bool(self._blocks) and self._blocks[-1][0].lstrip("> ")[:1] in "-0123456789"
            first = indent + (self._bullet or "  ")
            text = first + text.replace("\n", f"\n{indent}  ")
            self._bullet = ""
        if self._quotes:
            mark = "> " * min(self._quotes, _MAX_NESTED)
            text = mark + text.replace("\n", f"\n{mark}")
        self._blocks.append((text, tight))


def _marked(words: str, mark: str) -> str:
    """The words in their mark, spaces outside; as they are where there is nothing to mark."""
    core = words.strip()
    if not core or "\n" in core or mark in core:
        return words
    start = words.index(core)
    return f"{words[:start]}{mark}{core}{mark}{words[start + len(core) :]}"


def _rows(table: Any) -> list[list[str]] | None:
    """A table's cells as text, a cell over several rows in each of them; None for a table that lays out a page."""
    if table.find(".//table") is not None:
        return None
    rows: list[list[str]] = []
    below: dict[int, tuple[int, str]] = {}  # by column: for how many more rows a cell above goes on
    for row in table.iter("tr"):
        line: list[str] = []
        if _is_hidden_row(row, table):
            continue
        for cell in row.iterchildren("td", "th"):
            _fill(line, below)
            words = "" if is_unseen(cell, inside=True) else _cell(cell)
            rowspan, colspan = _span(cell, "rowspan"), _span(cell, "colspan")
            if rowspan > 1:
                below[len(line)] = (rowspan - 1, words)
            line += [words, *[""] * (colspan - 1)]
        _fill(line, below)
        if any(line):
            rows.append(line)
    cells = [cell for row in rows for cell in row if cell]
    if not cells or max(map(len, rows)) < 2 or sum(map(len, cells)) / len(cells) > _LAYOUT_CELL:
        return None
    return rows


def _is_hidden_row(row: Any, table: Any) -> bool:
    group = row.getparent()
    return is_unseen(row, inside=True) or (group is not table and is_unseen(group, inside=True))


def _shown_text(element: Any) -> str:
    """All text of the element that a reader sees, as it stands."""
    from lxml import etree

    words = [element.text or ""]
    walk = etree.iterwalk(element, events=("start", "end"))
    for event, each in walk:
        if each is element:
            continue
        if event == "end":
            words.append(each.tail or "")
        elif is_unseen(each, inside=True):
            walk.skip_subtree()
        else:
            words.append(each.text or "")
    return "".join(words)


def _fill(line: list[str], below: dict[int, tuple[int, str]]) -> None:
    """Adds the cells of rows above that go on at the line's end."""
    while len(line) in below:
        place = len(line)
        left, words = below.pop(place)
        if left > 1:
            below[place] = (left - 1, words)
        line.append(words)


def _cell(cell: Any) -> str:
    if len(cell) == 0:
        return _flat(cell.text or "")
    from lxml import etree

    words = [cell.text or ""]
    walk = etree.iterwalk(cell, events=("start", "end"))
    for event, element in walk:
        if element is cell:
            continue
        if event == "end":
            words.append(element.tail or "")
        elif is_unseen(element, inside=True):
            walk.skip_subtree()
        else:
            words += [" " if tag_of(element) in _BLOCKS or tag_of(element) == "br" else "", element.text or ""]
    return _flat("".join(words))


def _span(cell: Any, name: str) -> int:
    said = (cell.get(name) or "1").strip()
    return min(int(said), _MAX_SPAN) if said.isdecimal() and 0 < len(said) < 6 and int(said) else 1


def _fenced(code: str, language: str) -> str:
    fence = "```"
    while fence in code and len(fence) < 20:
        fence += "`"
    return f"{fence}{language}\n{code}\n{fence}"


def _flat(text: str) -> str:
    return " ".join(text.split())
