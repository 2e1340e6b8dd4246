"""Questions from documents, made until enough have passed: well-formed, no double, and found again by the index."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from eval.datasets import CORPUS, QUERIES, Dataset, Query
from eval.errors import DatasetError
from eval.indexing import Indexed, OpenIngestor, bring_in, own_index
from eval.make.candidates import Candidate, Section, in_turn, sections
from eval.make.generating import MIN_PASSAGE_WORDS, question_about, refused
from eval.make.headings import question_from
from eval.progress import Show
from eval.searching import Searcher
from rag.citations import content_words
from rag.encoders import dense_encoder, sparse_encoder
from rag.generation import ChatModel
from rag.index import open_async_index, open_index
from rag.schema import Scope
from rag.settings import Settings

# A question whose own document is not among so many is dropped.
WITHIN = 10
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Made:
    """What was kept, each with the rank at which its document was found, and how many were dropped, by reason."""

    kept: tuple[tuple[Candidate, int], ...]
    made: int
    dropped: Mapping[str, int]
    documents: int
    model: str | None
    warnings: tuple[str, ...] = ()


@dataclass
class _Work:
    kept: list[tuple[Candidate, int]] = field(default_factory=list)
    made: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)


def source_of(documents: Path) -> tuple[Path, bool]:
    """What to ingest, and whether it is BEIR's file of records. Raises DatasetError."""
    path = documents.expanduser().resolve()
    if path.is_dir():
        corpus = path / CORPUS
        return (corpus, True) if corpus.is_file() and (path / QUERIES).is_file() else (path, False)
    if path.is_file() and path.suffix == ".jsonl":
        return path, True
    raise DatasetError(f"{documents} is neither a folder of documents nor a corpus.jsonl.")


def make_questions(
    documents: Path,
    folder: Path,
    settings: Settings,
    open_ingestor: OpenIngestor,
    show: Show,
    *,
    number: int,
    seed: int,
    with_model: bool,
) -> Made:
    """Make `number` questions, or as many as the documents give. The documents go through the real ingestion.

    Raises DatasetError for documents that are not there, ModelUnavailable, and what the ingestion raises.
    """
    source, beir = source_of(documents)
    model = asyncio.run(_served(settings)) if with_model else None
    where = own_index(settings)
    # The name and the source say which collection is meant, so that a later evaluation finds it there.
    stub = Dataset(folder.name, folder, source, "test", (), {}, synthetic=True, beir=beir, hash="")
    encoders = (dense_encoder(where), sparse_encoder(where))
    with closing(open_index(where)) as index:
        indexed = bring_in(index, where, stub, encoders, open_ingestor, show)
        found = sections(index, indexed, Scope.owner(where.tenant))
    work = _Work()
    asyncio.run(_fill(work, found, where, indexed, encoders, show, number=number, seed=seed, model=model))
    return Made(
        tuple(work.kept), work.made, dict(work.dropped), len({e.document for e in found}), model, indexed.warnings
    )


async def _served(settings: Settings) -> str:
    model = ChatModel(settings)
    try:
        return (await model.facts()).name
    finally:
        await model.aclose()


async def _fill(
    work: _Work,
    found: list[Section],
    settings: Settings,
    indexed: Indexed,
    encoders: Any,
    show: Show,
    *,
    number: int,
    seed: int,
    model: str | None,
) -> None:
    index = open_async_index(settings)
    chat = ChatModel(settings) if model else None
    searcher = Searcher(index, encoders, settings, indexed.collection, indexed.names)
    draw = Random(seed)  # noqa: S311 - wording is no secret
    left: Iterator[Section] = in_turn(found, seed)
    try:
        while len(work.kept) < number and (some := list(islice(left, min(_BATCH, 2 * (number - len(work.kept)))))):
            candidates = [each for section in some for each in await _candidates(section, draw, chat, work)]
            await _filter(work, candidates, searcher, number)
            show("Making", len(work.kept), number, "questions")
    finally:
        if chat is not None:
            await chat.aclose()
        await index.close()


async def _candidates(section: Section, draw: Random, chat: ChatModel | None, work: _Work) -> list[Candidate]:
    """What can be asked of a section: by its heading, and by the model."""
    found: list[Candidate] = []
    question = question_from(section.title, section.headings, draw)
    if question:
        work.made += 1
        found.append(Candidate(question, section, "heading"))
    if chat is not None and len(content_words(section.text)) >= MIN_PASSAGE_WORDS:
        work.made += 1
        written = await question_about(chat, section.title, section.text)
        reason = refused(written, section.text)
        if reason:
            work.dropped[f"model: {reason}"] += 1
        else:
            found.append(Candidate(written, section, "model"))
    return found


async def _filter(work: _Work, candidates: list[Candidate], searcher: Searcher, number: int) -> None:
    """Keep what is new and leads back to its document; what is made beyond `number` was not needed."""
    for each in candidates:
        if len(work.kept) >= number:
            work.dropped["not needed"] += 1
            continue
        plain = " ".join(each.text.casefold().split())
        if plain in work.seen:
            work.dropped["the same as another"] += 1
            continue
        work.seen.add(plain)
        ranked = (await searcher.rank([Query("made", each.text)], WITHIN, lambda *_: None))["made"].documents
        rank = next((place for place, one in enumerate(ranked, 1) if one.document == each.section.document), None)
        if rank is None:
            work.dropped[f"its document is not in the first {WITHIN}"] += 1
        else:
            work.kept.append((each, rank))
