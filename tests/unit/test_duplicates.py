"""Repetitions: what says the same is supplied once, what differs in a number or a "not" is supplied both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.duplicates import LEAST_WORDS, fingerprint, without_repetitions
from rag.schema import Passage
from tests.conftest import make_passage

PAGE = (
    "A Deployment provides declarative updates for Pods and ReplicaSets. You describe a desired state in a Deployment, "
    "and the controller changes the actual state to the desired state at a controlled rate. The default is 25 percent "
    "of all replicas, rounded up, and the rollout is not paused when a Pod fails its probe within 30 seconds."
)
OTHER = "The scheduler assigns each pending pod to a suitable node, after filtering and scoring all of the nodes there."


def kept(*texts: str) -> tuple[list[int], list[tuple[int, str, int]]]:
    """Which of the texts, numbered from 1, stay, in their order, and which are left out for which."""
    passages = [make_passage(text, number) for number, text in enumerate(texts, start=1)]
    stay, left_out = without_repetitions(passages)
    return [number(each) for each in stay], [(number(each.passage), each.how, number(each.of)) for each in left_out]


def number(passage: Passage) -> int:
    return int(passage.id.rsplit("-", 1)[1])


def test_the_same_text_stays_once() -> None:
    assert kept(PAGE, OTHER, PAGE.upper().replace(" ", "\n")) == ([1, 2], [(3, "same text as", 1)])


def test_what_hides_in_it_invisibly_makes_no_other_text() -> None:
    assert kept(OTHER, OTHER.replace("node", "no\u200bde")) == ([1], [(2, "same text as", 1)])


def test_a_few_changed_words_make_no_other_text() -> None:
    assert kept(PAGE, PAGE.replace("declarative updates", "updates")) == ([1], [(2, "nearly the same as", 1)])


@pytest.mark.parametrize("change", [("25", "50"), ("30 seconds", "10 seconds"), ("is not paused", "is paused")])
def test_another_number_or_a_not_makes_another_text(change: tuple[str, str]) -> None:
    assert kept(PAGE, PAGE.replace(*change)) == ([1, 2], [])


def test_a_comparison_the_other_way_round_is_another_text() -> None:
    text = "Scale up only where the measured load of all replicas together is {} 80 percent of the target."
    assert kept(text.format(">"), text.format("<")) == ([1, 2], [])


def test_a_part_of_a_better_one_is_left_out() -> None:
    assert kept(PAGE, OTHER, " ".join(PAGE.split()[9:24])) == ([1, 2], [(3, "part of", 1)])


def test_one_that_holds_better_ones_takes_the_place_and_score_of_the_best() -> None:
    whole = f"{PAGE} {OTHER}"
    passages = [make_passage(text, n) for n, text in enumerate([OTHER, "Volumes outlive containers.", PAGE, whole], 1)]
    stay, left_out = without_repetitions(passages)
    assert [number(each) for each in stay] == [4, 2]
    assert stay[0].score == passages[0].score
    assert [(number(each.passage), each.how, number(each.of)) for each in left_out] == [
        (1, "part of", 4),
        (3, "part of", 4),
    ]


def test_a_short_text_is_no_part_of_another_for_what_it_means_stands_above_it() -> None:
    short = " ".join(OTHER.split()[: LEAST_WORDS - 1])
    assert kept(OTHER, short) == ([1, 2], [])
    assert kept(short, OTHER) == ([1, 2], [])
    assert kept(OTHER, short, short) == ([1, 2], [(3, "same text as", 2)])


def test_texts_on_one_subject_are_no_repetitions() -> None:
    assert (
        kept(PAGE, "A StatefulSet is like a Deployment; it provides an identity for each of its Pods.", OTHER)[1] == []
    )


def test_a_script_without_spaces_is_compared_by_its_characters() -> None:
    text = "调度器会为每个待处理的容器组选择一个合适的节点并通知接口服务器完成绑定"
    assert kept(text, text.replace("合适的", "合适"), text[4:24])[0] == [1]
    assert kept(text, "持久卷的生命周期独立于挂载它们的任何单个容器组并由集群管理员供应")[0] == [1, 2]


def test_a_hundred_passages_with_the_same_boilerplate_stay_a_hundred() -> None:
    footer = "This page is licensed under the terms named below, see there."
    texts = [f"{' '.join(f'w{n}x{each}' for each in range(40))} {footer}" for n in range(100)]
    assert kept(*texts)[0] == list(range(1, 101))


words = st.lists(st.sampled_from(["pod", "node", "the", "of", "not", "1", "2", "runs", "<"]), max_size=14).map(" ".join)


@given(st.lists(words, max_size=8))
def test_each_passage_stays_or_is_left_out_for_one_that_came_before_or_holds_it(texts: list[str]) -> None:
    stay, left_out = kept(*texts)
    assert sorted([*stay, *(each for each, _, _ in left_out)]) == list(range(1, len(texts) + 1))
    keys = [fingerprint(texts[each - 1]).key for each in stay]
    assert len(set(keys)) == len(keys)


@given(st.lists(words, max_size=8))
def test_doing_it_twice_leaves_nothing_more_out(texts: list[str]) -> None:
    passages = [make_passage(text, number) for number, text in enumerate(texts, start=1)]
    once, _ = without_repetitions(passages)
    assert without_repetitions(once) == (once, [])
