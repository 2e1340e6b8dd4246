"""A made test set as a folder: questions and judgements here, the documents where they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from eval.datasets import FACTS, QRELS, QUERIES
from eval.errors import DatasetError
from eval.make.candidates import splits
from eval.make.making import WITHIN, Made
from rag.errors import BadInput


def check_folder(folder: Path, source: Path) -> None:
    """Raise DatasetError where the folder lies among the documents, or holds a dataset that was not made here."""
    folder, source = folder.expanduser().resolve(), source.expanduser().resolve()
    if folder == source or folder.is_relative_to(source):
        raise DatasetError(f"{folder} lies in the documents, which it would become part of; name a folder beside them.")
    if (folder / QUERIES).exists() and not _is_made(folder / FACTS):
        raise DatasetError(f"{folder} holds a dataset that was not made here; name another folder (--out).")


def write_dataset(folder: Path, made: Made, source: Path, seed: int, number: int) -> dict[str, Any]:
    """Write `dataset.json`, `queries.jsonl`, `qrels/test.tsv` and `qrels/train.tsv`; return what dataset.json says.

    Raises BadInput where that is not possible, and DatasetError where no question was kept.
    """
    if not made.kept:
        raise DatasetError(
            f"no question could be made from {source}: {made.made} were tried, none led back to its own."
        )
    documents: dict[str, str] = {}
    queries = []
    for candidate, rank in made.kept:
        section = candidate.section
        identity = _identity(section.document, candidate.text)
        documents[identity] = section.document
        facts = {"kind": candidate.kind, "headings": list(section.headings), "rank": rank, "synthetic": True}
        queries.append({"_id": identity, "text": candidate.text, "metadata": facts})
    parts = splits(documents, seed)
    facts = {
        "name": folder.resolve().name,
        "synthetic": True,
        "source": str(source),
        "seed": seed,
        "asked_for": number,
        "made": made.made,
        "kept": len(made.kept),
        "dropped": dict(sorted(made.dropped.items())),
        "documents_in_source": made.documents,
        "model": made.model,
        "found_within": WITHIN,
        "splits": {name: len(each) for name, each in parts.items()},
    }
    try:
        (folder / QRELS).mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in queries)
        (folder / QUERIES).write_text(lines, encoding="utf-8")
        for name, mine in parts.items():
            file = folder / QRELS / f"{name}.tsv"
            if not mine:
                file.unlink(missing_ok=True)
                continue
            rows = "".join(f"{each}\t{documents[each]}\t1\n" for each in mine)
            file.write_text(f"query-id\tcorpus-id\tscore\n{rows}", encoding="utf-8")
        (folder / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"the dataset cannot be written to {folder}: {error.strerror or error} (--out FOLDER)."
        ) from None
    return facts


def _identity(document: str, question: str) -> str:
    return hashlib.sha256(f"{document}\n{question}".encode()).hexdigest()[:16]


def _is_made(path: Path) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("synthetic") is True and "source" in found
