"""What a chat interface asks for itself is told from what a user asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.schema import Message
from serve.errands import is_errand

CONVERSATION = "\n### Chat History:\n<chat_history>\nUSER: What is a pod?\nASSISTANT: A group.\n</chat_history>"

# How Open WebUI's templates open (backend/open_webui/config.py, versions 0.5 to 0.6 and later).
OPENINGS = [
    "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Guidelines:\n- …",
    "### Task:\nGenerate a concise title summarizing the chat history.\n### Guidelines:\n- …",
    "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history, along with 1-3 more …\n",
    "### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next …\n",
    "### Task:\nAnalyze the chat history to determine the necessity of generating search queries, in the given …\n",
    "### Task:\nGenerate a detailed prompt for am image generation task based on the given language and …\n",
    "### Task:\nYou are an autocompletion system. Continue the text in `<text>` based on the **completion type** …\n",
]
QUESTIONS = [
    "What is a title?",
    "### Task:\nSummarise the rollout guide.",
    "Generate a concise title for the rollout guide.",
    "### Task:\nGenerate a concise title for the rollout guide.",  # no conversation in it
    "What does Open WebUI send?\n\n" + OPENINGS[0] + CONVERSATION,  # it is quoted, not sent
    "### Task:\nExplain this log." + CONVERSATION,
    "### Task:\nGenerate a Helm chart." + CONVERSATION,
    OPENINGS[0] + "\nwhat is <chat_history> for?",
    CONVERSATION,
]


@pytest.mark.parametrize("opening", OPENINGS)
class TestATemplate:
    def test_is_an_errand(self, opening: str) -> None:
        assert is_errand([Message("user", opening + CONVERSATION)])
        assert is_errand([Message("user", f"\n{opening}{CONVERSATION}\n<type>General</type>\n")])

    def test_is_one_after_a_system_message_too(self, opening: str) -> None:
        assert is_errand([Message("system", "Be brief."), Message("user", opening + CONVERSATION)])

    def test_within_a_conversation_it_is_what_the_user_asks(self, opening: str) -> None:
        earlier = [Message("user", "Hi"), Message("assistant", "Hi!")]
        assert not is_errand([*earlier, Message("user", opening + CONVERSATION)])


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_none(question: str) -> None:
    assert not is_errand([Message("user", question)])


@given(st.text())
def test_no_text_before_a_template_makes_an_errand_of_it(text: str) -> None:
    assert is_errand([Message("user", text + OPENINGS[0] + CONVERSATION)]) == (not text.strip())
