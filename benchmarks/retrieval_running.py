"""The run of retrieval.py: each size by itself, then LangChain."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from index_report import machine
from ingest_measuring import say
from retrieval_corpus import Corpus, take_corpus, take_queries
from retrieval_measuring import Bare, Timing, ask_langchain, compare, overlap, time_whole
from retrieval_report import Peer, Results, Size, to_json, to_markdown

from ingest.chunking import DEFAULT_CHUNK_TOKENS
from rag.encoders import Bm25Encoder, LocalEncoder, dense_encoder, sparse_encoder
from rag.encoders.folder import find_folder
from rag.encoders.query_cache import CachedEncoder
from rag.index.embedded import EmbeddedIndex
from rag.index.threaded import ThreadedIndex
from rag.retrieval import Retriever
from rag.schema import SearchResult
from rag.settings import Settings
from rag.wiring import build_retriever

DATA = Path(__file__).parent.parent.parent / "shared" / "data"


@dataclass(frozen=True, slots=True)
class _Open:
    """A collection that is loaded and can be asked in every way."""

    index: EmbeddedIndex
    retriever: Retriever
    bare: Bare
    runner: asyncio.Runner


def run(arguments: argparse.Namespace) -> int:
    """Run everything and print it; the exit code as in retrieval.py."""
    if not (arguments.data / "kubernetes" / "pages").is_dir():
        print(f"SKIPPED: the Kubernetes pages are not in {arguments.data}; name the folder above theirs with --data.")
        return 2
    where = machine()
    settings = Settings(query_cache=1)
    dense = _local(settings)
    queries = take_queries(arguments.data, arguments.queries)
    most = max(*arguments.sizes, arguments.peer_chunks)
    tokens = min(DEFAULT_CHUNK_TOKENS, dense.max_tokens)
    corpus = take_corpus(arguments.data, arguments.keep, most, dense, settings, tokens)
    results = Results(where, dense.backend, settings, len(queries), arguments.rounds)
    for size in arguments.sizes:
        if size <= len(corpus.points):
            results.sizes += _size(arguments, corpus, size, settings, queries)
    results.too_large = [each for each in arguments.sizes if each > len(corpus.points)]
    if arguments.peer_chunks:
        results.peer = _peer(arguments, corpus, settings, queries[: arguments.peer_queries])
    results.note_load()
    print(to_markdown(results))
    if arguments.json:
        arguments.json.write_text(to_json(results), encoding="utf-8")
    if results.peer and results.peer.failed:
        return 1
    return 2 if results.skipped else 0


def _size(
    arguments: argparse.Namespace, corpus: Corpus, size: int, settings: Settings, queries: Sequence[str]
) -> list[Size]:
    rows = []
    with _opened(corpus, size, settings) as opened:
        for state in ("as written", "after `optimize()`") if arguments.optimize else ("as written",):
            if state != "as written":
                say("  optimising")
                opened.index.optimize(settings.collection)
            row = Size(size, state)
            rows.append(row)
            for callers in arguments.callers:
                found = compare(opened.runner, opened.retriever, opened.bare, queries, callers, arguments.rounds)
                row.compared.append(found)
                say(f"  {size:,} {state}, callers {callers}: p50 {found.whole.p50:.1f} ms, ×{found.ratio:.2f} of bare")
    return rows


def _peer(arguments: argparse.Namespace, corpus: Corpus, settings: Settings, queries: Sequence[str]) -> Peer:
    count = min(arguments.peer_chunks, len(corpus.points))
    peer = Peer(count, len(queries))
    with _opened(corpus, count, settings) as opened:
        if arguments.optimize:
            say("  optimising")
            opened.index.optimize(settings.collection)
        for callers in arguments.callers:
            timing, answers = time_whole(opened.runner, opened.retriever, queries, callers, arguments.rounds)
            peer.ours[callers] = timing
        nearest = [opened.bare.nearest(each) for each in queries]
    say(f"LangChain, {count:,} chunks")
    try:
        with tempfile.TemporaryDirectory(prefix="librarian-benchmark-") as name:
            model = find_folder(settings.encoder)
            said = ask_langchain(model, corpus, count, queries, arguments.callers, Path(name))
    except RuntimeError as error:
        peer.note = str(error)
        say(f"  {peer.note}")
        return peer
    peer.versions, peer.stages = said["versions"], said["stages_ms"]
    for callers in arguments.callers:
        ran = said["runs"][str(callers)]
        peer.theirs[callers] = Timing.of(ran["times_ms"], ran["wall_s"])
        say(f"  callers {callers}: p50 {peer.theirs[callers].p50:.1f} ms")
    peer.same = {
        "dense legs": overlap(nearest, said["dense"]),
        "chunks": overlap([[each.id for each in answer.passages] for answer in answers], said["chunks"]),
        "documents": overlap([[each.uri for each in answer.passages] for answer in answers], said["documents"]),
    }
    peer.covered = _covered(corpus, answers, said["chunks"])
    return peer


def _covered(corpus: Corpus, answers: Sequence[SearchResult], chunks: Sequence[Sequence[str]]) -> float:
    """The share of the given chunks, by query, whose text lies within a passage of that query's answer."""
    points = {corpus.identity(number): point for number, point in enumerate(corpus.points)}
    held = []
    for answer, ids in zip(answers, chunks, strict=True):
        for each in (points[identity] for identity in ids):
            place = each.prepared.chunk
            held.append(
                any(
                    passage.uri == each.document.uri and passage.start <= place.start and place.end <= passage.end
                    for passage in answer.passages
                )
            )
    return sum(held) / max(len(held), 1)


@contextmanager
def _opened(corpus: Corpus, size: int, settings: Settings) -> Iterator[_Open]:
    """The first `size` chunks in an index of their own, with everything loaded that a search needs."""
    say(f"loading {size:,} chunks")
    with (
        tempfile.TemporaryDirectory(prefix="librarian-benchmark-") as name,
        asyncio.Runner() as runner,
        closing(EmbeddedIndex(Path(name))) as index,
    ):
        corpus.load(index, settings.collection, _local(settings), sparse_encoder(settings), size)
        retriever = build_retriever(settings, ThreadedIndex(index))
        retriever.warm_up()
        dense, sparse = _within(retriever)
        yield _Open(index, retriever, Bare(index, dense, sparse, settings.collection, settings), runner)


def _within(retriever: Retriever) -> tuple[LocalEncoder, Bm25Encoder]:
    """The retriever's own encoders, without the memory around the dense one: both sides ask the same model."""
    dense, sparse = retriever.encoders
    if not isinstance(dense, CachedEncoder) or not isinstance(dense.inner, LocalEncoder):
        raise TypeError("the retriever's encoder is no longer a CachedEncoder around a LocalEncoder")
    return dense.inner, sparse


def _local(settings: Settings) -> LocalEncoder:
    dense = dense_encoder(settings)
    if not isinstance(dense, LocalEncoder):
        raise TypeError("the default settings no longer name an encoder of this process")
    return dense
