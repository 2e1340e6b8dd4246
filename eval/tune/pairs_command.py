"""`librarian tune pairs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from librarian import Collection, DataDir, Json, LlmUrl, QdrantUrl, Set, one_line


def pairs(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the pairs go.")],
    qrels: Annotated[
        Path | None, typer.Option("--qrels", metavar="DATASET", help="Folder with queries.jsonl and qrels.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Which of its judgements: qrels/SPLIT.tsv.")] = "train",
    feedback: Annotated[
        Path | None,
        typer.Option("--feedback", metavar="FILE.jsonl", help="What `librarian feedback export --format pairs` wrote."),
    ] = None,
    structure: Annotated[
        int, typer.Option("--structure", min=0, max=1_000_000, metavar="N", help="So many questions from headings.")
    ] = 0,
    model: Annotated[
        int, typer.Option("--model", min=0, max=100_000, metavar="N", help="So many tries with the chat model.")
    ] = 0,
    documents: Annotated[
        Path | None,
        typer.Option("--documents", metavar="DOCS", help="Folder of documents or corpus.jsonl, indexed beside yours."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides which documents are held out.")] = 0,
    held_out: Annotated[
        float, typer.Option("--held-out", min=0, max=0.9, help="Share of the questions that is not trained on.")
    ] = 0.1,
    negatives: Annotated[int, typer.Option("--negatives", min=0, max=50, help="Hard negatives of a pair.")] = 4,
    margin: Annotated[
        float, typer.Option("--margin", min=0, max=1, help="A negative's cosine lies so far below the answer's.")
    ] = 0.05,
    licence: Annotated[
        str, typer.Option("--licence", help="Under which terms the texts stand, for the cards.")
    ] = "not stated",
    collection: Collection = None,
    llm_url: LlmUrl = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Make training pairs: questions, what answers them, and what only looks like it.

    Documents are those of --qrels or --documents, indexed beside yours; else those of your collection. Some of them are
    held out with all their questions: they decide when a training stops, and what it brought.

      librarian tune pairs --qrels scifact --out pairs

      librarian tune pairs --structure 2000 --documents docs --out pairs

      librarian tune pairs --feedback feedback.jsonl --out pairs
    """
    import json
    from dataclasses import asdict

    from eval.progress import shown_progress
    from eval.tune.making import Wanted, make_pairs
    from librarian import open_ingestor
    from rag.settings import load

    flags = {"collection": collection, "data_dir": data_dir, "qdrant_url": qdrant_url, "llm_url": llm_url}
    settings = load(flags, pairs=set_).settings
    wanted = Wanted(
        out, documents, qrels, split, feedback, structure, model, seed, held_out, negatives, margin, licence
    )
    with shown_progress(json_) as show:
        made = make_pairs(wanted, settings, open_ingestor, show)
    if json_:
        print(json.dumps(asdict(made.card), indent=2, ensure_ascii=False))
        return
    sources = ", ".join(f"{count} from {source}" for source, count in made.card.by_source.items())
    hard = sum(len(each.negatives) for each in made.pairs) / len(made.pairs)
    print(one_line(f"{made.card.pairs} pairs ({sources}), {hard:.1f} hard negatives each on average"))
    print(one_line(f"{made.card.held_out} questions held out, of documents that no pair is of"))
    for reason, count in made.card.dropped.items():
        print(one_line(f"{count} dropped: {reason}"))
    print(one_line(f"pairs: {out}"))
