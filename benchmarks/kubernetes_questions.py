"""Questions about the Kubernetes pages, written for training, as `librarian tune pairs --feedback` reads them.

    python benchmarks/kubernetes_questions.py --out questions.jsonl
    librarian tune pairs --feedback questions.jsonl --documents ../shared/data/kubernetes/pages --out pairs

kubernetes_questions.tsv holds page, question and words that mark the answer's place; adapter_kubernetes.tsv's questions
have their answers there. All were written with the help of a large language model from the pages alone: none is of the
420 queries by which retrieval is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

# This file is called as the package is: the package's folder must come before this one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from adapter_data import question_rows
from kubernetes_pages import kubernetes_sections

from rag.embedded import embedded_text
from rag.tuning.adapter.windows import window

HERE = Path(__file__).resolve()
PAGES = HERE.parents[2] / "shared" / "data" / "kubernetes" / "pages"
FILES = ("kubernetes_questions.tsv", "adapter_kubernetes.tsv")
WORDS = 70  # of a passage: about a chunk


def lines(pages: Path) -> Iterator[dict[str, str]]:
    """One object for each question whose answer's place is still found."""
    draw = Random(0)
    for file in FILES:
        for page, question, quote in question_rows(HERE.with_name(file)):
            text = (pages / page).read_text(encoding="utf-8")
            for section in kubernetes_sections(page, text):
                start = section["text"].find(quote)
                if start >= 0:
                    first, last = window(section["text"], WORDS, draw, (start, start + len(quote)))
                    title, *headings = section["title"].split(" > ")
                    passage = embedded_text(title, headings, section["text"][first:last])
                    yield {"query": question, "positive_document": page, "positive_text": passage}
                    break


def main() -> int:
    """Write them and say how many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--pages", type=Path, default=PAGES, help="folder of the pages")
    given = parser.parse_args()
    found = list(lines(given.pages))
    given.out.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in found), encoding="utf-8")
    print(f"{len(found)} questions: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
