"""A `.jsonl` file of records to documents: one a line, as in BEIR's corpus.jsonl. Read as a stream, never whole.

A record is an object with an id (`_id` or `id`), a text (`text`, `contents` or `content`) and, if it likes, `title`,
`url` and `metadata`. Its URI is the file's, a `#` and the id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Any, BinaryIO, Literal

from ingest.sources.interface import Found, Item, Unreadable
from ingest.sources.reading import too_large, unreadable
from ingest.sources.seen import Seen
from ingest.sources.uris import fragment, shown
from rag.errors import SourceError

RECORD_FILES = (".jsonl", ".ndjson")
BAD_RECORD = "bad_record"  # the code of a line that is no document
# What stands for such lines in the place of an id.
LINE, FURTHER_LINES = "line%20", "further%20lines"
MAX_NAMED = 20  # bad lines of one file that are named; the others are counted
_LOOKED_AT = 50  # lines from which is told what the file is
_MAX_ID = 1024  # characters
_MAX_METADATA = 64  # entries of a record that are kept
_MAX_VALUE = 2048  # characters of such an entry
_MARGIN = 64 * 1024  # bytes that a line may have beside the document
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record(Item):
    """A document that is `length` bytes of a file, from `offset`. `stamp` is a hash of them."""

    offset: int = 0
    length: int = 0


class _BadRecord(Exception):
    """A line that is no document, and why.

    `key` is the id that it has, quoted, or "" for one that is known to have none of its own. With None
    it may be any record: what is indexed of the whole file must then stay.
    """

    def __init__(self, reason: str, key: str | None = None) -> None:
        super().__init__(reason)
        self.key = key


def look(file: BinaryIO, limit: int) -> Literal["records", "other", "broken"]:
    """What the file holds, by its first lines: records, other JSON (or nothing), or nothing that is JSON at all.

    Raises OSError.
    """
    broken = valid = False
    for _, line in islice(_lines(file, limit + _MARGIN), _LOOKED_AT):
        try:
            found = _parse(line)
        except _BadRecord:
            broken = True
            continue
        valid = True
        if isinstance(found, dict) and _id(found) and _text(found) is not None:
            return "records"
    return "broken" if broken and not valid else "other"


def records(file: BinaryIO, uri: str, path: str, limit: int) -> Iterator[Found]:
    """Every record, in the file's order. A line that is none, or repeats an id, is Unreadable; the others follow.

    `uri` and `path` are the file's; `limit` is in bytes, of a document.
    """
    seen = Seen()
    bad = 0
    unknown = False
    number = 0
    try:
        for number, (offset, line) in enumerate(_lines(file, limit + _MARGIN), 1):
            if line is not None and line.isspace():
                continue
            try:
                found = _record(line, offset, uri, path, limit)
                if not seen.add(found.uri):
                    raise _BadRecord("its id is that of an earlier line", "")
            except _BadRecord as error:
                bad += 1
                unknown = unknown or (bad > MAX_NAMED and error.key != "")
                if bad <= MAX_NAMED:
                    key = "" if error.key is None else error.key or f"{LINE}{number}"
                    yield Unreadable(f"{uri}#{key}", f"{path} line {number}", f"{error}.", BAD_RECORD)
                continue
            yield found
    except OSError as error:
        yield Unreadable(f"{uri}#", path, f"{unreadable(error)} (after line {number})")
    if bad > MAX_NAMED:
        reason = f"{bad - MAX_NAMED} further lines are no documents, or repeat an id."
        yield Unreadable(f"{uri}#" if unknown else f"{uri}#{FURTHER_LINES}", path, reason, BAD_RECORD)


def read_record(file: BinaryIO, item: Record, limit: int) -> bytes:
    """The text of a record in UTF-8. Raises SourceError where the file is another by now, or it has too many bytes."""
    try:
        file.seek(item.offset)
        line = file.read(item.length)
    except OSError as error:
        raise unreadable(error) from None
    if _hash(line) != item.stamp:
        raise SourceError("its file changed while it was read: run the job again.")
    try:
        text = _text(_parse(line))
    except _BadRecord as error:
        raise SourceError(f"{error}.") from None
    data = (text or "").encode("utf-8", "replace")
    if len(data) > limit:
        raise too_large(len(data), limit)
    return data


def _lines(file: BinaryIO, longest: int) -> Iterator[tuple[int, bytes | None]]:
    """Every line with where it starts; None for one that is longer than `longest` bytes."""
    offset = 0
    while line := file.readline(longest + 1):
        length = len(line)
        if length > longest and not line.endswith(b"\n"):
            while rest := file.readline(longest + 1):
                length += len(rest)
                if rest.endswith(b"\n"):
                    break
            yield offset, None
        else:
            yield offset, line
        offset += length


def _parse(line: bytes | None) -> Any:
    if line is None:
        raise _BadRecord("it is longer than a document may be (LIBRARIAN_MAX_DOCUMENT_BYTES)")
    try:
        return json.loads(line.removeprefix(_BOM).decode("utf-8"))
    except (ValueError, RecursionError):
        raise _BadRecord("it is no JSON in UTF-8") from None


def _record(line: bytes | None, offset: int, uri: str, path: str, limit: int) -> Record:
    found = _parse(line)
    if line is None or not isinstance(found, dict):
        raise _BadRecord("it is no JSON object", "")
    name = _id(found)
    if not name:
        raise _BadRecord("it has no id (_id or id)", "")
    quoted = fragment(name)
    text = _text(found)
    if text is None:
        raise _BadRecord("it has no text (text, contents or content)", quoted)
    title = found.get("title")
    return Record(
        uri=f"{uri}#{quoted}",
        path=f"{path}#{shown(name)}",
        name="record.txt",  # whatever the id looks like, a record's text is plain
        size=len(text) if text.isascii() else None,
        stamp=_hash(line),
        title=title.strip() or None if isinstance(title, str) else None,
        metadata=_metadata(found),
        offset=offset,
        length=len(line),
    )


def _id(found: Mapping[str, Any]) -> str:
    for key in ("_id", "id"):
        value = found.get(key)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            text = str(value)
            return text if len(text) <= _MAX_ID else ""
    return ""


def _text(found: Any) -> str | None:
    for key in ("text", "contents", "content"):
        value = found.get(key) if isinstance(found, dict) else None
        if isinstance(value, str):
            return value
    return None


def _metadata(found: Mapping[str, Any]) -> dict[str, str]:
    given = found.get("metadata")
    pairs = {**given} if isinstance(given, dict) else {}
    if "url" in found:
        pairs.setdefault("url", found["url"])
    kept = {
        key[:_MAX_VALUE]: str(value)[:_MAX_VALUE]
        for key, value in islice(pairs.items(), _MAX_METADATA)
        if isinstance(value, (str, int, float)) and key
    }
    return {key: value.encode("utf-8", "replace").decode() for key, value in kept.items()}


def _hash(line: bytes) -> str:
    return blake2b(line, digest_size=12).hexdigest()
