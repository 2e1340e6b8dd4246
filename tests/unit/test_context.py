"""The context: an exact budget that always holds, and a report of everything that was left out."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rag import prompt
from rag.context import MIN_ANSWER_TOKENS, Budget, assemble, ordered
from rag.duplicates import without_repetitions
from rag.errors import PromptTooLong
from rag.schema import Context, Message, Passage
from rag.tokens import ByteTokenCounter
from tests.conftest import WordCounter, make_passage

RUNNER = asyncio.Runner()
INSTRUCTIONS = RUNNER.run(WordCounter().count(prompt.build("", (), ())))  # the prompt around an empty question


@dataclass(frozen=True)
class Case:
    question: str
    passages: tuple[Passage, ...]
    history: tuple[Message, ...]
    budget: Budget

    def assemble(self, counter: WordCounter | None = None) -> Context:
        return RUNNER.run(assemble(self.question, self.passages, self.history, counter or WordCounter(), self.budget))


def words(number: int, word: str = "word") -> str:
    return " ".join([word] * number)


def count(question: str, passages: Sequence[Passage], history: Sequence[Message] = ()) -> int:
    return RUNNER.run(WordCounter().count(prompt.build(question, passages, history)))


def budget(room: int, answer: int = MIN_ANSWER_TOKENS, passages: int = 10_000) -> Budget:
    """A window that leaves `room` tokens for passages and history beside a question of one word and the answer."""
    return Budget(window=count("Why?", ()) + answer + room, answer=answer, passages=passages)


texts = st.one_of(
    st.integers(1, 60).map(words),
    st.lists(st.sampled_from(["pod", "node", "Pod", "\n", "  ", "</passage 1>", "."]), max_size=30).map(" ".join),
)
turns = st.builds(Message, st.sampled_from(["system", "user", "assistant"]), st.integers(0, 40).map(words))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Windows from hopeless to roomy, passages with doubles and giants, histories of any kind."""
    drawn = draw(st.lists(texts, max_size=8))
    passages = tuple(make_passage(text, number) for number, text in enumerate(drawn, start=1))
    return Case(
        draw(st.integers(1, 30).map(words)),
        passages,
        tuple(draw(st.lists(turns, max_size=6))),
        Budget(
            window=INSTRUCTIONS + draw(st.integers(0, 400)),
            answer=draw(st.integers(1, 300)),
            passages=draw(st.integers(0, 300)),
        ),
    )


def given_up(context: Context) -> list[str]:
    """What the context says of passages that are not in it at all."""
    return [each.what.removeprefix("passage ") for each in context.dropped if each.what.startswith("passage ")]


def unfitting(context: Context) -> list[str]:
    """The passages that were left out for want of room."""
    return [each.what for each in context.dropped if each.what.startswith("passage ") and each.reason == "token budget"]


class TestWhateverIsAsked:
    @settings(max_examples=100)
    @given(cases())
    def test_the_budget_holds(self, case: Case) -> None:
        try:
            context = case.assemble()
        except PromptTooLong:
            assert count(case.question, ()) + MIN_ANSWER_TOKENS > case.budget.window
            return
        assert context.prompt_tokens + context.max_answer_tokens <= case.budget.window
        assert context.prompt_tokens == RUNNER.run(WordCounter().count(context.messages))
        assert 1 <= context.max_answer_tokens <= case.budget.answer
        taken = count(case.question, context.passages) - count(case.question, ())
        assert taken <= case.budget.passages

    @settings(max_examples=100)
    @given(cases())
    def test_every_passage_is_either_supplied_or_reported(self, case: Case) -> None:
        try:
            context = case.assemble()
        except PromptTooLong:
            assume(False)
        supplied = [each.path for each in context.passages]
        assert Counter(supplied + given_up(context)) == Counter(each.path for each in case.passages)

    @settings(max_examples=100)
    @given(cases())
    def test_what_is_supplied_is_the_best_of_it_in_order_and_once(self, case: Case) -> None:
        try:
            context = case.assemble()
        except PromptTooLong:
            assume(False)
        unique, _ = without_repetitions(case.passages[: len(case.passages) - len(unfitting(context))])
        whole = [each.id for each in unique]
        assert [each.id for each in context.passages][: len(whole)] == whole or len(context.passages) == 1
        folded = [" ".join(each.text.split()).casefold() for each in context.passages]
        assert len(set(folded)) == len(folded)

    @settings(max_examples=100)
    @given(cases())
    def test_the_messages_hold_what_is_said_to_be_supplied(self, case: Case) -> None:
        try:
            context = case.assemble()
        except PromptTooLong:
            assume(False)
        kept = next(
            number
            for number in range(len(case.history) + 1)
            if prompt.build(case.question, context.passages, case.history[number:]) == context.messages
        )
        reports = [each.what for each in context.dropped if "turns" in each.what]
        assert reports == ([f"{kept} earliest turns of the conversation"] if kept else [])

    @settings(max_examples=100)
    @given(cases())
    def test_counting_by_bytes_keeps_the_budget_as_well(self, case: Case) -> None:
        wide = Budget(case.budget.window * 8, case.budget.answer, case.budget.passages * 8)
        try:
            context = RUNNER.run(assemble(case.question, case.passages, case.history, ByteTokenCounter(), wide))
        except PromptTooLong:
            assume(False)
        assert RUNNER.run(ByteTokenCounter().count(context.messages)) == context.prompt_tokens
        assert context.prompt_tokens + context.max_answer_tokens <= wide.window


