"""Pairs: parted by document, kept with the hash of what they are, and refused when they are something else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.make.candidates import Section
from eval.metrics import measure
from eval.runs import Ranked
from eval.tune.questions import from_feedback, from_structure
from rag.tuning.errors import BadPairs
from rag.tuning.pairs import Candidate, HeldOut, Pair, PairsCard, read_pairs, write_pairs
from rag.tuning.ranking import by_best_passage, encoder_scores, ndcg, reranker_scores
from rag.tuning.splitting import held_out_documents

CARD = PairsCard("mine", "", "", 0, 0, {}, 3, 0.1, 0.05, 2, {"dense": {"name": "minilm"}})
PAIRS = [
    Pair("What is a pod?", "A pod is …", ("A node is …",), "pods.md", "qrels"),
    Pair("Zwölf\nBoxer? 🥊", "x" * 500, (), "b.md", "structure"),
]
HELD_OUT = [HeldOut("Who?", ("c.md",), (Candidate("c.md", "I."), Candidate("d.md", "Not I.")), "feedback")]

names = st.sampled_from([f"{letter}.md" for letter in "abcdefghijkl"])
questions = st.lists(st.lists(names, min_size=1, max_size=3), max_size=12)


class TestSplit:
    @given(questions, st.floats(0, 1), st.integers(0, 99))
    def test_no_question_has_documents_on_both_sides(self, asked: list[list[str]], share: float, seed: int) -> None:
        apart = held_out_documents(asked, share, seed)
        assert all(set(each) <= apart or not set(each) & apart for each in asked)

    @given(questions, st.floats(0, 1), st.integers(0, 99), st.randoms())
    def test_the_order_of_the_questions_decides_nothing(
        self, asked: list[list[str]], share: float, seed: int, draw: object
    ) -> None:
        shuffled = [list(reversed(each)) for each in reversed(asked)]
        assert held_out_documents(shuffled, share, seed) == held_out_documents(asked, share, seed)

    @given(questions, st.integers(0, 99))
    def test_all_or_nothing_may_be_held_out(self, asked: list[list[str]], seed: int) -> None:
        assert held_out_documents(asked, 0, seed) == frozenset()
        assert held_out_documents(asked, 1, seed) == {name for each in asked for name in each}

    def test_about_the_share_is_held_out_and_another_seed_holds_out_others(self) -> None:
        asked = [[f"{number}.md"] for number in range(2000)]
        first, second = (held_out_documents(asked, 0.2, seed) for seed in (1, 2))
        assert 320 < len(first) < 480
        assert first != second


class TestFiles:
    def test_they_come_back_as_they_were_written(self, tmp_path: Path) -> None:
        made = write_pairs(tmp_path, PAIRS, HELD_OUT, CARD)
        assert read_pairs(tmp_path) == made
        assert made.card.by_source == {"qrels": 1, "structure": 1}
        assert (made.card.pairs, made.card.held_out) == (2, 1)

    def test_the_hash_is_of_the_pairs_and_not_of_where_they_lie(self, tmp_path: Path) -> None:
        first, second = (write_pairs(tmp_path / each, PAIRS, HELD_OUT, CARD).card for each in "ab")
        other = write_pairs(tmp_path / "c", PAIRS[:1], HELD_OUT, CARD).card
        assert first == second
        assert other.sha256 != first.sha256
        assert other.held_out_sha256 == first.held_out_sha256

    @pytest.mark.parametrize("name", ["pairs.jsonl", "held-out.jsonl"])
    def test_a_file_that_was_changed_is_named(self, tmp_path: Path, name: str) -> None:
        write_pairs(tmp_path, PAIRS, HELD_OUT, CARD)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-10])
        with pytest.raises(BadPairs, match=f"{name} is not what"):
            read_pairs(tmp_path)

    def test_a_folder_without_pairs_says_how_to_make_some(self, tmp_path: Path) -> None:
        with pytest.raises(BadPairs, match="librarian tune pairs"):
            read_pairs(tmp_path)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "name": "x"}'])
    def test_a_card_that_is_none_is_named(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "pairs.json").write_text(text)
        with pytest.raises(BadPairs, match=r"pairs\.json is no card"):
            read_pairs(tmp_path)


class TestRanking:
    @given(
        st.lists(st.sampled_from("abcdefghijklmnop"), unique=True, min_size=1),
        st.sets(st.sampled_from("abcdefghijklmnop"), min_size=1),
    )
    def test_ndcg_is_the_one_that_evaluations_measure(self, ranked: list[str], relevant: set[str]) -> None:
        run = {"q": tuple(Ranked(each, 1 - place / 100) for place, each in enumerate(ranked))}
        wanted = measure({"q": dict.fromkeys(relevant, 1)}, run, ("nDCG@10",)).means["nDCG@10"]
        assert ndcg(ranked, relevant) == pytest.approx(wanted, abs=1e-5)

    def test_a_document_stands_where_its_best_passage_does(self) -> None:
        assert by_best_passage(["a", "b", "a", "c"], [0.1, 0.5, 0.9, 0.5]) == ["a", "b", "c"]

    def test_an_encoder_is_asked_for_a_document_among_all_candidates(self) -> None:
        import numpy as np

        vectors = {"q": [1.0, 0.0], "right": [1.0, 0.0], "wrong": [0.0, 1.0], "p": [0.0, 1.0]}
        held_out = [
            HeldOut("q", ("r",), (Candidate("w", "wrong"), Candidate("r", "right")), "qrels"),
            HeldOut("p", ("r",), (Candidate("r", "right"),), "qrels"),
        ]

        def encode(texts: object) -> object:
            return np.array([vectors[each] for each in texts], np.float32)  # type: ignore[attr-defined]

        found = encoder_scores(held_out, encode, encode)  # type: ignore[arg-type]
        assert found[0] == 1.0
        assert found[1] == pytest.approx(1 / np.log2(3))  # the first question's "w" is nearer

    def test_a_reranker_is_asked_about_each_questions_own(self) -> None:
        found = reranker_scores(HELD_OUT, lambda query, texts: [float(len(each)) for each in texts])
        assert found == [pytest.approx(0.63093, abs=1e-5)]


class TestQuestions:
    def test_feedback_gives_what_answered_and_what_did_not(self, tmp_path: Path) -> None:
        lines = [
            {"query": " How? ", "positive_document": "a.md", "positive_text": "So.", "negative_documents": ["b.md"]},
            {"query": "Why?", "positive_document": None, "negative_documents": ["b.md"], "rating": -1},
            {"query": "Who?", "positive_document": "gone.md"},
        ]
        path = tmp_path / "feedback.jsonl"
        path.write_text("\n".join(json.dumps(each) for each in lines))
        dropped: Counter[str] = Counter()
        found = from_feedback(path, {"a.md": "file:///a.md", "b.md": "file:///b.md"}, dropped)
        assert [(each.text, each.documents, each.passage, each.wrong) for each in found] == [
            ("How?", ("file:///a.md",), "So.", ("file:///b.md",))
        ]
        assert dropped.total() == 2

    def test_feedback_without_a_query_is_named_by_its_line(self, tmp_path: Path) -> None:
        path = tmp_path / "feedback.jsonl"
        path.write_text('{"query": "How?", "positive_document": "a.md"}\n{"positive_document": "a.md"}\n')
        with pytest.raises(BadPairs, match="line 2 has no query"):
            from_feedback(path, {}, Counter())

    def test_an_answer_made_from_a_heading_stands_without_it(self) -> None:
        text = "## Creating a static pod\n\nPut a manifest there."
        section = Section("pods.md", "Pods", ("Pods", "Creating a static pod"), text)
        (found,) = from_structure([section], {"pods.md": "file:///pods.md"}, 10, 0, Counter())
        assert found.text == "How do I create a static pod?"
        assert found.passage == "Pods\nPut a manifest there."
        assert found.bare

    def test_headings_that_say_nothing_and_doubles_are_counted(self) -> None:
        some = [Section(f"{each}.md", "Pods", ("Create a static pod",), "Text.") for each in "ab"]
        none = Section("c.md", "Pods", ("Overview",), "Text.")
        dropped: Counter[str] = Counter()
        found = from_structure([*some, none], {f"{each}.md": each for each in "abc"}, 10, 0, dropped)
        assert len(found) == 1
        assert sorted(dropped.values()) == [1, 1]
