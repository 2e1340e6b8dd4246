"""What of a conversation an evaluation searches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from eval.configurations import Configuration, with_turns
from eval.datasets import Query
from eval.turns import Turns, as_searched, history
from rag.schema import Message
from rag.settings import Settings

FOLLOW_UP = Query(
    "q1",
    "How long is it?",
    {"history": [{"speaker": "user", "text": "The Kolb Bridge"}, {"speaker": "agent", "text": "It is a bridge."}]},
)


@pytest.mark.parametrize(
    ("turns", "text"),
    [
        (Turns.LAST, "How long is it?"),
        (Turns.REWRITTEN, "How long is it? Kolb Bridge"),
        (Turns.CONVERSATION, "The Kolb Bridge\nIt is a bridge.\nHow long is it?"),
    ],
)
def test_each_kind_searches_its_own_text(settings: Callable[..., Settings], turns: Turns, text: str) -> None:
    (found,) = asyncio.run(as_searched([FOLLOW_UP], turns, settings()))
    assert (found.id, found.text) == ("q1", text)


def test_the_setting_switches_rewriting_off(settings: Callable[..., Settings]) -> None:
    assert asyncio.run(as_searched([FOLLOW_UP], Turns.REWRITTEN, settings(rewrite="off"))) == (FOLLOW_UP,)


def test_a_query_without_a_history_is_searched_as_it_is(settings: Callable[..., Settings]) -> None:
    alone = Query("q2", "How long is it?")
    for turns in Turns:
        assert asyncio.run(as_searched([alone], turns, settings())) == (alone,)


def test_a_history_is_read_in_both_spellings_and_what_is_no_turn_is_passed_over() -> None:
    given = [{"role": "user", "content": "a"}, {"speaker": "agent", "text": "b"}, "c", {"role": "user"}, {"text": 7}]
    assert history(Query("q", "?", {"history": given})) == (Message("user", "a"), Message("assistant", "b"))
    assert history(Query("q", "?", {"history": "none"})) == ()


def test_several_kinds_are_compared_as_configurations_of_their_own(settings: Callable[..., Settings]) -> None:
    found = with_turns([Configuration("now", settings())], list(Turns)[:2])
    assert [(each.name, each.turns) for each in found] == [("now-last", "last"), ("now-rewritten", "rewritten")]
    assert with_turns([Configuration("now", settings())], [Turns.REWRITTEN])[0].name == "now"
