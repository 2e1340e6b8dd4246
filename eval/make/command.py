"""`librarian eval make`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from librarian import DataDir, Json, LlmUrl, QdrantUrl, Set, one_line


def make(
    documents: Annotated[Path, typer.Argument(metavar="DOCS", help="Folder of documents, or a corpus.jsonl.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the dataset goes.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=100_000, help="Questions to keep.")] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, other questions.")] = 0,
    model: Annotated[bool, typer.Option("--model", help="The chat model writes questions from passages, too.")] = False,
    llm_url: LlmUrl = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Make a test set from your own documents: questions, and which document answers each.

    It is synthetic, and every report of it says so: such questions are easier than people's.

      librarian eval make docs --out mine

      librarian eval retrieval mine --split train --config a.toml --config b.toml
    """
    import json

    from eval.make.making import make_questions, source_of
    from eval.make.writing import check_folder, write_dataset
    from eval.printing import print_warnings
    from eval.progress import shown_progress
    from librarian import open_ingestor
    from rag.settings import load

    settings = load({"data_dir": data_dir, "qdrant_url": qdrant_url, "llm_url": llm_url}, pairs=set_ or []).settings
    source, _ = source_of(documents)
    check_folder(out, source)
    with shown_progress(json_) as show:
        made = make_questions(
            documents, out.resolve(), settings, open_ingestor, show, number=number, seed=seed, with_model=model
        )
    facts = write_dataset(out, made, source, seed, number)
    print_warnings(made.warnings)
    if json_:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    dropped = "".join(f"\n  {count} dropped: {reason}" for reason, count in facts["dropped"].items())
    parts = ", ".join(f"{count} {name}" for name, count in facts["splits"].items())
    print(f"SYNTHETIC: {facts['made']} questions made from {made.documents} documents, {facts['kept']} kept ({parts})")
    if dropped:
        print(dropped[1:])
    print(one_line(f"dataset: {out}"))