class TestPassages:
    def test_where_all_fit_all_are_supplied_and_nothing_is_reported(self) -> None:
        passages = tuple(make_passage(words(5, f"w{number}"), number) for number in range(1, 5))
        context = Case("Why?", passages, (), budget(1000)).assemble()
        assert (context.passages, context.dropped) == (passages, ())

    def test_the_last_ones_are_left_out_first(self) -> None:
        passages = tuple(make_passage(words(50, f"w{number}"), number) for number in range(1, 5))
        room = count("Why?", passages[:2]) - count("Why?", ())
        context = Case("Why?", passages, (), budget(room)).assemble()
        assert context.passages == passages[:2]
        assert [(each.what, each.reason) for each in context.dropped] == [
            ("passage docs/3.md", "token budget"),
            ("passage docs/4.md", "token budget"),
        ]

    def test_one_token_less_leaves_one_more_out(self) -> None:
        passages = tuple(make_passage(words(50, f"w{number}"), number) for number in range(1, 5))
        room = count("Why?", passages[:2]) - count("Why?", ()) - 1
        assert Case("Why?", passages, (), budget(room)).assemble().passages == passages[:1]

    def test_the_cap_holds_in_a_window_with_room_to_spare(self) -> None:
        passages = tuple(make_passage(words(50, f"w{number}"), number) for number in range(1, 5))
        cap = count("Why?", passages[:3]) - count("Why?", ())
        assert Case("Why?", passages, (), budget(5000, passages=cap)).assemble().passages == passages[:3]

    def test_the_same_text_is_supplied_once_and_its_double_is_reported(self) -> None:
        passages = (make_passage("Pods  run.\n", 1), make_passage("Nodes.", 2), make_passage("pods run.", 3))
        context = Case("Why?", passages, (), budget(1000)).assemble()
        assert context.passages == passages[:2]
        assert [(each.what, each.reason) for each in context.dropped] == [
            ("passage docs/3.md", "same text as docs/1.md")
        ]

    def test_one_that_is_too_long_alone_ends_after_the_last_word_that_fits(self) -> None:
        text = " ".join(f"word{number}" for number in range(100))
        passage = make_passage(text, start=7, end=7 + len(text))
        room = count("Why?", [make_passage(words(10))]) - count("Why?", ())
        context = Case("Why?", (passage,), (), budget(room)).assemble()
        (shortened,) = context.passages
        assert shortened.text == " ".join(f"word{number}" for number in range(10))
        assert (shortened.start, shortened.end) == (7, 7 + len(shortened.text))
        assert [(each.what, each.reason) for each in context.dropped] == [("end of passage docs/1.md", "token budget")]

    def test_where_not_one_word_fits_the_passage_is_left_out(self) -> None:
        context = Case("Why?", (make_passage(words(100)),), (), budget(2)).assemble()
        assert context.passages == ()
        assert [each.what for each in context.dropped] == ["passage docs/1.md"]

    def test_one_that_a_worse_one_holds_gives_it_its_place_and_is_reported(self) -> None:
        text = "The scheduler assigns each pending pod to a node that suits it"
        passages = (make_passage(text, 1), make_passage("Nodes.", 2), make_passage(f"{text}, or waits for one.", 3))
        context = Case("Why?", passages, (), budget(1000)).assemble()
        assert [each.path for each in context.passages] == ["docs/3.md", "docs/2.md"]
        assert [(each.what, each.reason) for each in context.dropped] == [("passage docs/1.md", "part of docs/3.md")]

    def test_where_the_one_that_holds_it_does_not_fit_it_stays(self) -> None:
        text = "The scheduler assigns each pending pod to a node that suits it"
        passages = (make_passage(text, 1), make_passage(f"{text} {words(500)}", 2))
        context = Case("Why?", passages, (), budget(100)).assemble()
        assert context.passages == passages[:1]
        assert [(each.what, each.reason) for each in context.dropped] == [("passage docs/2.md", "token budget")]

    def test_those_that_touch_are_supplied_as_one_and_nothing_is_reported(self) -> None:
        text = " ".join(f"word{number}" for number in range(40))
        parts = [(20 * 6 + 10, len(text)), (0, 20 * 6 + 10)]
        passages = tuple(
            make_passage(text[start:end], number, uri="a", title="a", start=start, end=end)
            for number, (start, end) in enumerate(parts, 1)
        )
        context = Case("Why?", passages, (), budget(1000)).assemble()
        assert [each.text for each in context.passages] == [text]
        assert context.dropped == ()


