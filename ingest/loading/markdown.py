"""Markdown: what the site generators wrap around it is taken off, its code stays as it is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml

from ingest.loading.decoding import decode
from ingest.loading.interface import Limits, Loaded
from ingest.loading.raw_html import element_end, is_hidden_tag
from ingest.loading.titles import facts

# Documents are anybody's: every pattern here takes time in proportion to the text, whatever the text is.
_YAML_HEAD = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TOML_HEAD = re.compile(r"\A\+\+\+[ \t]*\n(.*?)\n\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL)
_MAX_HEAD = 64 * 1024  # characters

# libyaml is many times faster, and overflows the stack of its process on a head that nests some ten thousand times;
# one of so few characters cannot.
_FAST_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SHALLOW_HEAD = 2000
_HEAD_NAME = re.compile(r"\s*(?:#.*\n\s*)*[\w\"'$-]+[ \t]*:|\s*\Z|\s*[{<&!]")
_HEAD_FACTS = {
    "author": "author",
    "authors": "author",
    "date": "date",
    "lastmod": "modified",
    "description": "description",
    "tags": "keywords",
    "keywords": "keywords",
    "categories": "category",
    "category": "category",
    "lang": "language",
    "language": "language",
    "version": "version",
}
_TOKEN = re.compile(
    r"^[ \t>]*(?:[-*+][ \t]+|\d{1,9}[.)][ \t]+)?(?P<fence>`{3,}|~{3,})"
    r"|(?P<ticks>`+)"
    r"|(?P<comment><!--)"
    r"|<(?P<element>[A-Za-z][A-Za-z0-9-]{0,20})(?P<said>(?=[\s>])[^<>]{0,2000})>"
    r"|\{\{[<%](?P<call>[^{}]*)[>%]\}\}"
    r"|(?P<anchor>(?<![ \t])[ \t]*\{(?:#[\w:.-]+|:[^{}\n]*)\}[ \t]*$)"
    r"|(?P<snippet>^[ \t]*-{1,4}8<-{1,4}(?:[ \t].*)?$\n?)",
    re.MULTILINE,
)
_CALL = re.compile(r"\{\{[<%](?P<call>[^{}]*)[>%]\}\}")
_CALL_TEXT = re.compile(r"""\btext=(?:"([^"]*)"|'([^']*)')""")
_BOXED = re.compile(r"""^(?:!!!|\?\?\?\+?|={3}[!+]?)[ \t]+(?:([\w-]+)[\w \t-]*?)?(?:"([^"]*)")?[ \t]*$""")
_COLONS = re.compile(r"^:::+[ \t]*(?:\{?([\w-]+)\}?)?[ \t]*(.*)$")
_FENCE = re.compile(r"^[ \t>]*(?:[-*+][ \t]+|\d{1,9}[.)][ \t]+)?(`{3,}|~{3,})")
_HEADING = re.compile(
    r"^[ \t>]*(?P<fence>`{3,}|~{3,})|^#[ \t]+(?P<atx>\S.*)$|^(?P<setext>\S.*)\n=+[ \t]*$", re.MULTILINE
)
_BOX_LINE = 500  # characters of a line that opens a box at most
_CODE_SPAN = 1000  # characters of a code span at most; it also ends with its line


def load_markdown(data: bytes, name: str, limits: Limits) -> Loaded:
    """Front matter becomes title and metadata; comments, shortcodes and anchors go, except within code."""
    text = decode(data)
    title, metadata, text = _split_head(text)
    text = _plain_boxes(_undressed(text))
    return Loaded(text, title or _first_heading(text), "markdown", metadata=metadata)


def _split_head(text: str) -> tuple[str | None, dict[str, str], str]:
    """Title, metadata and the body. A line of dashes over plain text is a rule, not a head."""
    head = _YAML_HEAD.match(text[:_MAX_HEAD])
    if head and _HEAD_NAME.match(head.group(1)):
        pairs = dict(_yaml_pairs(head.group(1)))
    elif head := _TOML_HEAD.match(text[:_MAX_HEAD]):
        pairs = dict(_toml_pairs(head.group(1)))
    else:
        return None, {}, text
    known = ((_HEAD_FACTS[key], value) for key, value in pairs.items() if key in _HEAD_FACTS)
    return pairs.get("title"), facts(known), text[head.end() :]


def _yaml_pairs(head: str) -> Iterator[tuple[str, str]]:
    root = _composed(head, _FAST_YAML) if len(head) <= _SHALLOW_HEAD else None
    if root is None:  # what libyaml refuses (escaped surrogates), the slower one may take
        root = _composed(head, yaml.SafeLoader)
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):
            continue
        parts = value.value if isinstance(value, yaml.SequenceNode) and key.value != "title" else [value]
        words = [each.value for each in parts if isinstance(each, yaml.ScalarNode) and not each.tag.endswith(":null")]
        if words:
            yield key.value, ", ".join(words)


def _composed(head: str, loader: Any) -> yaml.Node | None:
    """Composed, not constructed: aliases and merge keys are not followed, so they cannot multiply."""
    try:
        return yaml.compose(head, Loader=loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):  # the body can be read all the same
        return None


