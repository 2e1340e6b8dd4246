"""XML: feeds as their entries, any other document as its values under the names that lead to them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ingest.loading.errors import Damaged, too_many_characters
from ingest.loading.interface import Limits, Loaded
from ingest.loading.web import html_to_markdown

_TITLES = {"title", "name"}
_BODIES = ("encoded", "content", "description", "summary")
_FACTS = ("pubDate", "published", "updated", "date", "author", "creator", "category")
_MAX_ATTRIBUTES = 1000  # of an element; each is looked up among those before it
_MAX_NAMES = 6  # of the elements that lead to a value


def load_xml(data: bytes, name: str, limits: Limits) -> Loaded:
    """Entities, DTDs and anything outside the file are not followed."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Damaged(f"it is no well-formed XML ({' '.join(str(error).split())[:120]}).") from None
    if root is None:
        raise Damaged("it is no well-formed XML.")
    kind = _name(root)
    if kind in {"rss", "feed", "RDF"}:
        return _feed(root, limits)
    if kind == "html":
        text, title = html_to_markdown(etree.tostring(root, encoding="unicode", method="html"))
        return Loaded(text, title)
    return Loaded(_joined(_values(root), limits), _first(root, _TITLES), "text")


def _feed(root: Any, limits: Limits) -> Loaded:
    entries = [each for each in root.iter() if _name(each) in {"item", "entry"}]
    blocks = (_entry(entry) for entry in entries)
    about = next((each for each in root.iter() if _name(each) in {"channel", "feed"}), root)
    title = _child(about, "title")
    head = "\n\n".join(
        filter(None, [title and f"# {title}", _child(about, "description") or _child(about, "subtitle")])
    )
    return Loaded(_joined(filter(None, [head, *blocks]), limits, "\n\n"), title or None)


def _entry(entry: Any) -> str:
    title = _child(entry, "title")
    said = [f"{name}: {value}" for name in _FACTS if (value := _child(entry, name))]
    body = next((text for name in _BODIES if (text := _child(entry, name, whole=True))), "")
    if "<" in body:
        body = html_to_markdown(body)[0]
    return "\n\n".join(filter(None, [title and f"## {title}", "; ".join(said), body.strip()]))


def _values(root: Any) -> Iterator[str]:
    """A line for each element or attribute with text, named by the elements that lead to it below the root."""
    names: list[str] = []
    todo: list[tuple[Any, int]] = [(root, 0)]
    while todo:
        element, depth = todo.pop()
        if not isinstance(element.tag, str):
            continue
        del names[depth:]
        names.append(_name(element))
        path = ".".join(names[1:][-_MAX_NAMES:]) or names[0]
        for key in islice(element.attrib, _MAX_ATTRIBUTES):
            value = element.get(key, "")
            if value.strip() and not key.startswith("{"):
                yield f"{path}.{key}: {' '.join(value.split())}"
        text = element.text or ""
        if _is_prose(element):
            yield " ".join("".join(element.itertext()).split())
            continue
        if text.strip():
            yield f"{path}: {' '.join(text.split())}"
        todo += [(child, depth + 1) for child in reversed(element)]


def _is_prose(element: Any) -> bool:
    """Whether text and elements stand mixed in it."""
    return len(element) > 0 and any((child.tail or "").strip() for child in element)


def _child(element: Any, name: str, whole: bool = False) -> str:
    for child in element:
        if _name(child) == name:
            text = "".join(child.itertext())
            return text if whole else " ".join(text.split())
    return ""


def _first(root: Any, names: set[str]) -> str | None:
    found = (each for each in root.iter() if _name(each) in names)
    return next((" ".join(each.text.split()) for each in found if each.text and each.text.strip()), None)


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _joined(lines: Any, limits: Limits, between: str = "\n") -> str:
    room = limits.characters
    kept = []
    for line in lines:
        room -= len(line) + len(between)
        if room < 0:
            raise too_many_characters(limits.characters)
        kept.append(line)
    return between.join(kept)
