"""Which fields a filter may name, and where in a point's payload they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag.errors import BadInput

MAX_NAME = 200
METADATA = "metadata"

# What a filter calls a document's fact, and the payload's field that holds it.
_FACTS = {"path": "path", "title": "title", "uri": "doc", "format": "format", "page": "page"}
# The payload's other fields. A key of the metadata may have such a name: it is then written `metadata.NAME`.
_RESERVED = frozenset(
    {"tenant", "groups", "part", "state", "stamp", "doc", "doc_hash", "text", "headings", "start", "end"}
    | {"ordinal", "chunks", "metadata", "facts", "id", "vector"}
)

Kind = Literal["metadata", "text", "number"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its full name, with the keys that lead to it in a payload."""

    name: str
    path: tuple[str, ...]
    kind: Kind


def resolve(name: object) -> Field:
    """The field of this name; raises BadInput for one that no filter may name."""
    if not isinstance(name, str) or not name:
        raise BadInput(f"a filter's field must be a name, as 'metadata.team' or 'path', not {_shown(name)}.")
    if len(name) > MAX_NAME:
        raise BadInput(f"a field of the filter has {len(name)} characters; {MAX_NAME} is the limit.")
    if name in _FACTS:
        return Field(name, (_FACTS[name],), "number" if name == "page" else "text")
    key = name.removeprefix(f"{METADATA}.")
    if key == name and name in _RESERVED:
        raise BadInput(
            f"a filter cannot name '{name}', which the index keeps for itself; name one of {', '.join(_FACTS)}, or "
            f"'{METADATA}.{name}' for what a document's metadata calls so."
        )
    # Paths into payloads are written in quotes, and the engines know no way to write these two within them.
    if not key or '"' in key or "\\" in key or not _is_unicode(key):
        raise BadInput(f"a filter cannot name the field {_shown(name)}: a key holds no quotation mark or backslash.")
    return Field(f"{METADATA}.{key}", (METADATA, key), "metadata")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _shown(value: object) -> str:
    return ascii(value)[:80]
