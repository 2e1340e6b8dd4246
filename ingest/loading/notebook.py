"""Jupyter notebooks: prose as Markdown, code in fences, what it printed below it."""

from __future__ import annotations

import json
from typing import Any

from ingest.loading.decoding import decode
from ingest.loading.errors import Damaged
from ingest.loading.interface import Limits, Loaded
from ingest.loading.office import first_heading

_MAX_OUTPUT = 2000  # characters of one output that are kept; the rest is seldom prose


def load_notebook(data: bytes, name: str, limits: Limits) -> Loaded:
    """The cells of a notebook of format 3 or 4. Pictures and errors' traces are left out."""
    try:
        root = json.loads(decode(data))
    except ValueError as error:
        raise Damaged(f"it is no notebook: {error}.") from None
    cells = _cells(root)
    if cells is None:
        raise Damaged("it is no notebook: it has no cells.")
    about = root.get("metadata") if isinstance(root.get("metadata"), dict) else {}
    language = _language(about)
    text = "\n\n".join(filter(None, (_cell(cell, language) for cell in cells if isinstance(cell, dict))))
    title = about.get("title")
    return Loaded(text, title if isinstance(title, str) else first_heading(text))


def _cells(root: Any) -> list[Any] | None:
    if not isinstance(root, dict):
        return None
    if isinstance(root.get("cells"), list):
        return list(root["cells"])
    sheets = root.get("worksheets")
    if isinstance(sheets, list):
        return [cell for sheet in sheets if isinstance(sheet, dict) for cell in sheet.get("cells") or ()]
    return None


def _cell(cell: dict[str, Any], language: str) -> str:
    source = _text(cell.get("source", cell.get("input", ""))).strip("\n")
    if cell.get("cell_type") != "code":
        return source
    printed = [_output(each) for each in cell.get("outputs") or () if isinstance(each, dict)]
    return "\n\n".join(filter(None, [_fenced(source, language), *(_fenced(each, "text") for each in printed)]))


def _output(output: dict[str, Any]) -> str:
    data = output.get("data")
    text = _text(output.get("text", data.get("text/plain", "") if isinstance(data, dict) else ""))
    return text.strip("\n")[:_MAX_OUTPUT]


def _fenced(text: str, language: str) -> str:
    if not text.strip():
        return ""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def _language(about: dict[str, Any]) -> str:
    for key in ("language_info", "kernelspec"):
        said = about.get(key)
        name = (said.get("name") if key == "language_info" else said.get("language")) if isinstance(said, dict) else ""
        if isinstance(name, str) and name.isalnum():
            return name
    return "python"


def _text(value: Any) -> str:
    """A notebook's text: one string, or a list of lines."""
    if isinstance(value, list):
        return "".join(each for each in value if isinstance(each, str))
    return value if isinstance(value, str) else ""
