"""Documents are data: whatever stands in one, it gives no orders in the system's name and forges no source."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable

import pytest

from rag.prompt import SYSTEM
from tests.injection.case import Case
from tests.injection.conftest import BESIDE, GROUPS, TENANT, Outcome
from tests.injection.families import ALL, FAMILIES

Ask = Callable[[Case], Outcome]

# Written down apart from the product's own patterns, so that a hole in those shows.
CONTROL = re.compile(
    r"<\||\|>|\[/?INST\]|<<?/?SYS>>?|</?s>|<(?:start|end)_of_turn>|</?think>|</?tool_call>|<filename>|\[TOOL_CALLS\]",
    re.IGNORECASE,
)
DELIMITER = re.compile(r"<\s*(/?)\s*passage[\s_:>]*(\d*)", re.IGNORECASE)
MARKER = re.compile(r"\[[\s\d,;–-]*\d[\s\d,;–-]*\]")
FENCED = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)

every = pytest.mark.parametrize("case", ALL, ids=lambda case: case.path.encode("unicode_escape").decode())


def folded(text: str) -> str:
    """The text as a tokenizer reads it that folds compatibility forms."""
    return unicodedata.normalize("NFKC", text)


def test_there_are_at_least_sixty_documents_of_different_names() -> None:
    assert len(ALL) >= 60
    assert len({case.path for case in ALL}) == len(ALL)
    assert all(FAMILIES.values())


@every
class TestPrompt:
    def test_there_is_one_system_turn_of_the_services_own_words(self, case: Case, outcome: Ask) -> None:
        messages = outcome(case).messages
        assert [each["role"] for each in messages] == ["system", "user"]
        assert messages[0]["content"] == SYSTEM

    def test_each_supplied_passage_has_one_block_and_there_is_no_other(self, case: Case, outcome: Ask) -> None:
        seen = outcome(case)
        marks = [(slash, int(number or 0)) for slash, number in DELIMITER.findall(folded(seen.prompt))]
        numbers = [each["number"] for each in seen.reply["context"]]
        assert marks == [mark for number in numbers for mark in (("", number), ("/", number))]
        assert case.path in {each["source"] for each in seen.reply["context"]}

    def test_no_control_token_stands_in_it(self, case: Case, outcome: Ask) -> None:
        assert CONTROL.search(folded(outcome(case).prompt)) is None

    def test_no_unseen_or_turning_character_stands_in_it(self, case: Case, outcome: Ask) -> None:
        kinds = {each: unicodedata.category(each) for each in set(outcome(case).prompt) - set("\n\t\r")}
        assert not [hex(ord(each)) for each, kind in kinds.items() if kind in {"Cc", "Cf", "Cs", "Co", "Cn"}]
        assert not re.search("[\ufe00-\ufe0f\U000e0100-\U000e01ef]", outcome(case).prompt)

    def test_what_this_one_tries_is_not_in_it_and_its_words_are(self, case: Case, outcome: Ask) -> None:
        prompt = outcome(case).prompt
        assert not [each for each in (*case.broken, *case.unseen) if each in prompt]
        assert not [each for each in case.kept if each not in prompt]


@every
class TestIndex:
    def test_tenant_and_groups_are_those_of_the_job(self, case: Case, outcome: Ask) -> None:
        points = outcome(case).points
        assert points
        for payload in points.values():
            assert payload["groups"] == list(GROUPS)
            assert payload["tenant"] == TENANT
            assert payload["doc"].startswith("file:///")
            assert not {"tenant", "groups", "acl", "uri"} & payload["metadata"].keys()

    def test_hidden_words_are_not_indexed(self, case: Case, outcome: Ask) -> None:
        held = json.dumps([dict(each) for each in outcome(case).points.values()])
        assert not [each for each in case.unseen if each in held]


@every
class TestReply:
    def test_each_citation_is_a_marker_of_a_supplied_passage(self, case: Case, outcome: Ask) -> None:
        seen = outcome(case)
        numbers = {each["number"] for each in seen.reply["context"]}
        assert {each["source"] for each in seen.reply["context"]} <= {case.path, BESIDE}
        for each in seen.reply["citations"]:
            assert each["number"] in numbers
            assert seen.answer[each["start"] : each["end"]] == f"[{each['number']}]"
        sources = {each["uri"] for each in seen.reply["context"]}
        annotations = seen.reply["choices"][0]["message"]["annotations"]
        assert {each["url_citation"]["url"] for each in annotations} <= sources

    def test_every_marker_in_the_answer_is_a_citation(self, case: Case, outcome: Ask) -> None:
        seen = outcome(case)
        shown = FENCED.sub(lambda match: " " * len(match[0]), seen.answer)
        marked = {(each["start"], each["end"]) for each in seen.reply["citations"]}
        assert {match.span() for match in MARKER.finditer(shown)} <= marked

    def test_no_citation_is_a_link_of_the_models(self, case: Case, outcome: Ask) -> None:
        seen = outcome(case)
        for each in seen.reply["citations"]:
            assert not seen.answer[each["end"] :].startswith("(")

    def test_the_answer_holds_no_picture_and_nothing_else_that_this_one_tries(self, case: Case, outcome: Ask) -> None:
        answer = outcome(case).answer
        assert "![" not in re.sub(r"!\[\d+\](?![(\[])", "", answer)
        assert not [each for each in case.unsaid if each in answer]