def _toml_pairs(head: str) -> Iterator[tuple[str, str]]:
    try:
        root = tomllib.loads(head)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return
    for key, value in root.items():
        parts = value if isinstance(value, list) and key != "title" else [value]
        words = [str(each) for each in parts if not isinstance(each, dict | list)]
        if words:
            yield key, ", ".join(words)


def _undressed(text: str) -> str:
    """The text without comments, hidden elements, shortcodes, anchors and includes.

    In code only shortcodes that stand for a text go.
    """
    kept, position, no_more_comments, unclosed = [], 0, False, set[str]()
    while match := _TOKEN.search(text, position):
        kept.append(text[position : match.start()])
        position = match.end()
        if match["fence"]:
            position = _fence_end(text, match)
            kept.append(_CALL.sub(_called_in_code, text[match.start() : position]))
        elif match["ticks"]:
            position = _span_end(text, match)
            kept.append(_CALL.sub(_called, text[match.start() : position]))
        elif match["comment"]:
            end = -1 if no_more_comments else text.find("-->", position)
            no_more_comments = end < 0  # looked for once only: the rest has none
            if end < 0:
                kept.append(match[0])
            else:
                position = end + 3
        elif match["element"]:
            name, end = match["element"].lower(), -1
            if name not in unclosed and is_hidden_tag(name, match["said"]):
                end = element_end(text, name, position)
                unclosed |= {name} if end < 0 else set()  # looked for once only
            if end < 0:
                kept.append(match[0])
            else:
                position = end
        elif match["call"] is not None:
            kept.append(_called(match))
    return "".join([*kept, text[position:]])


def _fence_end(text: str, match: re.Match[str]) -> int:
    """Where the fenced code that starts here ends: at its closing fence, else with the text."""
    mark = match["fence"]
    line_end = text.find("\n", match.end())
    if line_end < 0 or (mark[0] == "`" and "`" in text[match.end() : line_end]):  # code on one line is a span
        return match.end() if line_end < 0 else line_end
    close = re.compile(rf"^[ \t>]*{mark}{mark[0]}*[ \t]*$", re.MULTILINE).search(text, line_end)
    return close.end() if close else len(text)


def _span_end(text: str, match: re.Match[str]) -> int:
    """Where the code span that starts with these backticks ends; right behind them where none does."""
    line_end = text.find("\n", match.end(), match.end() + _CODE_SPAN)
    close = text.find(match["ticks"], match.end(), line_end if line_end >= 0 else match.end() + _CODE_SPAN)
    return close + len(match["ticks"]) if close >= 0 else match.end()


def _called_in_code(match: re.Match[str]) -> str:
    """Hugo resolves shortcodes in code too; one without a text may as well be what the code is about."""
    call = match["call"].strip()
    return _called(match) if _CALL_TEXT.search(call) or call.startswith("/*") else match[0]


def _called(match: re.Match[str]) -> str:
    """Hugo's shortcodes: one with a text is that text, a section heading is its words, any other is dropped."""
    call = match["call"].strip()
    if call.startswith("/*") and call.endswith("*/"):  # so a page about shortcodes writes them
        return f"{match[0][:3]} {call[2:-2].strip()} {match[0][-3:]}"
    name, _, arguments = call.partition(" ")
    text = _CALL_TEXT.search(arguments)
    if text:
        return text.group(1) or text.group(2) or ""
    if name == "heading":
        return arguments.strip().strip("\"'").replace("whatsnext", "What's next").capitalize()
    return ""


def _plain_boxes(text: str) -> str:
    """Admonitions and tabs as MkDocs and Docusaurus write them: a bold title, and their text not indented."""
    if "!!!" not in text and "???" not in text and "===" not in text and ":::" not in text:
        return text
    lines, boxes, fence = [], list[int](), ""
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        while boxes and line.strip() and indent < boxes[-1] + 4:
            boxes.pop()
        line = line[min(indent, 4 * len(boxes)) :] if line.strip() else ""
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        title = None if fence else _box_title(line.lstrip(" "))
        if title is None:
            lines.append(line)
            continue
        if not line.lstrip(" ").startswith(":::"):
            boxes.append(indent)
        lines.extend([f"**{title}**", ""] if title else [""])
    return "\n".join(lines)


def _box_title(line: str) -> str | None:
    """The title of the box that the line opens, "" for one without (or that it closes), None for any other line."""
    if len(line) > _BOX_LINE:
        return None
    if line.startswith(("!!!", "???", "===")):
        box = _BOXED.match(line)
        if not box or (box[2] is None and (line.startswith("=") or not box[1])):
            return None
        return box[2] if box[2] is not None else box[1].capitalize()
    colons = _COLONS.match(line) if line.startswith(":::") else None
    return None if not colons else colons[2].strip("[] ") or (colons[1] or "").capitalize()


def _first_heading(text: str) -> str | None:
    """The words of the first heading of level 1; a comment in a code fence is none."""
    position = 0
    while match := _HEADING.search(text, position):
        if not match["fence"]:
            return (match["atx"] or match["setext"]).rstrip().rstrip("#")
        position = max(_fence_end(text, match), match.end())
    return None
