"""`librarian eval calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from librarian import DataDir, Json, QdrantUrl, Set, one_line


def calibrate(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="As for `eval retrieval`.")],
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="Fit and keep it for this one; none: the dataset's evaluation index."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Which judgements; never those you report on.")] = "train",
    refuse: Annotated[
        float,
        typer.Option("--refuse", min=0, max=0.9, help="Share of answerable questions that the threshold may refuse."),
    ] = 0.1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Fit and print; keep nothing.")] = False,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Fit what `relevance` means on your own questions, and keep it with the collection.

    Each question is searched twice, once with the documents that answer it hidden. The fit is stored in the
    collection's metadata; services use it from their next search on. The threshold to set is printed.

      librarian eval calibrate mine --collection documents
    """
    import json

    from eval.calibration.calibrating import calibrate as run
    from eval.datasets import open_dataset
    from eval.progress import shown_progress
    from librarian import open_ingestor
    from rag.settings import load

    settings = load({"data_dir": data_dir, "qdrant_url": qdrant_url}, pairs=set_).settings
    data = open_dataset(dataset, split)
    with shown_progress(json_) as show:
        done = run(data, settings, collection or data.collection, refuse, open_ingestor, show, keep=not dry_run)
    if json_:
        print(json.dumps(done.as_json(), indent=2))
        return
    fitted = done.calibration
    print(one_line(f"{done.questions} questions of {data.name} {done.split}, in collection {done.collection}"))
    print(f"relevance = 1 / (1 + exp(-({fitted.bias} + {fitted.cosine} · cosine + {fitted.coverage} · coverage)))")
    print(
        f"below {done.threshold:.2f}: {done.answerable_refused:.1%} of the answerable questions refused, "
        f"{done.hidden_refused:.1%} of those whose documents are hidden"
    )
    print("nothing kept (--dry-run)" if dry_run else "kept with the collection")
    if done.threshold != settings.min_relevance:
        print(f"To use this threshold: LIBRARIAN_MIN_RELEVANCE={done.threshold:.2f} (now {settings.min_relevance:g}).")
