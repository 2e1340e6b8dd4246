"""The failures file: what a job could not ingest, and enough to try just that again.

The first line is an object that says what was ingested and how (`sources`, `collection`, `groups`, …), so that trying
again gives the documents to the same readers; each further line is one failure.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ingest.options import Shard
from ingest.report import Failure
from ingest.sources.records import BAD_RECORD, FURTHER_LINES, LINE
from rag.errors import SourceError
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Failures:
    """What a failures file holds. `uris` are those of the documents that failed."""

    sources: tuple[str, ...]
    collection: str
    tenant: str
    uris: frozenset[str]
    groups: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def failures_file(settings: Settings, shard: Shard) -> Path:
    """Where a collection's failures are written when no file is named."""
    part = f"-{shard.index}-of-{shard.count}" if shard.count > 1 else ""
    return settings.data_dir / "failures" / f"{settings.collection}{part}.jsonl"


def write_failures(path: Path, settings: Settings, asked: Failures, failed: Sequence[Failure]) -> None:
    """Replace the file at once; where nothing failed there is none. Raises SourceError where it cannot be written."""
    try:
        if not failed:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {
            "sources": [each if "://" in each else str(Path(each).expanduser().absolute()) for each in asked.sources],
            "collection": settings.collection,
            "tenant": settings.tenant,
            "groups": asked.groups,
            "metadata": dict(asked.metadata),
            "include": asked.include,
            "exclude": asked.exclude,
        }
        temporary = path.with_name(f".{path.name}-{os.getpid()}")
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for line in (head, *(asdict(each) for each in failed)):
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise SourceError(f"the failures file {path} cannot be written: {error.strerror or error}.") from None


def read_failures(path: Path) -> Failures:
    """What to try again. Raises SourceError where it is no failures file."""
    try:
        head, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return Failures(
            tuple(str(each) for each in head["sources"]),
            str(head["collection"]),
            str(head["tenant"]),
            frozenset(_again(str(each["uri"]), str(each.get("code"))) for each in lines),
            tuple(head.get("groups", ())),
            dict(head.get("metadata", {})),
            tuple(head.get("include", ())),
            tuple(head.get("exclude", ())),
        )
    except OSError as error:
        raise SourceError(f"the failures file {path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, KeyError, TypeError):
        raise SourceError(f"{path} is no failures file; `librarian ingest` names the one that it writes.") from None


def _again(uri: str, code: str) -> str:
    """What stands for what failed: a line of a records file has no URI of its own before it is mended, so its file."""
    file, _, line = uri.rpartition("#")
    unnamed = line == FURTHER_LINES or line.startswith(LINE)
    return f"{file}#" if code == BAD_RECORD and file and unnamed else uri
