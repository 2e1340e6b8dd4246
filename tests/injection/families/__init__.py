"""The hostile documents, by family."""

from __future__ import annotations

from tests.injection.case import Case
from tests.injection.families import answers, delimiters, facts, hidden, tokens, turns, unseen

FAMILIES: dict[str, list[Case]] = {
    "control tokens": tokens.CASES,
    "turns and orders": turns.CASES,
    "delimiters and sources": delimiters.CASES,
    "hidden text": hidden.CASES,
    "unseen characters": unseen.CASES,
    "obeying answers": answers.CASES,
    "names and metadata": facts.CASES,
}
ALL = [case for cases in FAMILIES.values() for case in cases]
