"""A follow-up in the question path: what is searched, what the model reads, and what is reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rag.answering import Librarian, Question
from rag.generation import ChatModel
from rag.schema import Answer, Message, Scope
from rag.settings import Settings
from tests.fake_model import FakeModel
from tests.unit.test_answering import POD, Finder

HISTORY = (Message("user", "What is a Kubernetes pod?"), Message("assistant", "The smallest unit that runs."))
READER = Scope("acme", frozenset({"staff"}))
REWRITTEN = "How is it deleted? Kubernetes pod smallest"

Ask = Callable[..., Answer]


@pytest.fixture
def ask(settings: Callable[..., Settings], fake_model: FakeModel) -> Ask:
    def run(finder: Finder, question: Question, **values: Any) -> Answer:
        configured = settings(llm_url=fake_model.url, llm_timeout=20, **values)

        async def answer() -> Answer:
            model = ChatModel(configured)
            try:
                return await Librarian(finder, model, configured).answer(question)  # type: ignore[arg-type]
            finally:
                await model.aclose()

        return asyncio.run(answer())

    return run


def follow_up(**fields: Any) -> Question:
    return Question("How is it deleted?", READER, history=HISTORY, **fields)


def test_the_rewritten_query_is_searched_and_reported(ask: Ask) -> None:
    finder = Finder(POD)
    answer = ask(finder, follow_up())
    assert finder.asked[0][0] == answer.searched == REWRITTEN
    assert answer.question == "How is it deleted?"


def test_the_model_is_asked_in_the_users_own_words(ask: Ask, fake_model: FakeModel) -> None:
    ask(Finder(POD), follow_up())
    last = fake_model.chats[-1]["messages"][-1]["content"]
    assert last.startswith("Question: How is it deleted?")
    assert REWRITTEN not in last


def test_an_abstention_reports_what_was_searched(ask: Ask) -> None:
    answer = ask(Finder(POD, relevance=0.0), follow_up())
    assert (answer.finish_reason, answer.searched) == ("abstained", REWRITTEN)
    assert "rewrite" in answer.timings_ms


@pytest.mark.parametrize("off", ["setting", "question"])
def test_it_can_be_switched_off_by_setting_and_by_question(ask: Ask, off: str) -> None:
    values: dict[str, Any] = {"rewrite": "off"} if off == "setting" else {}
    asked = follow_up() if off == "setting" else follow_up(rewrite="off")
    assert ask(Finder(POD), asked, **values).searched == "How is it deleted?"


def test_the_chat_model_writes_the_query_where_the_setting_says_so(ask: Ask, fake_model: FakeModel) -> None:
    fake_model.pieces = ["How is a Kubernetes pod deleted?"]
    assert ask(Finder(POD), follow_up(), rewrite="model").searched == "How is a Kubernetes pod deleted?"


def test_rewriting_has_a_time_of_its_own(ask: Ask) -> None:
    timings = ask(Finder(POD), follow_up()).timings_ms
    assert 0 <= timings["rewrite"] <= timings["total"]
    assert timings["retrieve"] == 6.0
