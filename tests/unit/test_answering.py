"""The question path from end to end, over a retriever and a model that say what they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from rag import prompt
from rag.answering import Event, Librarian, Question, Sources, Text, relevant
from rag.errors import BadInput, ModelUnavailable, PromptTooLong
from rag.generation import ChatModel, Sampling
from rag.schema import Answer, Message, Passage, Scope, SearchResult, Usage
from rag.settings import Settings
from tests.conftest import make_passage
from tests.fake_model import FakeModel, wait_until

POD = make_passage("A pod is the smallest deployable unit in Kubernetes.", 1)
NODE = make_passage("The scheduler assigns each pending pod to a suitable node.", 2)
READER = Scope("acme", frozenset({"staff"}))


class Finder:
    """Stands for a Retriever: finds what it was made with, and notes what it was asked."""

    def __init__(self, *passages: Passage, relevance: float | None = 0.8) -> None:
        self.passages, self.relevance = passages, relevance
        self.asked: list[tuple[Any, ...]] = []

    async def search(self, query: str, scope: Scope, **options: Any) -> SearchResult:
        if not query.strip():
            raise BadInput("the question is empty; ask something.")
        self.asked.append((query, scope, options))
        return SearchResult(
            query, "documents", self.passages, self.relevance, {"encode": 2.0, "search": 3.0, "fetch": 1.0}
        )


@pytest.fixture
def ask(settings: Callable[..., Settings], fake_model: FakeModel) -> Callable[..., list[Event]]:
    """`ask(finder, question)` gives the events; `seen` gets them as they come, for streams that fail."""

    def run(finder: Finder, question: Question, seen: list[Event] | None = None, **values: Any) -> list[Event]:
        configured = settings(llm_url=fake_model.url, llm_timeout=20, **values)
        events: list[Event] = [] if seen is None else seen

        async def collect() -> list[Event]:
            model = ChatModel(configured)
            try:
                async for event in Librarian(finder, model, configured).stream(question):  # type: ignore[arg-type]
                    events.append(event)
            finally:
                await model.aclose()
            return events

        return asyncio.run(collect())

    return run


Ask = Callable[..., list[Event]]


def question(text: str = "What is a pod?", **fields: Any) -> Question:
    return Question(text, READER, **fields)


def answered(events: list[Event]) -> Answer:
    assert isinstance(events[-1], Answer)
    return events[-1]


class TestAnswers:
    def test_sources_come_first_then_text_then_the_answer(self, ask: Ask, fake_model: FakeModel) -> None:
        fake_model.pieces = ["A pod ", "is small ", "[1]."]
        first, *middle, last = ask(Finder(POD, NODE), question())
        assert isinstance(first, Sources)
        assert (first.passages, first.relevance, first.dropped) == ((POD, NODE), 0.8, ())
        assert {type(each) for each in middle} == {Text}
        assert len(middle) > 1
        assert isinstance(last, Answer)

    def test_the_answer_is_what_was_streamed(self, ask: Ask, fake_model: FakeModel) -> None:
        fake_model.pieces = [
            "The scheduler assigns each pending ",
            "pod to a node",
            ". [",
            "9",
            "] A pod is small [",
            "1]",
        ]
        events = ask(Finder(POD, NODE), question())
        assert answered(events).text == "".join(each.text for each in events if isinstance(each, Text))
        assert "[9]" not in answered(events).text

    def test_citations_name_passages_that_were_supplied(self, ask: Ask, fake_model: FakeModel) -> None:
        fake_model.pieces = ["The scheduler assigns each pending pod to a node. A pod is small [1, 7]."]
        answer = answered(ask(Finder(POD, NODE), question()))
        assert [(each.number, each.passage_id, each.origin) for each in answer.citations] == [
            (2, NODE.id, "matched"),
            (1, POD.id, "model"),
        ]
        assert [answer.text[each.start : each.end] for each in answer.citations] == ["[2]", "[1]"]

    def test_a_model_that_goes_round_in_circles_is_stopped(self, ask: Ask, fake_model: FakeModel) -> None:
        fake_model.pieces = ["A pod is a group of containers. "] * 500
        fake_model.delay = 0.01
        answer = answered(ask(Finder(POD), question()))
        assert answer.text.count("A pod is a group") <= 4
        assert ("the rest of the answer", "the model repeated itself") in [(d.what, d.reason) for d in answer.dropped]
        assert wait_until(lambda: fake_model.abandoned == 1)

    def test_a_question_that_leaves_no_room_for_a_passage_is_refused(self, ask: Ask, fake_model: FakeModel) -> None:
        refusals = []
        for words in range(100, 260, 8):
            try:
                ask(Finder(POD), question("word " * words), llm_context_tokens=256)
            except PromptTooLong as error:
                refusals.append(str(error))
        assert any("no room for a passage" in each for each in refusals)
        assert all(POD.text[:9] in str(each["messages"]) for each in fake_model.chats), "asked without a passage"

    def test_it_says_what_it_cost_and_how_it_ended(self, ask: Ask, fake_model: FakeModel) -> None:
        fake_model.usage = (120, 9)
        answer = answered(ask(Finder(POD), question()))
        assert (answer.usage, answer.finish_reason, answer.relevance) == (Usage(120, 9), "stop", 0.8)
        assert answer.question == "What is a pod?"

    def test_an_answer_that_was_cut_off_says_so(self, ask: Ask, fake_model: FakeModel) -> None:
        fake_model.finish_reason = "length"
        assert answered(ask(Finder(POD), question())).finish_reason == "length"

    def test_a_server_that_does_not_count_leaves_the_prompt_as_it_was_counted_here(
        self, ask: Ask, fake_model: FakeModel
    ) -> None:
        fake_model.usage = None
        answer = answered(ask(Finder(POD), question()))
        messages = prompt.build("What is a pod?", [POD], ())
        assert answer.usage == Usage(sum(len(each.content.split()) + 3 for each in messages), 0)

    def test_timings_add_up(self, ask: Ask, fake_model: FakeModel) -> None:
        timings = answered(ask(Finder(POD), question())).timings_ms
        assert timings["retrieve"] == 6.0
        assert timings["first_token"] <= timings["generate"] <= timings["total"]

    def test_an_answer_without_a_word_is_still_an_answer(self, ask: Ask, fake_model: FakeModel) -> None:
        fake_model.pieces = []
        events = ask(Finder(POD), question())
        assert [type(each) for each in events] == [Sources, Answer]
        assert answered(events).text == ""


class TestWhatTheModelIsAsked:
    def test_the_passages_and_the_question_stand_in_its_prompt(self, ask: Ask, fake_model: FakeModel) -> None:
        ask(Finder(POD, NODE), question(history=(Message("user", "Hi."), Message("assistant", "Hello."))))
        sent = [Message(each["role"], each["content"]) for each in fake_model.chats[0]["messages"]]
        history = (Message("user", "Hi."), Message("assistant", "Hello."))
        assert tuple(sent) == prompt.build("What is a pod?", [POD, NODE], history)

    def test_sampling_reaches_it(self, ask: Ask, fake_model: FakeModel) -> None:
        ask(Finder(POD), question(sampling=Sampling(max_tokens=17, temperature=0.9, extra={"seed": 5})))
        (sent,) = fake_model.chats
        assert (sent["temperature"], sent["seed"]) == (0.9, 5)
        assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 17

    def test_the_retriever_gets_scope_collection_and_conditions(self, ask: Ask) -> None:
        finder = Finder(POD)
        ask(finder, question(collection="kb", top_k=3, where={"path": ["a"]}))
        assert finder.asked == [
            ("What is a pod?", READER, {"collection": "kb", "top_k": 3, "where": {"path": ["a"]}}),
        ]

    def test_what_does_not_fit_is_reported_first_and_last(self, ask: Ask, fake_model: FakeModel) -> None:
        fake_model.models = [{"id": "fake", "max_model_len": 300}]
        giant = make_passage(" ".join(f"word{number}" for number in range(400)), 3)
        events = ask(Finder(POD, giant), question(), max_answer_tokens=32)
        assert isinstance(events[0], Sources)
        assert events[0].passages == (POD,)
        assert [each.what for each in events[0].dropped] == ["passage docs/3.md"]
        assert answered(events).dropped == events[0].dropped
        assert answered(events).sources == (POD,)


class TestAbstaining:
    @pytest.mark.parametrize("relevance", [0.2999, -1.0, None])
    def test_below_the_threshold_the_model_is_not_asked(
        self, ask: Ask, fake_model: FakeModel, relevance: float | None
    ) -> None:
        found = (POD,) if relevance is not None else ()
        events = ask(Finder(*found, relevance=relevance), question(), min_relevance=0.3)
        assert [type(each) for each in events] == [Sources, Text, Answer]
        answer = answered(events)
        assert (answer.text, answer.finish_reason) == (prompt.ABSTENTION, "abstained")
        assert (answer.sources, answer.citations) == ((), ())
        assert fake_model.requests == []

    def test_at_the_threshold_it_is(self, ask: Ask, fake_model: FakeModel) -> None:
        ask(Finder(POD, relevance=0.3), question(), min_relevance=0.3)
        assert len(fake_model.chats) == 1

    def test_what_was_found_and_not_used_is_reported_with_both_numbers(self, ask: Ask) -> None:
        events = ask(Finder(POD, NODE, relevance=0.12), question(), min_relevance=0.3)
        assert [(each.what, each.reason) for each in answered(events).dropped] == [
            ("passage docs/1.md", "not relevant enough: the best is 0.12, the threshold 0.30"),
            ("passage docs/2.md", "not relevant enough: the best is 0.12, the threshold 0.30"),
        ]

    def test_where_all_that_was_found_is_gone_again_the_model_is_not_asked(
        self, ask: Ask, fake_model: FakeModel
    ) -> None:
        assert answered(ask(Finder(relevance=0.9), question())).finish_reason == "abstained"
        assert fake_model.requests == []

    def test_an_empty_collection_is_reported(self, ask: Ask) -> None:
        (dropped,) = answered(ask(Finder(relevance=None), question())).dropped
        assert dropped.reason == "the collection holds nothing that you may see"


class TestFailures:
    def test_an_empty_question_is_refused_before_anything_is_said(self, ask: Ask, fake_model: FakeModel) -> None:
        seen: list[Event] = []
        with pytest.raises(BadInput):
            ask(Finder(POD), question(" "), seen)
        assert (seen, fake_model.requests) == ([], [])

    def test_a_question_that_leaves_no_room_is_refused_before_anything_is_said(
        self, ask: Ask, fake_model: FakeModel
    ) -> None:
        seen: list[Event] = []
        with pytest.raises(PromptTooLong):
            ask(Finder(POD), question("why " * 5000), seen)
        assert (seen, fake_model.chats) == ([], [])

    def test_a_model_that_dies_on_the_way_is_an_error_after_the_text_that_came(
        self, ask: Ask, fake_model: FakeModel
    ) -> None:
        fake_model.dies_after = 1
        seen: list[Event] = []
        with pytest.raises(ModelUnavailable, match="broke off"):
            ask(Finder(POD), question(), seen)
        assert [type(each) for each in seen] == [Sources, Text]
        assert seen[1] == Text("Kubernetes runs ")

    def test_a_model_that_is_gone_is_an_error_before_anything_is_said(self, ask: Ask, fake_model: FakeModel) -> None:
        fake_model.stop()
        seen: list[Event] = []
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            ask(Finder(POD), question(), seen)
        assert seen == []


class TestOneCall:
    def test_answer_gives_what_the_stream_ends_with(
        self, settings: Callable[..., Settings], fake_model: FakeModel
    ) -> None:
        configured = settings(llm_url=fake_model.url)
        librarian = Librarian(Finder(POD), ChatModel(configured), configured)  # type: ignore[arg-type]
        answer = asyncio.run(librarian.answer(question()))
        assert answer.text == "Kubernetes runs containers [1]."

    def test_leaving_the_stream_early_closes_the_models_connection(
        self, settings: Callable[..., Settings], fake_model: FakeModel
    ) -> None:
        fake_model.hangs_after = 1
        configured = settings(llm_url=fake_model.url)

        async def leave() -> bool:
            librarian = Librarian(Finder(POD), ChatModel(configured), configured)  # type: ignore[arg-type]
            async with aclosing(librarian.stream(question())) as events:
                async for event in events:
                    if isinstance(event, Text):
                        break
                assert fake_model.streaming == 1
            return await asyncio.to_thread(wait_until, lambda: fake_model.abandoned == 1)

        assert asyncio.run(leave())


class TestRelevance:
    """A short question's vector is near to nothing in particular; its words decide then."""

    @pytest.mark.parametrize(
        ("query", "relevance", "expected"),
        [
            ("Where is the smallest unit?", 0.1, True),
            ("Where is the smallest castle?", 0.1, False),
            ("castle?", 0.31, True),
            ("unit?", 0.1, False),
            ("", 0.1, False),
        ],
    )
    def test_a_passage_with_all_the_words_is_relevant(self, query: str, relevance: float, expected: bool) -> None:
        assert relevant(SearchResult(query, "documents", (POD,), relevance), 0.3) is expected

    def test_nothing_found_is_never_relevant(self) -> None:
        assert not relevant(SearchResult("smallest unit", "documents", (), 0.9), 0.3)
        assert not relevant(SearchResult("smallest unit", "documents", (POD,), None), 0.3)
