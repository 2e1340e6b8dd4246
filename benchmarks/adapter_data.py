"""Folders of questions for the packaged adapter: of this project's own pages, Kubernetes', and the chunking corpora."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kubernetes_pages import kubernetes_sections
from kubernetes_pages import sections as sections_of

# Corpora whose texts may be passed on: in the public domain, and CC BY-SA.
CORPORA = {"state_of_the_union": "State of the Union", "wikitexts": "Encyclopedia"}
AROUND = 700  # characters on either side of a gold excerpt
LONGEST = 32  # words of an answer
APART = 0.15  # share of the Kubernetes pages that are only measured by

_WORD = re.compile(r"\w+")


def pages_folder(out: Path, docs: Path, questions: Path) -> int:
    """Questions about the Markdown pages in `docs`, by section; how many still find their answer there.

    `questions` holds page, question and the answer's words, separated by tabs.
    """
    sections = [
        each for page in sorted(docs.glob("*.md")) for each in sections_of(page.name, page.read_text(encoding="utf-8"))
    ]
    return _asked(out, sections, question_rows(questions))


def kubernetes_folders(out: Path, apart: Path, pages: Path, questions: Path) -> tuple[int, int]:
    """Questions about the Markdown pages of kubernetes.io in `pages`, by section; how many still find their answer.

    Those of a share of the pages go to `apart`, drawn by the hash of a page's path. `questions` as `pages_folder` has.
    """
    rows = question_rows(questions)
    names = sorted({page for page, _, _ in rows}, key=lambda each: hashlib.sha256(each.encode()).digest())
    held = frozenset(names[: round(len(names) * APART)])
    counts = []
    for folder, inside in ((out, False), (apart, True)):
        ours = [each for each in names if (each in held) == inside]
        sections = [
            each for name in ours for each in kubernetes_sections(name, (pages / name).read_text(encoding="utf-8"))
        ]
        counts.append(_asked(folder, sections, [each for each in rows if (each[0] in held) == inside]))
    return counts[0], counts[1]


def corpora_folder(out: Path, data: Path) -> int:
    """Questions of the chunking corpora that one short excerpt answers, with the text around it; how many."""
    texts: dict[str, dict[str, Any]] = {}
    queries, judged = [], []
    with (data / "questions_df.csv").open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            references = json.loads(row["references"])
            answer = references[0]["content"].strip()
            if row["corpus_id"] not in CORPORA or len(references) != 1 or not 1 < len(answer.split()) <= LONGEST:
                continue
            whole = (data / "corpora" / f"{row['corpus_id']}.md").read_text(encoding="utf-8")
            found = whole.find(answer)
            if found < 0:
                continue
            start = max(0, found - AROUND)
            start = whole.rfind(" ", 0, start) + 1
            end = whole.find(" ", min(len(whole) - 1, found + len(answer) + AROUND))
            name = f"{row['corpus_id']}#{start}"
            text = whole[start : end if end > 0 else len(whole)]
            texts[name] = {"_id": name, "title": CORPORA[row["corpus_id"]], "text": text}
            queries.append({"_id": f"corpus-{number}", "text": row["question"], "answers": [answer]})
            judged.append((f"corpus-{number}", name))
    _write(out, texts.values(), queries, judged)
    return len(queries)


def question_rows(path: Path) -> list[tuple[str, str, str]]:
    """Page, question and the words that answer, from each line of a file with tabs between."""
    with path.open(encoding="utf-8", newline="") as file:
        found = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(page, question, answer) for page, question, answer in found]


def _asked(out: Path, sections: list[dict[str, Any]], rows: list[tuple[str, str, str]]) -> int:
    queries, judged = [], []
    for page, question, answer in rows:
        holders = [each for each in sections if each["_id"].startswith(f"{page}#") and answer in each["text"]]
        if not holders:
            continue
        asked = _words(question)
        best = max(holders, key=lambda each: len(asked & _words(f"{each['title']} {each['text']}")))
        places = [match.start() for match in re.finditer(re.escape(answer), best["text"])]
        start = max(places, key=lambda at: len(asked & _words(best["text"][max(0, at - 150) : at + 150])))
        span = {"text": answer, "answer_start": start}
        name = f"page-{len(queries)}"
        queries.append({"_id": name, "text": question, "answers": [span]})
        judged.append((name, best["_id"]))
    _write(out, sections, queries, judged)
    return len(queries)


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


def _write(
    out: Path, corpus: Iterable[Mapping[str, Any]], queries: Iterable[Mapping[str, Any]], judged: list[tuple[str, str]]
) -> None:
    (out / "qrels").mkdir(parents=True, exist_ok=True)
    for name, lines in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines)
        (out / name).write_text(text, encoding="utf-8")
    rows = ["query-id\tcorpus-id\tscore", *(f"{query}\t{document}\t1" for query, document in judged)]
    (out / "qrels" / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
