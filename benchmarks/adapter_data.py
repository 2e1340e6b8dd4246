"""Folders of questions for the packaged adapter: of this project's own pages, and of the chunking corpora."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Corpora whose texts may be passed on: in the public domain, and CC BY-SA.
CORPORA = {"state_of_the_union": "State of the Union", "wikitexts": "Encyclopedia"}
AROUND = 700  # characters on either side of a gold excerpt
LONGEST = 32  # words of an answer

_HEADING = re.compile(r"^(#{1,3}) (.*)$", re.MULTILINE)
_WORD = re.compile(r"\w+")


def pages_folder(out: Path, docs: Path, questions: Path) -> int:
    """Questions about the Markdown pages in `docs`, by section; how many still find their answer there.

    `questions` holds page, question and the answer's words, separated by tabs.
    """
    sections = [each for page in sorted(docs.glob("*.md")) for each in _sections(page)]
    queries, judged = [], []
    with questions.open(encoding="utf-8", newline="") as file:
        for number, (page, question, answer) in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)):
            holders = [each for each in sections if each["_id"].startswith(f"{page}#") and answer in each["text"]]
            if not holders:
                continue
            asked = _words(question)
            best = max(holders, key=lambda each: len(asked & _words(f"{each['title']} {each['text']}")))
            places = [match.start() for match in re.finditer(re.escape(answer), best["text"])]
            start = max(places, key=lambda at: len(asked & _words(best["text"][max(0, at - 150) : at + 150])))
            span = {"text": answer, "answer_start": start}
            queries.append({"_id": f"page-{number}", "text": question, "answers": [span]})
            judged.append((f"page-{number}", best["_id"]))
    _write(out, sections, queries, judged)
    return len(queries)


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


def _sections(page: Path) -> list[dict[str, Any]]:
    parts = _HEADING.split(page.read_text(encoding="utf-8"))
    found, title, path = [], "", list[str]()
    for number in range(1, len(parts), 3):
        level, heading, body = len(parts[number]), parts[number + 1], parts[number + 2].strip()
        title, path = (heading, []) if level == 1 else (title, [*path[: level - 2], heading])
        if body:
            found.append({"_id": f"{page.name}#{number}", "title": " > ".join([title, *path]), "text": body})
    return found


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
