"""From a heading to the question that its section answers, by rules: no model, and always the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from rag.citations import content_words

MAX_WORDS = 25
MAX_CHARACTERS = 200

# Headings that every document has and nobody asks for.
_GENERIC_WORDS = """
overview introduction summary conclusion conclusions contents references notes note background example examples
appendix index abstract preface foreword acknowledgements acknowledgments changelog faq glossary usage details
description general other miscellaneous requirements prerequisites objectives synopsis discussion results methods
next-steps what's-next see-also further-reading before-you-begin table-of-contents getting-started cleaning-up clean-up
external-links learn-more history options parameters syntax home readme license feedback
"""
_GENERIC = frozenset(_GENERIC_WORDS.split())
_VERB_WORDS = """
access add adopt allow apply assign attach audit authenticate automate back build bind bring change check choose clean
clone collect compare compile configure connect convert copy create customize debug declare define delete deploy
design detect determine develop diagnose disable discover display download drain edit enable encrypt enforce evaluate
expose extend extract fetch filter find fix force format generate get grant handle identify implement import improve
increase inspect install integrate invoke isolate join keep launch limit list load locate log manage map measure merge
migrate mirror modify monitor mount move open optimize order organize override parse pass patch perform plan prepare
prevent print protect provide provision publish pull push query read rebuild reclaim recover reduce register reload
remove rename replace report request reset resize resolve restart restore restrict retrieve return review revoke roll
rotate run save scale schedule search secure select send serve set share shut sign specify start stop store submit
switch sync tag test transfer troubleshoot tune turn uninstall update upgrade upload use validate verify view
visualize visit watch write seek
"""
_VERBS = frozenset(_VERB_WORDS.split())
# English has no rule for which consonants double: all forms are there, and nobody writes the wrong ones.
_GERUNDS = {
    form: verb
    for verb in sorted(_VERBS)
    for form in (f"{verb}ing", f"{verb}{verb[-1]}ing", f"{verb.removesuffix('e')}ing")
}
_NUMBERING = re.compile(r"^(?:(?:step|chapter|section|part)\s+)?\d{1,3}(?:\.\d{1,3}){0,4}[.):]?\s+", re.IGNORECASE)
_MARKUP = re.compile(r"[`*]|\{#[^{}]*\}|\s+")
_FRONT = re.compile(r"^(how to|when to|where to|what to|why|how|when|where|what|who|which)\b\s*(.*)$", re.IGNORECASE)
_ABOUT = ("What should I know about {}?", "Can you explain {}?", "What is meant by {}?")


def question_from(title: str, heading_path: Sequence[str], draw: Random) -> str | None:
    """A question that the section below the last heading answers, or None where the heading is no good for one.

    A heading that is a question stays as it is. "How to X", "Create X" and "Creating X" become questions in the first
    person. Anything else is asked about, within its parent where one content word alone would be about anything. Which
    wording is taken depends on `draw`.
    """
    headings = [_clean(each) for each in heading_path] or [_clean(title)]
    heading = headings[-1]
    parent = next((each for each in reversed([_clean(title), *headings[:-1]]) if each and each != heading), "")
    if not heading or _is_generic(heading):
        return None
    question = _as_question(heading, parent, draw)
    long = len(question) > MAX_CHARACTERS or len(question.split()) > MAX_WORDS
    return None if long or len(content_words(question)) < 2 else question


def _as_question(heading: str, parent: str, draw: Random) -> str:
    if heading.endswith("?"):
        return heading
    bare = heading.rstrip(".:!… ")
    if front := _FRONT.match(bare):
        return _fronted(front[1].casefold(), front[2], bare)
    first, _, rest = bare.partition(" ")
    if first.casefold() in _VERBS and rest:
        return f"How do I {first.casefold()} {rest}{_within(bare, parent)}?"
    if rest and (verb := _GERUNDS.get(first.casefold())):
        return f"How do I {verb} {rest}{_within(bare, parent)}?"
    if first.casefold() in {"i", "my"}:
        return f"What should I do when {_lowered(bare)}?"
    return draw.choice(_ABOUT).format(_lowered(bare) + _within(bare, parent))


def _fronted(word: str, rest: str, whole: str) -> str:
    if word in {"how to", "when to", "where to", "what to"} and rest:
        asked, does = word.split()[0].capitalize(), "do" if word == "how to" else "should"
        return f"{asked} {does} I {rest}?"
    return f"{whole}?"


def _within(heading: str, parent: str) -> str:
    """A heading of one content word is found in many documents; its parent says which is meant."""
    if len(content_words(heading)) > 1 or not parent or _is_generic(parent) or heading.casefold() in parent.casefold():
        return ""
    return f" in {_lowered(parent.rstrip('?.:! '))}"


def _lowered(text: str) -> str:
    """The first letter small, where only it is large: names and acronyms stay."""
    first, _, rest = text.partition(" ")
    sentence_case = bool(rest) and rest == rest.lower() and first[1:] == first[1:].lower()
    return text[:1].lower() + text[1:] if sentence_case else text


def _clean(text: str) -> str:
    plain = " ".join(_MARKUP.sub(" ", text[: 2 * MAX_CHARACTERS]).split())
    return _NUMBERING.sub("", plain).strip()


def _is_generic(heading: str) -> bool:
    return "-".join(heading.casefold().replace("’", "'").strip(" .:!?").split()) in _GENERIC
