"""Feedback as what other tools read: a test set for `librarian eval`, pairs for tuning, or all of it as JSON lines.

A query that is in the test split of the one is left out of the other: whoever tunes on it would be tested on it.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.errors import BadInput
from rag.feedback import Feedback

TEST_SHARE = 5  # one query in so many, by its hash: the same query always falls to the same side
FACTS = "dataset.json"
QUERIES = "queries.jsonl"


@dataclass(frozen=True, slots=True)
class Exported:
    """How many lines or questions were written, and what was left out for which reason."""

    written: int
    left_out: dict[str, int]


def is_test(query: str) -> bool:
    """Whether a query belongs to the test split."""
    return int(hashlib.sha256(query.encode()).hexdigest()[:8], 16) % TEST_SHARE == 0


def pairs(said: Sequence[Feedback]) -> tuple[list[dict[str, Any]], Exported]:
    """A query and a passage that answers it, for each passage that an answer rated up cites.

    `negative_documents` are those that answers to the same query cite which were rated down, and none rated up.
    """
    good, bad = _cited(said, "up"), _cited(said, "down")
    left_out: defaultdict[str, int] = defaultdict(int)
    found = []
    for each in _rated(said, "up"):
        if is_test(each.searched):
            left_out["of the test split"] += 1
            continue
        if not each.cited:
            left_out["without a citation"] += 1
            continue
        for passage in each.cited:
            if passage.text is None:
                left_out["a passage that is no longer indexed"] += 1
                continue
            found.append(
                {
                    "query": each.searched,
                    "positive_document": passage.document,
                    "positive_text": passage.text,
                    "negative_documents": sorted(bad[each.searched] - good[each.searched]),
                    "rating": each.rating,
                    "answer_id": each.answer_id,
                    "created": each.created,
                }
            )
    return found, Exported(len(found), dict(left_out))


def write_dataset(folder: Path, said: Sequence[Feedback], collection: str) -> Exported:
    """A folder that `librarian eval retrieval` reads: the queries of answers rated up, and the documents they cite.

    The documents are those of `collection`; feedback on another one is left out. Raises BadInput where the folder holds
    another dataset or cannot be written, and where no question is left.
    """
    rated = _rated(said, "up")
    here = [each for each in rated if each.collection == collection]
    good = _cited(here, "up")
    judged = {query: sorted(documents) for query, documents in good.items() if documents}
    left_out = {
        "of another collection": len(rated) - len(here),
        "without a citation": sum(not each.cited for each in here),
    }
    if not judged:
        raise BadInput(f"no answer from '{collection}' that cites a document was rated up yet: there is no question.")
    folder = folder.expanduser()
    if (folder / QUERIES).exists() and not _is_ours(folder / FACTS):
        raise BadInput(f"{folder} holds a dataset that was not made from feedback; name another folder (--out).")
    facts = {"name": folder.resolve().name, "feedback": True, "collection": collection}
    ids = {query: hashlib.sha256(query.encode()).hexdigest()[:16] for query in judged}
    files = {
        FACTS: json.dumps(facts, indent=1, ensure_ascii=False) + "\n",
        QUERIES: lines({"_id": ids[query], "text": query} for query in judged),
    }
    for split in ("test", "train"):
        rows = [
            f"{ids[query]}\t{document}\t1\n"
            for query, documents in judged.items()
            if is_test(query) == (split == "test")
            for document in documents
        ]
        files[f"qrels/{split}.tsv"] = "query-id\tcorpus-id\tscore\n" + "".join(rows) if rows else ""
    for name, text in files.items():
        write(folder / name, text)
    return Exported(len(judged), {reason: count for reason, count in left_out.items() if count})


def everything(said: Sequence[Feedback]) -> list[dict[str, Any]]:
    """All that is known of each."""
    return [asdict(each) for each in said]


def lines(objects: Iterable[dict[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


def write(file: Path, text: str) -> None:
    """Write a file, with its folder; without a text there is none. Raises BadInput where that is not possible."""
    try:
        if not text:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror or error} (--out).") from None


def _rated(said: Sequence[Feedback], rating: str) -> list[Feedback]:
    return [each for each in said if each.rating == rating]


def _cited(said: Sequence[Feedback], rating: str) -> defaultdict[str, set[str]]:
    """The documents that answers with this rating cite, by query."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for each in _rated(said, rating):
        found[each.searched].update(passage.document for passage in each.cited)
    return found


def _is_ours(path: Path) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("feedback") is True
