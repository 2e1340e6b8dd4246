"""What an adapter learns from: pairs of a folder, windows of texts, and examples in the prompt that serving builds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rag.context import Budget, assemble
from rag.errors import BadInput
from rag.prompt import ABSTENTION
from rag.tuning.adapter.examples import Shape, make_examples
from rag.tuning.adapter.pairs import Pairs, read_pairs, split_groups
from rag.tuning.adapter.windows import sentences, window
from tests.adapter_kit import ARTICLES, question_folder
from tests.conftest import WordCounter

BUDGET = Budget(window=4096, answer=64, passages=1600)
prose = st.lists(
    st.sampled_from(["Rome fell.", "Why?", "In 410 it was sacked!", "\n\n", "a b c", "e.g. this", '"Quoted." ']),
    max_size=12,
).map(" ".join)


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    return read_pairs(question_folder(tmp_path / "data"))


def test_a_pair_is_a_question_with_the_place_of_its_answer(pairs: Pairs) -> None:
    assert len(pairs.pairs) == 10
    for each in pairs.pairs:
        assert each.source.text[each.start : each.start + len(each.answer)] == each.answer
        assert each.source.group in ARTICLES


def test_a_question_whose_answer_stands_in_no_relevant_text_is_counted_and_left_out(tmp_path: Path) -> None:
    folder = question_folder(tmp_path / "data")
    lines = [json.loads(each) for each in (folder / "queries.jsonl").read_text().splitlines()]
    lines[0]["metadata"]["answers"] = ["nowhere to be seen"]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = read_pairs(folder)
    assert (len(found.pairs), found.without) == (9, 1)


@pytest.mark.parametrize("broken", ["no json", '{"text": "no id"}', "[1]"])
def test_a_broken_line_is_named(tmp_path: Path, broken: str) -> None:
    folder = question_folder(tmp_path / "data")
    (folder / "corpus.jsonl").write_text(f'{{"_id": "a", "text": "b"}}\n{broken}\n')
    with pytest.raises(BadInput, match=r"corpus\.jsonl line 2"):
        read_pairs(folder)


def test_the_hash_of_pairs_changes_with_a_text(pairs: Pairs, tmp_path: Path) -> None:
    folder = question_folder(tmp_path / "other")
    assert read_pairs(folder).hash == pairs.hash
    text = (folder / "corpus.jsonl").read_text().replace("Nothing else", "Nothing more")
    (folder / "corpus.jsonl").write_text(text)
    assert read_pairs(folder).hash != pairs.hash


@given(st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=30), st.floats(0, 1), st.integers(0, 9))
def test_a_split_parts_all_groups_into_two_that_share_none(groups: set[str], share: float, seed: int) -> None:
    kept, held = split_groups(groups, share, seed)
    assert set(kept) | set(held) == groups
    assert not set(kept) & set(held)
    assert len(held) == round(len(groups) * share)
    assert split_groups(sorted(groups, reverse=True), share, seed) == (kept, held)


def test_training_and_held_out_pairs_share_no_article(pairs: Pairs) -> None:
    kept, held = split_groups((each.source.group for each in pairs.pairs), 0.4, 0)
    train, test = pairs.of_groups(kept), pairs.of_groups(held)
    assert len(train.pairs) + len(test.pairs) == len(pairs.pairs)
    assert not {each.group for each in train.corpus} & {each.group for each in test.corpus}


@given(prose)
def test_sentences_are_in_order_and_leave_out_white_space_only(text: str) -> None:
    found = sentences(text)
    assert found == sorted(found)
    inside = "".join(text[start:end] for start, end in found)
    assert "".join(inside.split()) == "".join(text.split())


@given(prose.filter(str.strip), st.integers(1, 40), st.integers(0, 99), st.data())
def test_a_window_holds_its_span_and_keeps_to_its_words_where_it_can(
    text: str, words: int, seed: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = start + len(text[start : data.draw(st.integers(start + 1, len(text)))].rstrip())
    assume(text[start:end].strip() == text[start:end] != "")
    first, last = window(text, words, Random(seed), (start, end))
    assert text[start:end] in text[first:last]
    touched = [text[a:b] for a, b in sentences(text) if b > start and a < end]
    assert len(text[first:last].split()) <= max(words, len(" ".join(touched).split()))


def test_an_example_is_the_prompt_of_serving_and_the_answer_cites_the_passage_that_has_it(pairs: Pairs) -> None:
    examples = make_examples(pairs, Shape(unanswerable=0), WordCounter(), BUDGET, 0)
    assert len(examples) == len(pairs.pairs)
    for each in examples:
        served = asyncio.run(assemble(each.pair.question, each.passages, (), WordCounter(), BUDGET))
        assert each.messages == served.messages
        assert each.gold is not None
        assert each.pair.answer in each.passages[each.gold - 1].text
        assert each.target == f"{each.pair.answer} [{each.gold}]."


def test_the_answering_passage_stands_at_every_place(pairs: Pairs) -> None:
    shape = Shape(passages=(3, 3), unanswerable=0)
    golds = {each.gold for seed in range(5) for each in make_examples(pairs, shape, WordCounter(), BUDGET, seed)}
    assert golds == {1, 2, 3}


def test_without_the_answering_passage_the_answer_is_the_services_own_abstention(pairs: Pairs) -> None:
    examples = make_examples(pairs, Shape(unanswerable=1), WordCounter(), BUDGET, 0)
    assert examples
    for each in examples:
        assert each.target == ABSTENTION
        assert each.passages
        assert not any(each.pair.answer in passage.text for passage in each.passages)


def test_the_same_seed_gives_the_same_examples_and_another_one_others(pairs: Pairs) -> None:
    shape = Shape(passages=(2, 3))
    first, again, other = (make_examples(pairs, shape, WordCounter(), BUDGET, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_distractor_is_near_or_far_as_the_shape_says(pairs: Pairs) -> None:
    for near in (0.0, 1.0):
        shape = Shape(passages=(2, 2), unanswerable=0, near=near)
        for each in make_examples(pairs, shape, WordCounter(), BUDGET, 3):
            others = [passage for passage in each.passages if passage.uri != each.pair.source.id]
            assert [passage.title == each.pair.source.title for passage in others] == [near == 1.0]
