"""Questions to make pairs of, and which documents answer them: from judgements, from feedback, from headings, from the
model. Documents go by their URI in the index from here on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from eval.datasets import Dataset, read_objects
from eval.make.candidates import Candidate, Section, in_turn
from eval.make.headings import question_from
from rag.embedded import embedded_text
from rag.tuning.errors import BadPairs
from rag.tuning.mining import Question, bare_text


def from_qrels(dataset: Dataset, uris: Mapping[str, str], dropped: Counter[str]) -> list[Question]:
    """A question for each query, with the documents that are relevant to it; `uris` by the judgements' names."""
    found = []
    for query in dataset.queries:
        judged = dataset.qrels[query.id]
        right = tuple(uris[name] for name, grade in judged.items() if grade > 0 and name in uris)
        wrong = tuple(uris[name] for name, grade in judged.items() if grade <= 0 and name in uris)
        if right:
            found.append(Question(query.text, right, "qrels", wrong=wrong))
        else:
            dropped["qrels: no relevant document is in the index"] += 1
    return found


def from_feedback(path: Path, uris: Mapping[str, str], dropped: Counter[str]) -> list[Question]:
    """A question for each line of what `librarian feedback export --format pairs` writes.

    A line that names no document that answered is dropped: what does not answer teaches nothing alone. Raises
    DatasetError for a file that is none, BadPairs for a line without a query.
    """
    found = []
    for number, line in read_objects(path):
        query, right = line.get("query"), line.get("positive_document")
        if not isinstance(query, str) or not query.strip():
            raise BadPairs(f"{path} line {number} has no query: export it with `librarian feedback export`.")
        uri = uris.get(str(right)) if right else None
        if uri is None:
            dropped["feedback: it names no document of the index that answered"] += 1
            continue
        given = line.get("negative_documents") or []
        wrong = tuple(uris[str(each)] for each in given if str(each) in uris)
        text = line.get("positive_text")
        passage = text if isinstance(text, str) and text.strip() else None
        found.append(Question(query.strip(), (uri,), "feedback", passage, wrong))
    return found


def feedback_documents(path: Path) -> set[str]:
    """The documents that feedback names, as it names them. Raises DatasetError."""
    found: set[str] = set()
    for _, line in read_objects(path):
        found.update(
            str(each) for each in [line.get("positive_document"), *(line.get("negative_documents") or [])] if each
        )
    return found


def from_structure(
    sections: Sequence[Section], uris: Mapping[str, str], number: int, seed: int, dropped: Counter[str]
) -> list[Question]:
    """Up to `number` questions from headings, a fair share from every document. The text that answers stands without
    the heading that the question was made from."""
    draw = Random(seed)  # noqa: S311 - wording is no secret
    found: dict[str, Question] = {}
    for section in in_turn(list(sections), seed):
        if len(found) >= number:
            break
        text = question_from(section.title, section.headings, draw)
        if text is None:
            dropped["structure: the heading says too little"] += 1
        elif (plain := " ".join(text.casefold().split())) in found:
            dropped["structure: the same as another"] += 1
        else:
            passage = bare_text(section.title, section.headings, section.text)
            found[plain] = Question(text, (uris[section.document],), "structure", passage, bare=True)
    return list(found.values())


def from_model(kept: Sequence[tuple[Candidate, int]], uris: Mapping[str, str]) -> list[Question]:
    """Questions that the chat model wrote and that led back to their document."""
    found = []
    for candidate, _ in kept:
        section = candidate.section
        if candidate.kind == "model" and section.document in uris:
            passage = embedded_text(section.title, section.headings, section.text)
            found.append(Question(candidate.text, (uris[section.document],), "model", passage))
    return found
