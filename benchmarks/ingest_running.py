"""The run of ingest.py: its parts one after the other."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from index_report import machine
from ingest_corpus import Pages, Question, paragraphs, questions, take_pages
from ingest_measuring import Row, quality_of, quality_of_job, say, time_encoder, time_job, time_peer
from ingest_planning import time_planning
from ingest_report import Results, to_json, to_markdown

from ingest.target import Target
from rag.encoders import DenseEncoder, dense_encoder, sparse_encoder
from rag.encoders.folder import find_folder
from rag.index.embedded import EmbeddedIndex
from rag.settings import Settings

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "kubernetes"
PARTS = ("langchain", "llama-index", "haystack", "planning")


def main() -> int:
    """Run everything; 1 where a path failed, 2 where the data is missing."""
    arguments = _arguments()
    if not (arguments.data / "pages").is_dir():
        print(f"SKIPPED: the Kubernetes pages are not in {arguments.data}; name their folder with --data.")
        return 2
    with tempfile.TemporaryDirectory(prefix="librarian-benchmark-") as name:
        results = _run(arguments, Path(name))
    print(to_markdown(results))
    if arguments.json:
        arguments.json.write_text(to_json(results), encoding="utf-8")
    return 1 if results.failed else 0


def _run(arguments: argparse.Namespace, folder: Path) -> Results:
    where = machine()
    where["versions"].update({name: version(name) for name in ("torch", "sentence-transformers", "langchain-core")})
    settings = Settings(data_dir=folder / "data")
    dense = dense_encoder(settings)
    pages = _pages(arguments, folder, dense, settings)
    asked = questions(arguments.data, frozenset(pages.pages))
    say(f"{len(pages.texts):,} chunks of {pages.count:,} pages; {len(asked)} queries")
    encoder, librarian = _librarian(pages, asked, dense, settings)
    peers = _peers(arguments, folder, pages, asked, dense)
    planning = None
    if arguments.planning_files and "planning" not in arguments.skip:
        source = paragraphs(arguments.data / "pages")
        planning = time_planning(
            folder / "planning", arguments.planning_files, source, Settings(data_dir=folder / "planned")
        )
    return Results(
        machine=where,
        backend=_backend(settings),
        pages=pages.count,
        chunks=len(pages.texts),
        tokens=statistics.fmean(dense.token_counts(pages.texts)),
        questions=len(asked),
        encoder=encoder,
        librarian=librarian,
        peers=peers,
        planning=planning,
    )


def _pages(arguments: argparse.Namespace, folder: Path, dense: DenseEncoder, settings: Settings) -> Pages:
    say(f"cutting pages into {arguments.chunks:,} chunks")
    with closing(EmbeddedIndex(folder / "none")) as index:
        tokens = Target(index, settings, dense, sparse_encoder(settings)).tokens
    return take_pages(arguments.data / "pages", folder / "pages", dense, settings, tokens, arguments.chunks)


def _librarian(pages: Pages, asked: list[Question], dense: DenseEncoder, settings: Settings) -> tuple[Row, Row]:
    """The encoder alone before and after the job, and the job."""
    sparse = sparse_encoder(settings)
    dense.encode_documents(pages.texts[:64])
    say("the encoder alone")
    before = time_encoder(dense, pages.texts)
    say(f"  {before.per_s:.1f} chunks/s; Librarian")
    with closing(EmbeddedIndex(settings.index_dir)) as index:
        rate = time_job(pages, index, dense, sparse, settings)
        say(f"  {rate.per_s:.1f} chunks/s; the encoder alone, again")
        after = time_encoder(dense, pages.texts)
        say(f"  {after.per_s:.1f} chunks/s; searching")
        quality = quality_of_job(asked, index, dense, sparse, settings) if asked else None
    note = f"before {before.per_s:.1f}, after {after.per_s:.1f}"
    return (
        Row(f"the encoder alone, texts sorted ({note})", before + after),
        Row("Librarian, files to index", rate, quality),
    )


def _peers(
    arguments: argparse.Namespace, folder: Path, pages: Pages, asked: list[Question], dense: DenseEncoder
) -> list[Row]:
    model = find_folder(Settings().encoder)  # the weights that Librarian's encoder is made from
    count = min(arguments.peer_chunks or len(pages.texts), len(pages.texts))
    chosen = [number * len(pages.texts) // count for number in range(count)]  # evenly: pages differ in length
    texts = [pages.texts[each] for each in chosen]
    rows = []
    if "langchain" not in arguments.skip:
        from ingest_langchain import LangChainPath

        say(f"LangChain, {len(texts):,} chunks")
        row = Row(f"LangChain (langchain-qdrant {version('langchain-qdrant')}), batches of 32")
        with closing(LangChainPath(model, folder / "langchain", dense.dimension)) as path:
            row.rate = path.add(texts, [pages.pages[each] for each in chosen])
            say(f"  {row.rate.per_s:.1f} chunks/s")
            if len(texts) == len(pages.texts) and asked:
                row.quality = quality_of(asked, path.search)
        rows.append(row)
    for framework in ("llama-index", "haystack"):
        if framework not in arguments.skip:
            say(f"{framework}, {len(texts):,} chunks")
            row = time_peer(framework, model, texts, folder / framework)
            say(f"  {row.rate.per_s:.1f} chunks/s" if row.rate else f"  {row.note}")
            rows.append(row)
    return rows


def _backend(settings: Settings) -> str:
    names = ("encoder", "encoder_backend", "encoder_precision", "encoder_device")
    return ", ".join(f"{name}={getattr(settings, name)}" for name in names if hasattr(settings, name))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure ingestion end to end.")
    parser.add_argument("--chunks", type=int, default=5000, help="chunks that the pages make, about (default: 5000)")
    parser.add_argument("--peer-chunks", type=int, default=None, help="chunks that the peers get (default: all)")
    parser.add_argument("--planning-files", type=int, default=100_000, help="files of the re-run (default: 100000)")
    parser.add_argument("--skip", action="append", choices=PARTS, default=[], help="leave this out; repeatable")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with pages/, queries.jsonl and qrels/")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    return parser.parse_args()
