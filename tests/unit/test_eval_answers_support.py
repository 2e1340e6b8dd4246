"""Citation recall and precision as ALCE has them, groundedness, and the lexical test under them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eval.answers.support import LexicalTest, Supports, measure_support
from eval.answers.text import Statement

PODS = "A pod runs one or more containers on a node of the cluster."
PROBES = "A readiness probe keeps traffic away from a pod that is not ready, every 10 seconds."


def test_a_sentence_is_supported_by_a_passage_that_has_its_words() -> None:
    test = LexicalTest()
    assert test("The pod runs containers on a node.", [PODS])
    assert not test("The scheduler evicts jobs without quota.", [PODS])
    assert not test("A pod runs containers.", [])


def test_a_number_that_no_passage_has_is_not_supported() -> None:
    assert LexicalTest()("A readiness probe keeps traffic from a pod every 10 seconds.", [PROBES])
    assert not LexicalTest()("A readiness probe keeps traffic from a pod every 30 seconds.", [PROBES])


def test_a_gold_answer_that_both_hold_is_support_whatever_the_other_words() -> None:
    test = LexicalTest(("readiness probe",))
    assert test("Kubernetes calls such checks by the name of readiness probe.", [PROBES])
    assert not test("Kubernetes calls such checks by another name.", [PROBES])


def test_passages_support_together_what_none_does_alone() -> None:
    sentence = "A pod runs containers, and a readiness probe keeps traffic away."
    assert LexicalTest()(sentence, [PODS, PROBES])
    assert not LexicalTest()(sentence, [PROBES[:20]])


def says() -> Supports:
    """A test by which a passage supports exactly the sentences named in it, and passages together only with 'both'."""

    def supports(sentence: str, passages: Sequence[str]) -> bool:
        return sentence in passages or ("both" in sentence and len(passages) > 1)

    return supports


def test_recall_counts_sentences_and_precision_counts_citations() -> None:
    found = [Statement("one", (1,)), Statement("two", (1,)), Statement("three", ())]
    support = measure_support(found, ["one", "two", "three"], says())
    assert support is not None
    assert support.recall == pytest.approx(1 / 3)  # "two" is cited to the wrong passage, "three" to none
    assert support.precision == pytest.approx(1 / 2)
    assert support.grounded == 1.0


def test_a_needless_citation_lowers_precision_and_not_recall() -> None:
    support = measure_support([Statement("one", (1, 2))], ["one", "other"], says())
    assert support is not None
    # Passage 2 does not support it, and passage 1 does without it.
    assert (support.recall, support.precision) == (1.0, 0.5)


def test_citations_that_support_only_together_all_count() -> None:
    support = measure_support([Statement("both", (1, 2))], ["x", "y"], says())
    assert support is not None
    assert (support.recall, support.precision) == (1.0, 1.0)


def test_an_answer_without_citations_has_neither() -> None:
    support = measure_support([Statement("one", ())], ["one"], says())
    assert support is not None
    assert (support.recall, support.precision, support.grounded) == (0.0, 0.0, 1.0)


def test_a_number_that_names_no_passage_supports_nothing() -> None:
    support = measure_support([Statement("one", (7,))], ["one"], says())
    assert support is not None
    assert support.recall == 0.0


def test_an_answer_that_states_nothing_is_not_measured() -> None:
    assert measure_support([], [PODS], LexicalTest()) is None
