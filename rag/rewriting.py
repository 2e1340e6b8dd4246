"""A follow-up and its conversation to one query that can be searched by itself.

Rules come first: a question that stands alone is searched as it is, so that a new topic is never mixed with the old.
One that leans on the conversation takes terms from it along: the user's own, the latest first; and where these are too
few, the latest answer's. A chat model may write the query instead, where the setting says so; what it writes is taken
only if it reads as a question made of the conversation's words.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rag.errors import BadInput, ModelUnavailable
from rag.followups import Sign, content_words, sign_of_dependence
from rag.prompt import neutralise
from rag.schema import Message

if TYPE_CHECKING:
    from rag.generation import ChatModel

Rewrite = Literal["off", "rules", "model"]

# Terms taken along at most. Fewer miss the topic of a conversation that went on for long; more drown the question.
TERMS = 8
# Where the user said fewer, the latest answer lends its own, up to so many in all.
FEW_TERMS = 3
# How far back, and how much of each message, is looked at: what bounds the time.
TURNS = 6
CHARACTERS = 2000
# The language whose follow-ups the rules know, as `bm25_language` names it.
LANGUAGE = "english"

MODEL_TOKENS = 64
MODEL_SECONDS = 10.0
MODEL_MESSAGES = 6
MODEL_CHARACTERS = 600  # of one message
MAX_WORDS = 40
# The share of a model's content words that must stand in the conversation, and of the question's that must be left.
FROM_CONVERSATION = 0.7

_INSTRUCTION = (
    "Rewrite the user's last message as one question that can be understood without the conversation. Put the names of "
    "things in place of words like 'it' or 'they'. Do not answer it. Write the question only."
)
_LABELS = ("standalone question:", "rewritten question:", "question:", "query:")
_STARTS = (
    "what which who whom whose when where why how is are was were do does did can could will would should may has have "
    "tell describe explain list show give compare summarize find"
)
_QUESTION_WORDS = frozenset(_STARTS.split())


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What to search for. `by` says who wrote it ("none": the question is as it was), `sign` why it was rewritten."""

    text: str
    by: Literal["none", "rules", "model"] = "none"
    sign: Sign | None = None


def rewrite(question: str, history: Sequence[Message], language: str = LANGUAGE) -> Rewritten:
    """The question with the conversation's terms behind it, where it needs them. `history` has the latest turn last.

    The same for the same input; time is linear in the question's length, whatever the history's.
    """
    sign = sign_of_dependence(question) if history and language == LANGUAGE else None
    if sign is None:
        return Rewritten(question)
    terms = carried_terms(question, history)
    return Rewritten(" ".join([question.strip(), *terms]), "rules", sign) if terms else Rewritten(question)


def carried_terms(question: str, history: Sequence[Message]) -> list[str]:
    """Content words of the user's earlier turns that the question does not have, those of the latest turn first."""
    seen = {each.casefold() for each in content_words(question)}
    found: list[str] = []

    def take(words: Sequence[str], count: int) -> None:
        for word in words:
            if len(found) >= count:
                return
            if word.casefold() not in seen:
                seen.add(word.casefold())
                found.append(word)

    for turn in reversed(_said_by(history, "user")[-TURNS:]):
        take(content_words(turn), TERMS)
    if len(found) < FEW_TERMS:
        for answer in _said_by(history, "assistant")[-1:]:
            take(_salient(content_words(answer)), FEW_TERMS)
    return found


def _said_by(history: Sequence[Message], role: str) -> list[str]:
    return [each.content[:CHARACTERS] for each in history if each.role == role]


def _salient(words: Sequence[str]) -> list[str]:
    """Names first, then what is said most often; equal ones in the text's order."""
    folded = [each.casefold() for each in words]
    times = Counter(folded)
    names = Counter(each.casefold() for each in words if each[0].isupper())
    order = sorted(range(len(words)), key=lambda place: (-names[folded[place]], -times[folded[place]], place))
    return [words[place] for place in order]


async def rewrite_with_model(
    question: str, history: Sequence[Message], model: ChatModel, language: str = LANGUAGE
) -> Rewritten:
    """As `rewrite`, but in the model's words. It is asked only where the rules see that the question leans on history.

    The rules' own query where the model is gone, slow (10 s), or writes what is no such question. Raises nothing.
    """
    ruled = rewrite(question, history, language)
    if ruled.sign is None:
        return ruled
    try:
        async with asyncio.timeout(MODEL_SECONDS):
            written = await _ask(question, history, model)
    except (ModelUnavailable, BadInput, TimeoutError):
        return ruled
    text = usable(written, question, history)
    return Rewritten(text, "model", ruled.sign) if text else ruled


def usable(written: str, question: str, history: Sequence[Message]) -> str | None:
    """The question in what a model wrote; None where it is empty, too long, an answer, or about something else."""
    lines = [each.strip() for each in written.strip().splitlines() if each.strip()]
    if len(lines) != 1:
        return None
    text = lines[0]
    for label in _LABELS:
        if text.casefold().startswith(label):
            text = text[len(label) :]
    text = text.strip().strip("\"'“”`*").strip()
    words = text.split()
    if not words or len(words) > MAX_WORDS:
        return None
    if not text.endswith("?") and words[0].casefold() not in _QUESTION_WORDS:
        return None
    own, asked = _folded(text), _folded(question)
    said = asked.union(*(_folded(each.content[:CHARACTERS]) for each in history[-2 * TURNS :]))
    if not own or len(own & said) < FROM_CONVERSATION * len(own) or 2 * len(own & asked) < len(asked):
        return None
    return text


def _folded(text: str) -> frozenset[str]:
    """Content words cut to their first six letters: a crude stem, enough to compare."""
    return frozenset(each.casefold()[:6] for each in content_words(text))


async def _ask(question: str, history: Sequence[Message], model: ChatModel) -> str:
    from rag.generation import Sampling

    names = {"user": "User", "assistant": "Assistant"}
    turns = [each for each in history if each.role in names][-MODEL_MESSAGES:]
    said = [f"{names[each.role]}: {_short(each.content)}" for each in turns]
    conversation = "\n".join([*said, f"User: {_short(question)}"])
    messages = [Message("system", _INSTRUCTION), Message("user", f"{conversation}\n\nStandalone question:")]
    written = ""
    deltas = model.stream(messages, MODEL_TOKENS, Sampling(temperature=0.0))
    async with aclosing(deltas):
        async for delta in deltas:
            written += delta.text
    return written


def _short(text: str) -> str:
    return neutralise(" ".join(text[:MODEL_CHARACTERS].split()))