class TestOrder:
    def test_the_edges_have_the_best(self) -> None:
        passages = [make_passage(f"{number}", number) for number in range(1, 7)]
        assert [each.text for each in ordered(passages, "edges")] == ["1", "3", "5", "6", "4", "2"]
        assert ordered(passages, "best-first") == passages

    def test_the_order_changes_nothing_of_what_is_supplied(self) -> None:
        passages = tuple(make_passage(words(50, f"w{number}"), number) for number in range(1, 7))
        room = count("Why?", passages[:4]) - count("Why?", ())
        case = Case("Why?", passages, (), budget(room))
        edges = RUNNER.run(assemble("Why?", passages, (), WordCounter(), case.budget, "edges"))
        assert list(edges.passages) == ordered(case.assemble().passages, "edges")
        assert [each.path for each in edges.passages] == [f"docs/{number}.md" for number in (1, 3, 4, 2)]

    def test_the_same_passages_give_the_same_bytes(self) -> None:
        passages = tuple(make_passage(words(9, f"w{number}"), number) for number in range(1, 7))
        again = tuple(make_passage(words(9, f"w{number}"), number, score=0.5) for number in range(1, 7))
        prompts = {Case("Why?", each, (), budget(1000)).assemble().messages for each in (passages, again)}
        assert len(prompts) == 1


class TestHistory:
    TURNS = tuple(Message("user" if number % 2 else "assistant", words(10, f"t{number}")) for number in range(6))

    def test_the_latest_turns_are_kept(self) -> None:
        room = count("Why?", (), self.TURNS[4:]) - count("Why?", ())
        context = Case("Why?", (), self.TURNS, budget(room)).assemble()
        assert context.messages[1:-1] == self.TURNS[4:]
        assert [each.what for each in context.dropped] == ["4 earliest turns of the conversation"]

    def test_passages_come_before_history(self) -> None:
        passages = (make_passage(words(50)),)
        room = count("Why?", passages) - count("Why?", ())
        context = Case("Why?", passages, self.TURNS, budget(room)).assemble()
        assert context.passages == passages
        assert context.messages[1:-1] == ()

    def test_a_history_that_fits_is_kept_whole(self) -> None:
        context = Case("Why?", (), self.TURNS, budget(1000)).assemble()
        assert context.messages[1:-1] == self.TURNS
        assert context.dropped == ()


class TestTheQuestion:
    def test_one_that_leaves_no_room_for_an_answer_is_refused_with_both_numbers(self) -> None:
        tight = Budget(window=count("Why?", ()) + MIN_ANSWER_TOKENS - 1, answer=16, passages=100)
        with pytest.raises(PromptTooLong, match=rf"takes {count('Why?', ())} of the model's {tight.window} tokens"):
            Case("Why?", (), (), tight).assemble()

    def test_one_that_leaves_just_enough_is_asked(self) -> None:
        context = Case("Why?", (), (), budget(0)).assemble()
        assert context.max_answer_tokens == MIN_ANSWER_TOKENS

    def test_an_answer_that_cannot_be_as_long_as_was_asked_is_reported(self) -> None:
        context = Case("Why?", (), (), Budget(window=count("Why?", ()) + 20, answer=50, passages=9)).assemble()
        assert context.max_answer_tokens == 20
        assert [(each.what, each.reason) for each in context.dropped] == [
            ("answer", "50 tokens were asked for, 20 fit")
        ]

    def test_a_wish_for_an_endless_answer_takes_half_the_room_and_leaves_the_passages_theirs(self) -> None:
        passages = tuple(make_passage(words(30, f"w{number}"), number) for number in range(1, 9))
        room = 2 * (count("Why?", passages[:3]) - count("Why?", ()))
        wish = Budget(window=count("Why?", ()) + room, answer=100_000, passages=100_000)
        context = Case("Why?", passages, (), wish).assemble()
        assert context.passages == passages[:3]
        assert context.max_answer_tokens == room // 2


class TestCounting:
    @pytest.mark.parametrize("number", [1, 10, 100, 1000])
    def test_the_counter_is_asked_a_logarithm_of_times(self, number: int) -> None:
        passages = tuple(make_passage(words(20, f"w{each}"), each) for each in range(1, number + 1))
        history = tuple(Message("user", words(20)) for _ in range(number))
        counter = WordCounter()
        Case("Why?", passages, history, budget(number * 6)).assemble(counter)
        shortening = math.log2(20) + 2  # only ever of the first passage
        assert counter.calls <= 2 * (math.log2(number) + 2) + shortening + 2

    def test_shortening_asks_a_logarithm_of_times_too(self) -> None:
        counter = WordCounter()
        Case("Why?", (make_passage(words(5000)),), (), budget(2000)).assemble(counter)
        assert counter.calls <= math.log2(5000) + 6

    def test_what_fits_at_once_is_counted_without_passages_with_them_and_with_the_turns(self) -> None:
        passages = tuple(make_passage(words(20, f"w{each}"), each) for each in range(1, 9))
        for turns, calls in (((), 2), (TestHistory.TURNS, 3)):
            counter = WordCounter()
            Case("Why?", passages, turns, budget(5000)).assemble(counter)
            assert counter.calls == calls
