"""What ingest.py and ingest_memory.py ingest: real Kubernetes pages, and files made of their paragraphs."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.loading import EmptyDocument, Limits
from ingest.preparing import Task, prepare
from ingest.sources.interface import Item
from rag.encoders import DenseEncoder
from rag.settings import Settings

SEED = 20261107
_OLD_S = 86_400  # a file written this very second has no stamp yet, since it may change within the clock's tick


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages in a folder of their own, the texts that are embedded of their chunks, and which page each is of."""

    folder: Path
    texts: list[str]
    pages: list[str]

    @property
    def count(self) -> int:
        """How many pages have chunks."""
        return len(set(self.pages))


@dataclass(frozen=True, slots=True)
class Question:
    """A query and the pages that answer it."""

    text: str
    pages: frozenset[str]


def take_pages(source: Path, folder: Path, dense: DenseEncoder, settings: Settings, tokens: int, chunks: int) -> Pages:
    """Copy pages, drawn by a seed, until they make `chunks` chunks of `tokens` tokens at most (or all are taken).

    The last page goes past that number: documents are ingested whole. They are cut as the job cuts them.
    """
    limits = Limits(settings.max_document_pages, settings.max_document_characters, settings.max_expansion)
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*.md"))
    random.Random(SEED).shuffle(names)
    texts: list[str] = []
    pages: list[str] = []
    for name in names:
        if len(texts) >= chunks:
            break
        data = (source / name).read_bytes()
        try:
            ready = prepare(Task(Item("file://" + name, name, Path(name).name), data), dense, tokens, limits)
        except EmptyDocument:
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)
        texts += [each.embedded for each in ready.chunks]
        pages += [name] * len(ready.chunks)
    return Pages(folder, texts, pages)


def questions(source: Path, pages: frozenset[str]) -> list[Question]:
    """The queries (BEIR layout, test split) of which at least one relevant page is among `pages`."""
    relevant: dict[str, set[str]] = {}
    for line in (source / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, page, score = line.split("\t")
        if int(score) > 0 and page in pages:
            relevant.setdefault(query, set()).add(page)
    with (source / "queries.jsonl").open(encoding="utf-8") as lines:
        queries = [json.loads(line) for line in lines]
    return [Question(each["text"], frozenset(relevant[each["_id"]])) for each in queries if each["_id"] in relevant]


def paragraphs(source: Path) -> list[str]:
    """Paragraphs of running text of the pages, in a fixed order."""
    found: list[str] = []
    for path in sorted(source.rglob("*.md")):
        blocks = path.read_text(encoding="utf-8").split("\n\n")
        found += [each.strip() for each in blocks if len(each) > 200 and each[0].isalpha() and "{{" not in each]
    return found


def write_documents(folder: Path, count: int, source: list[str], paragraphs_each: int, per_folder: int = 1000) -> None:
    """`count` Markdown files, each of `paragraphs_each` paragraphs drawn from `source` by a seed. They look old."""
    draw = random.Random(SEED)
    for number, name in enumerate(_names(folder, count, per_folder)):
        body = "\n\n".join(draw.choices(source, k=paragraphs_each))
        name.write_text(f"# Note {number}\n\n{body}\n", encoding="utf-8")
        when = name.stat().st_mtime - _OLD_S
        os.utime(name, (when, when))


def _names(folder: Path, count: int, per_folder: int) -> Iterator[Path]:
    for number in range(count):
        below = folder / f"{number // per_folder:04d}"
        if number % per_folder == 0:
            below.mkdir(parents=True)
        yield below / f"note-{number:07d}.md"
