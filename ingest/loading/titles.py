"""What a document is called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

MAX_TITLE = 200  # characters; a title is stored with every chunk
_MAX_FACT = 300  # characters of a value of metadata; stored with every chunk too
_MAX_FACTS = 20


def clean_title(words: str | None) -> str:
    """One line of at most MAX_TITLE characters that any encoding can hold; "" where there are no words."""
    return _line(words, MAX_TITLE)


def title_from_path(path: str) -> str:
    """The words of a file's name; those of its folder where the file is only that folder's front page."""
    name = PurePosixPath(path)
    stem = name.parent.name if name.stem.strip("_").lower() in {"index", "readme"} and name.parent.name else name.stem
    return re.sub(r"[-_]+", " ", stem).strip() or path


def facts(pairs: Iterable[tuple[str, object]]) -> dict[str, str]:
    """Metadata of the pairs that say something: short, one line each, few."""
    said = ((key, _line(str(value), _MAX_FACT)) for key, value in pairs if value is not None)
    return dict([(key, value) for key, value in said if value][:_MAX_FACTS])


def _line(words: str | None, length: int) -> str:
    line = " ".join((words or "")[: 4 * length].encode("utf-8", "replace").decode().replace("\0", "").split())
    return line[:length].rstrip()
