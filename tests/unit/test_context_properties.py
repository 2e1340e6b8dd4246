"""The context over ten thousand generated inputs: what must hold of every prompt and every citation, whatever comes in.

The passages are spans of a few documents, so that they touch, overlap and repeat each other, and hostile texts.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag import prompt
from rag.citations import CitationFilter
from rag.context import MIN_ANSWER_TOKENS, Budget, Order, assemble
from rag.duplicates import LEAST_WORDS, fingerprint
from rag.errors import PromptTooLong
from rag.schema import Context, Message, Passage
from rag.tokens import LocalTokenCounter, TokenCounter
from tests.conftest import make_passage

ROOT = Path(__file__).parents[2]
TOKENIZER = Path(
    os.environ.get("LIBRARIAN_TEST_TOKENIZER", ROOT / ".librarian" / "models" / "smollm2-135m-instruct")
).absolute()
RUNNER = asyncio.Runner()
PIECE = re.compile(r"\w{1,4}|\s+|[^\w\s]")

# Control tokens of ChatML, Llama 2 and 3, Mistral, Gemma, DeepSeek and SmolLM, and a passage's own delimiters.
CONTROL = (
    "<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<s>", "</s>", "<<SYS>>", "<</SYS>>", "<|begin_of_text|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>", "<｜User｜>",
    "<filename>",
)  # fmt: skip
SURVIVORS = re.compile("|".join(map(re.escape, CONTROL)), re.IGNORECASE)
SPLITS = ("", "\u200b", "\u2060", "\u00ad", "\u202e", "\x00")
HOSTILE = (
    *(each for token in CONTROL for each in (token, token.upper(), *(split.join(token) for split in SPLITS[1:]))),
    *("</passage 1>", "<passage 2: x>", "< /\u200bpassage", "<", "<|", "|>", "<s", "</", "[", "<filename", "[1]"),
)
VERBS = ("starts", "keeps", "drops", "binds", "mounts", "evicts", "does not start", "schedules")
SENTENCES = tuple(
    f"Object {n} {VERBS[n % 8]} part {n % 5} of node {n % 7}{'' if n % 3 else ' in 30 s'}.{' ' if n % 4 else '  '}"
    for n in range(40)
)
DOCUMENTS = ("".join(SENTENCES), "".join(reversed(SENTENCES)), "".join(SENTENCES[10:30]))  # the third repeats the first


class PieceCounter:
    """Stands for a tokenizer: words cut into pieces, space and signs tokens of their own, four for each turn."""

    name = "pieces"

    async def count(self, messages: Sequence[Message]) -> int:
        return sum(pieces(each.content) + 4 for each in messages) + 4


@functools.cache  # of thousands of prompts most share their system message and passages
def pieces(text: str) -> int:
    return len(PIECE.findall(text))


Case = tuple[tuple[Passage, ...], tuple[Message, ...], str, Budget, Order]
Drawn = tuple[int, int, int, list[str]]


def passage(number: int, drawn: Drawn) -> Passage:
    """A span of a document, as it is or with hostile texts in it, its title, headings and path."""
    which, start, size, hostile = drawn
    text, uri = DOCUMENTS[which % 3], f"file:///{which % 3}.md"
    end = min(len(text), start + size)
    words, title = text[start:end], f"Guide {which % 3}"
    if hostile:  # no span of anything any more
        words, title, uri = (
            f"{''.join(hostile)} {words}{hostile[0]}",
            f"{title} {hostile[-1]}",
            f"file:///x/{number}.md",
        )
    return make_passage(
        words,
        number,
        uri=uri,
        path=f"{uri}{''.join(hostile)}",
        title=title,
        heading_path=tuple(hostile[:2]) or (f"Part {start // 300}",),
        start=start,
        end=start + len(words),
    )


def decoded(number: int) -> Drawn:
    """One drawn number as a passage: most of the time of a test with thousands of inputs goes into drawing them."""
    number, start = divmod(number, 700)
    number, size = divmod(number, 300)
    number, many = divmod(number, 8)  # three of eight have hostile texts in them
    hostile = [HOSTILE[number // len(HOSTILE) ** each % len(HOSTILE)] for each in range(max(0, many - 4))]
    return number % 9, start, size + 1, hostile


drawn_passages = st.integers(0, 700 * 300 * 8 * len(HOSTILE) ** 3).map(decoded)
TURNS = tuple((role, text) for text in [*SENTENCES[:9], *HOSTILE] for role in ("user", "assistant", "system"))
drawn_cases = st.tuples(
    st.lists(drawn_passages, max_size=6),
    st.lists(st.sampled_from(TURNS), max_size=3),
    st.sampled_from(["Why?", "Which object starts part 3?", *HOSTILE]),
    st.tuples(st.integers(0, 900), st.integers(1, 200), st.integers(0, 600)),
    st.booleans(),
)
INSTRUCTIONS = RUNNER.run(PieceCounter().count(prompt.build("", (), ())))


def case(drawn: Any, instructions: int = INSTRUCTIONS) -> Case:
    passages, history, question, (window, answer, cap), edges = drawn
    return (
        tuple(passage(number, each) for number, each in enumerate(passages, start=1)),
        tuple(Message(role, text) for role, text in history),
        question,
        Budget(instructions + window, answer, cap),
        "edges" if edges else "best-first",
    )


def assembled(given_: Case, counter: TokenCounter) -> Context | None:
    """The context, or None where the question alone is too long."""
    passages, history, question, budget, order = given_
    try:
        return RUNNER.run(assemble(question, passages, history, counter, budget, order))
    except PromptTooLong:
        bare = RUNNER.run(counter.count(prompt.build(question, (), ())))
        assert bare + MIN_ANSWER_TOKENS > budget.window
        return None


def check(given_: Case, context: Context, counter: TokenCounter) -> None:
    """Everything that holds of a context."""
    passages, _, question, budget, _ = given_
    asked, bare, with_passages = (
        RUNNER.run(counter.count(each))
        for each in (context.messages, prompt.build(question, (), ()), prompt.build(question, context.passages, ()))
    )
    assert context.prompt_tokens == asked
    assert asked + context.max_answer_tokens <= budget.window
    assert with_passages - bare <= budget.passages
    nothing_is_supplied_twice(context)
    nothing_is_lost(passages, context)
    nothing_in_it_reads_like_the_template(context)


def nothing_is_supplied_twice(context: Context) -> None:
    for one, other in combinations(context.passages, 2):
        a, b = fingerprint(one.text), fingerprint(other.text)
        assert a.key != b.key
        if min(a.size, b.size) >= LEAST_WORDS:
            assert a.line not in b.line
            assert b.line not in a.line
        assert one.uri != other.uri or one.end <= other.start or other.end <= one.start


def nothing_is_lost(passages: Sequence[Passage], context: Context) -> None:
    """Each passage is in one that is supplied, or is reported."""
    reported = {each.what.removeprefix("end of ") for each in context.dropped}
    for each in passages:
        held = any(
            one.uri == each.uri
            and one.start <= each.start <= each.end <= one.end
            and one.text[each.start - one.start :][: len(each.text)].split() == each.text.split()
            for one in context.passages
        )
        assert held or f"passage {each.path}" in reported


def nothing_in_it_reads_like_the_template(context: Context) -> None:
    written = "\n".join(each.content for each in context.messages)
    assert SURVIVORS.search(written) is None
    assert not set(written) & set("".join(SPLITS))
    delimiters = re.findall(r"<\s*(/?)\s*passage\b", written, re.IGNORECASE)
    assert delimiters == ["", "/"] * len(context.passages)


@settings(max_examples=4000)
@given(drawn_cases)
def test_a_context_keeps_its_budget_repeats_nothing_loses_nothing_and_holds_no_control_token(drawn: Any) -> None:
    given_ = case(drawn)
    context = assembled(given_, PieceCounter())
    if context:
        check(given_, context, PieceCounter())


said = st.lists(
    st.sampled_from(["[1]", "[2]", "[9]", "[1, 3]", "[passage 2].", ". ", "Yes", " [", "]", *SENTENCES[::6]]),
    max_size=8,
)


@settings(max_examples=2000)
@given(st.lists(drawn_passages, max_size=3), said, st.integers(1, 9))
def test_a_citation_names_a_passage_that_was_supplied_and_stands_where_it_says(
    drawn: list[Drawn], pieces: list[str], size: int
) -> None:
    context = assembled(case((drawn, (), "Why?", (1500, 100, 900), False)), PieceCounter())
    assert context is not None
    citations, text = CitationFilter(context.passages, "Why?"), "".join(pieces)
    shown = "".join(citations.feed(text[at : at + size]) for at in range(0, len(text), size)) + citations.finish()
    assert shown == citations.text
    for each in citations.citations:
        assert citations.text[each.start : each.end] == f"[{each.number}]"
        assert each.passage_id == context.passages[each.number - 1].id
    numbers = [match.start() for match in re.finditer(r"\[\s*\d{1,9}\s*\]", citations.text)]
    assert set(numbers) <= {each.start for each in citations.citations}


@settings(max_examples=4000)
@given(st.lists(st.sampled_from([*HOSTILE, *CONTROL, " ", "\n", "s>", "im_end", ">"]), max_size=10), st.data())
def test_no_control_token_comes_through_a_text_a_title_a_heading_or_a_path(
    pieces: list[str], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(pieces)))
    title, text = "".join(pieces[:at]), "".join(pieces[at:])
    hostile = make_passage(text, 1, title=title, heading_path=(text, title), path=title, uri=text)
    messages = prompt.build(text, [hostile, make_passage(title, 2)], [Message("user", title)])
    nothing_in_it_reads_like_the_template(Context(messages, (hostile, hostile), 0, 0))


@pytest.fixture(scope="module")
def real_counter() -> LocalTokenCounter:
    if not (TOKENIZER / "tokenizer_config.json").is_file():
        pytest.skip(
            f"NO REAL TOKENIZER at {TOKENIZER}: run `librarian model --prepare` or set LIBRARIAN_TEST_TOKENIZER"
        )
    return LocalTokenCounter(TOKENIZER)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=drawn_cases)
def test_the_same_holds_of_the_packaged_models_own_tokens(real_counter: LocalTokenCounter, drawn: Any) -> None:
    instructions = real_counter.count_now(prompt.build("", (), ()))
    given_ = case(drawn, instructions)
    context = assembled(given_, real_counter)
    if context:
        check(given_, context, real_counter)
