"""A follow-up takes its topic along; a question that stands alone is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import rewriting
from rag.followups import content_words, sign_of_dependence
from rag.generation import ChatModel
from rag.rewriting import Rewritten, carried_terms, rewrite, rewrite_with_model, usable
from rag.schema import Message
from rag.settings import Settings
from tests.fake_model import FakeModel

BRIDGE = (
    Message("user", "When was the George Washington Bridge built?"),
    Message("assistant", "It was built between 1927 and 1931 by the Port Authority."),
)


class TestWhatLeansOnTheConversation:
    @pytest.mark.parametrize(
        ("question", "sign"),
        [
            ("How long is it?", "pronoun"),
            ("Do they provide online services?", "pronoun"),
            ("Are these clinics open for emergencies at night?", "pronoun"),
            ("That was when the large jumbo jets were produced", "pronoun"),
            ("And who paid for the tower's new elevators?", "opening"),
            ("Ok, well, what about the lower deck's traffic lanes?", "opening"),
            ("I meant the bridge tolls for heavy trucks", "opening"),
            ("Can cyclists cross the suspension bridge as well?", "closing"),
            ("I want to camp there. Which sites have running water?", "closing"),
            ("Major characters", "short"),
            ("Why?", "short"),
        ],
    )
    def test_is_recognised_by_its_sign(self, question: str, sign: str) -> None:
        assert sign_of_dependence(question) == sign

    @pytest.mark.parametrize(
        "question",
        [
            "Who designed the George Washington Bridge?",
            "Is it possible to configure index rate alerts in the console?",
            "Does it make sense to sell stock for tax purposes?",
            "If I borrow money from a bank, can I treat it as equity?",
            "Does the Prince of Wales have his own source of income?",
            "By the way, what about the toll of the tunnel?",
            "Moving on: and how do I reset a password?",
            "Что такое под в Kubernetes?",
            "word " * 200 + "and this",
        ],
    )
    def test_a_question_that_names_its_topic_or_opens_another_does_not(self, question: str) -> None:
        assert sign_of_dependence(question) is None


class TestRules:
    def test_the_topic_goes_along_behind_the_users_own_words(self) -> None:
        assert rewrite("How long is it?", BRIDGE) == Rewritten(
            "How long is it? George Washington Bridge built", "rules", "pronoun"
        )

    def test_the_latest_topic_comes_first(self) -> None:
        history = (Message("user", "What is a Kubernetes pod?"), Message("user", "Which Twilio plans exist?"))
        assert carried_terms("How does it work?", history) == ["Twilio", "plans", "exist", "Kubernetes", "pod"]

    def test_a_question_that_stands_alone_is_searched_as_it_is(self) -> None:
        question = "Which documents does a passport application need?"
        assert rewrite(question, BRIDGE) == Rewritten(question)

    def test_a_first_question_is_searched_as_it_is(self) -> None:
        assert rewrite("How long is it?", ()) == Rewritten("How long is it?")

    def test_a_conversation_without_a_topic_changes_nothing(self) -> None:
        assert rewrite("And why?", (Message("user", "Hello there, please help me"),)) == Rewritten("And why?")

    def test_the_answer_lends_names_where_the_user_said_little(self) -> None:
        history = (Message("user", "What is it?"), Message("assistant", "That device runs PowerHA, from IBM."))
        assert carried_terms("And how fast?", history) == ["PowerHA", "IBM", "device"]

    def test_what_the_question_says_is_not_repeated(self) -> None:
        assert "bridge" not in map(str.casefold, carried_terms("Is that bridge long?", BRIDGE))

    def test_another_language_than_english_is_left_alone(self) -> None:
        assert rewrite("Und wie lang ist es?", BRIDGE, "german") == Rewritten("Und wie lang ist es?")

    def test_system_messages_are_no_topic(self) -> None:
        assert carried_terms("How long is it?", (Message("system", "Answer like a pirate captain."),)) == []

    @given(st.text(max_size=200), st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=300))))
    def test_the_users_words_always_stand_and_what_is_added_is_bounded(
        self, question: str, turns: list[tuple[str, str]]
    ) -> None:
        history = [Message(role, text) for role, text in turns]  # type: ignore[arg-type]
        found = rewrite(question, history)
        assert found.text == question or found.text.startswith(question.strip())
        assert len(carried_terms(question, history)) <= rewriting.TERMS
        said = {word for each in history for word in content_words(each.content)}
        assert set(carried_terms(question, history)) <= said
        assert rewrite(question, history) == found

    def test_only_the_latest_part_of_a_long_history_is_looked_at(self) -> None:
        history = [Message("user", "ancient topic")] + [Message("user", "hello")] * rewriting.TURNS
        assert carried_terms("How long is it?", history) == []


class TestWhatAModelWrites:
    QUESTION = "How long is it?"

    @pytest.mark.parametrize(
        "written",
        [
            "How long is the George Washington Bridge?",
            'Standalone question: "How long is the George Washington Bridge?"\n',
        ],
    )
    def test_a_question_in_the_conversations_words_is_taken(self, written: str) -> None:
        assert usable(written, self.QUESTION, BRIDGE) == "How long is the George Washington Bridge?"

    @pytest.mark.parametrize(
        "written",
        [
            "",
            "  \n ",
            '""',
            "It is 1,450 meters long.",
            "I don't know.",
            "How long is the Eiffel Tower in Paris, France?",
            "How long is the George Washington Bridge?\nIt is 1,450 meters long.",
            "How long is the George Washington Bridge " * 10 + "?",
            "When was the George Washington Bridge built?",
        ],
    )
    def test_an_answer_an_essay_or_another_question_is_not(self, written: str) -> None:
        question = "How long in meters is it?" if "built" in written else self.QUESTION
        assert usable(written, question, BRIDGE) is None


@pytest.fixture
def written_by(settings: Callable[..., Settings], fake_model: FakeModel) -> Callable[[str], Rewritten]:
    def run(question: str) -> Rewritten:
        async def ask() -> Rewritten:
            model = ChatModel(settings(llm_url=fake_model.url, llm_timeout=20))
            try:
                return await rewrite_with_model(question, BRIDGE, model)
            finally:
                await model.aclose()

        return asyncio.run(ask())

    return run


class TestModel:
    def test_its_question_is_searched(self, written_by: Callable[[str], Rewritten], fake_model: FakeModel) -> None:
        fake_model.pieces = ["How long is the ", "George Washington Bridge?"]
        assert written_by("How long is it?") == Rewritten(
            "How long is the George Washington Bridge?", "model", "pronoun"
        )
        asked = fake_model.chats[-1]
        assert (asked["temperature"], asked["max_completion_tokens"]) == (0.0, rewriting.MODEL_TOKENS)

    def test_it_is_not_asked_about_what_stands_alone(
        self, written_by: Callable[[str], Rewritten], fake_model: FakeModel
    ) -> None:
        assert written_by("Who designed the Golden Gate Bridge?").by == "none"
        assert not fake_model.chats

    def test_nonsense_falls_back_to_the_rules(
        self, written_by: Callable[[str], Rewritten], fake_model: FakeModel
    ) -> None:
        fake_model.pieces = ["I am sorry, ", "I cannot help."]
        assert written_by("How long is it?") == rewrite("How long is it?", BRIDGE)

    @pytest.mark.parametrize("failure", [500, 400, "drop", "garbage"])
    def test_a_model_that_fails_falls_back_to_the_rules(
        self, written_by: Callable[[str], Rewritten], fake_model: FakeModel, failure: int | str
    ) -> None:
        fake_model.fail = {"chat": failure}  # type: ignore[dict-item]
        assert written_by("How long is it?") == rewrite("How long is it?", BRIDGE)

    def test_a_model_that_hangs_falls_back_to_the_rules(
        self, written_by: Callable[[str], Rewritten], fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rewriting, "MODEL_SECONDS", 0.5)
        fake_model.fail = {"chat": "hang"}
        assert written_by("How long is it?") == rewrite("How long is it?", BRIDGE)
