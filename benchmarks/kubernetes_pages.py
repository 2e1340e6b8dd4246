"""The Kubernetes pages as their site shows them: what its generator's shortcodes, comments and anchors leave."""

from __future__ import annotations

import re
from typing import Any

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
TOOLTIP = re.compile(r"\{\{<\s*glossary_tooltip[^>]*?\btext=\"([^\"]*)\"[^>]*>\}\}")
SHORTCODE = re.compile(r"\{\{[<%].*?[>%]\}\}", re.DOTALL)

_ANCHOR = re.compile(r"\{#[^}\n]*\}")
_TITLE = re.compile(r"^title: *[\"']?(.*?)[\"']? *$", re.MULTILINE)
_HEADING = re.compile(r"^(#{1,3}) (.*)$", re.MULTILINE)


def kubernetes_sections(name: str, page: str) -> list[dict[str, Any]]:
    """A page's sections in the BEIR layout, their titles of the page's own (its front matter's) and the headings."""
    front = FRONT_MATTER.match(page)
    title = _TITLE.search(front.group()) if front else None
    shown = FRONT_MATTER.sub("", page)
    for pattern, put in ((COMMENT, ""), (TOOLTIP, r"\1"), (SHORTCODE, ""), (_ANCHOR, "")):
        shown = pattern.sub(put, shown)
    return sections(name, f"# {title[1] if title else name}\n\n{shown}")


def sections(name: str, page: str) -> list[dict[str, Any]]:
    """The sections of a Markdown page that begins with its title, by its first three levels of headings."""
    parts = _HEADING.split(page)
    found, title, path = [], "", list[str]()
    for number in range(1, len(parts), 3):
        level, heading, body = len(parts[number]), parts[number + 1].strip(), parts[number + 2].strip()
        title, path = (heading, []) if level == 1 else (title, [*path[: level - 2], heading])
        if body:
            found.append({"_id": f"{name}#{number}", "title": " > ".join([title, *path]), "text": body})
    return found
