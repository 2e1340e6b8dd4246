"""The chunking corpora as a dataset of documents, to guard a promotion with: `librarian tune promote … --guard OUT`.

    python benchmarks/guard_sets.py OUT [--data ../shared/data/chunking] [--size 1500]

The five corpora are one long text each, and their questions name spans. Each text is cut into documents of about SIZE
characters, at the ends of lines or sentences, never within a span that answers a question; the documents that hold a
question's spans are judged to answer it. OUT is in the BEIR layout, so every command that takes a dataset takes it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

# This file is called as the package is: the package's folder must come before this one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from chunking_scoring import Question, Range, load

SIZE = 1500
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "chunking"

_ENDS = re.compile(r"\n|(?<=[.!?])\s")


def cut(text: str, gold: Sequence[Range], size: int) -> list[Range]:
    """The text's parts, in order and without gaps: each ends with the first line or sentence that ends `size` or more
    characters after its start and outside of all `gold` spans; the last ends with the text."""
    parts, start = [], 0
    for found in _ENDS.finditer(text):
        end = found.end()
        if end - start >= size and not any(first < end < last for first, last in gold):
            parts.append((start, end))
            start = end
    return [*parts, (start, len(text))] if start < len(text) else parts


def write(out: Path, corpora: dict[str, str], questions: Sequence[Question], size: int) -> tuple[int, int]:
    """Write the dataset; how many documents and judgements it has."""
    records, judged = [], []
    for corpus, text in corpora.items():
        asked = [(number, each) for number, each in enumerate(questions) if each.corpus == corpus]
        parts = cut(text, [span for _, each in asked for span in each.gold], size)
        for number, (start, end) in enumerate(parts):
            records.append({"_id": f"{corpus}-{number}", "text": text[start:end]})
            judged += [
                (each, f"{corpus}-{number}")
                for each, question in asked
                if any(start < last and first < end for first, last in question.gold)
            ]
    (out / "qrels").mkdir(parents=True, exist_ok=True)
    queries = [{"_id": f"q{number}", "text": each.text} for number, each in enumerate(questions)]
    for name, rows in (("corpus", records), ("queries", queries)):
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows)
        (out / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    rows = "".join(f"q{query}\t{document}\t1\n" for query, document in sorted(judged))
    (out / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}", encoding="utf-8")
    return len(records), len(judged)


def main() -> int:
    """Write it and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to be written")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the corpora and questions_df.csv")
    parser.add_argument("--size", type=int, default=SIZE, help=f"characters of a document at least (default: {SIZE})")
    given = parser.parse_args()
    corpora, questions = load(given.data)
    documents, judgements = write(given.out, corpora, questions, given.size)
    print(f"{given.out}: {len(questions)} questions, {documents} documents, {judgements} judgements")
    return 0


if __name__ == "__main__":
    sys.exit(main())
