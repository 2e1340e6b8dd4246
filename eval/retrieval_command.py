"""`librarian eval retrieval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.turns import Turns
from librarian import DataDir, Json, QdrantUrl, Set


def retrieval(
    dataset: Annotated[
        Path,
        typer.Argument(metavar="DATASET", help="BEIR folder, or a folder of documents with queries.jsonl and qrels."),
    ],
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", metavar="FILE.toml", help="Settings to evaluate; several are compared."),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="Which judgements: qrels/SPLIT.tsv; none: test.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="Measure this instead (ndcg@10, p@5, …); the first one decides."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many queries.")] = None,
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="Ask this collection, instead of indexing the documents."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Keep the index for the next evaluation.")] = True,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=256, help="Measure searches a second with so many at once, too.")
    ] = 1,
    turns: Annotated[
        list[Turns] | None,
        typer.Option("--turns", help="What of a conversation is searched; several are compared. None: the last turn."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where the report goes, not DATA_DIR/eval/reports/.")
    ] = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Measure how well and how fast configurations find what answers a dataset's questions.

    The documents are ingested as yours are, into an index beside yours, once for each encoder and chunk size.

      librarian eval retrieval scifact

      librarian eval retrieval mine --config now.toml --config new.toml --out report

      librarian eval retrieval mine --collection documents --json
    """
    from eval.configurations import configurations, with_turns
    from eval.datasets import open_dataset
    from eval.evaluation import Asked, evaluate
    from eval.metrics import DEFAULT_METRICS, canonical
    from eval.printing import print_json, print_tables, print_warnings
    from eval.progress import shown_progress
    from eval.writing import default_folder, write_all
    from librarian import open_ingestor

    found = configurations(config or [], set_ or [], {"data_dir": data_dir, "qdrant_url": qdrant_url})
    found = with_turns(found, list(dict.fromkeys(turns or [Turns.LAST])))
    data = open_dataset(dataset, split)
    data = data.first(limit) if limit else data
    metrics = tuple(dict.fromkeys(canonical(each) for each in metric)) if metric else DEFAULT_METRICS
    asked = Asked(data, found, metrics, collection or data.collection, keep, concurrency)
    with shown_progress(json_) as show:
        evaluated = evaluate(asked, open_ingestor, show)
    folder = out or default_folder(found[0].settings.data_dir, data)
    write_all(folder, evaluated, data)
    print_warnings(evaluated.warnings)
    if json_:
        print_json(evaluated.evaluation)
    else:
        print_tables(evaluated, folder)
