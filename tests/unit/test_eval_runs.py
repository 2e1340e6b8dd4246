"""Runs in TREC's format are read by trec_eval just as they were ranked, and scored as we score them."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from eval.judgements import Qrels, read_qrels
from eval.metrics import DEFAULT_METRICS, measure
from eval.runs import Ranked, Run, read_run, scores, strictly_decreasing, write_qrels, write_run
from rag.errors import BadInput

# trec_eval's names of ours; its reciprocal rank has no cutoff, so the run is cut instead.
TREC_NAMES = {
    "nDCG@10": "ndcg_cut_10",
    "R@5": "recall_5",
    "R@20": "recall_20",
    "R@100": "recall_100",
    "Success@5": "success_5",
    "AP": "map",
}


def made_up(seed: int) -> tuple[Qrels, Run]:
    """Graded judgements and a run with many equal scores and a query that found nothing."""
    dice = random.Random(seed)
    documents = [f"d{number}" for number in range(300)]
    qrels = {}
    run = {}
    for number in range(40):
        query = f"q{number}"
        qrels[query] = {each: dice.choice([0, 1, 1, 2, 3]) for each in dice.sample(documents, 12)} | {"d1": 1}
        order = dice.sample(documents, 150)
        levels = sorted((dice.choice([0.1, 0.5, 0.5, 1 / 3, 0.7]) for _ in order), reverse=True)
        run[query] = tuple(Ranked(each, score) for each, score in zip(order, levels, strict=True))
    run["q0"] = ()
    return qrels, run


def trec_eval(run_file: Path, qrels_file: Path) -> dict[str, dict[str, float]]:
    """What trec_eval's own code makes of the two files, by query."""
    with run_file.open() as run, qrels_file.open() as qrels:
        evaluator = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel(qrels), pytrec_eval.supported_measures)
        found: dict[str, dict[str, float]] = evaluator.evaluate(pytrec_eval.parse_run(run))
        return found


@pytest.mark.parametrize("seed", range(5))
def test_trec_eval_agrees_with_every_metric_to_the_fourth_decimal(seed: int, tmp_path: Path) -> None:
    qrels, run = made_up(seed)
    ours = measure(qrels, run)
    write_run(tmp_path / "run.trec", run, "test")
    write_run(tmp_path / "top10.trec", {query: ranked[:10] for query, ranked in run.items()}, "test")
    write_qrels(tmp_path / "qrels.trec", qrels)
    theirs = trec_eval(tmp_path / "run.trec", tmp_path / "qrels.trec")
    top10 = trec_eval(tmp_path / "top10.trec", tmp_path / "qrels.trec")
    columns = {metric: (theirs, name) for metric, name in TREC_NAMES.items()} | {"RR@10": (top10, "recip_rank")}
    assert set(columns) == set(DEFAULT_METRICS)
    for metric, (found, name) in columns.items():
        for query, value in ours.per_query[metric].items():
            assert value == pytest.approx(found.get(query, {}).get(name, 0.0), abs=5e-5), (metric, query)
        mean = sum(each[name] for each in found.values()) / len(qrels)  # as `trec_eval -c`: over all judged queries
        assert ours.means[metric] == pytest.approx(mean, abs=5e-5), metric


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1 / 3, 0.5, 1e-45]), max_size=60))
def test_scores_decrease_strictly_as_floats_of_32_bits_and_as_text(given: list[float]) -> None:
    given.sort(reverse=True)
    written = [np.float32(f"{each:.9g}") for each in strictly_decreasing(given)]
    assert all(first > second for first, second in pairwise(written))
    for before, after in zip(given, written, strict=True):
        assert after == pytest.approx(before, rel=1e-4, abs=1e-4)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(BadInput, match="nan"):
        list(strictly_decreasing([1.0, math.nan]))


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = {"a question": [Ranked("a b.md", 0.5), Ranked("100%.md", 0.5), Ranked("ü\u2028.md", 0.25)], "empty": []}
    write_run(tmp_path / "run", run, "my tag")
    assert all(len(line.split()) == 6 for line in (tmp_path / "run").read_text().splitlines())
    found = read_run(tmp_path / "run")
    assert {query: [each.document for each in ranked] for query, ranked in found.items()} == {
        "a question": ["a b.md", "100%.md", "ü\u2028.md"]
    }
    assert scores(found) == {"a question": scores(run)["a question"]}


def test_equal_scores_are_read_as_trec_eval_orders_them(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("q Q0 a 1 1.0 t\nq Q0 c 2 1.0 t\nq Q0 b 3 2.0 t\n")
    assert [each.document for each in read_run(tmp_path / "run")["q"]] == ["b", "c", "a"]


def test_a_malformed_line_of_a_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("q Q0 a 1 1.0 t\nq Q0 a\n")
    with pytest.raises(BadInput, match="line 2"):
        read_run(tmp_path / "run")


def test_names_in_judgements_are_encoded_as_those_in_runs(tmp_path: Path) -> None:
    qrels = {"q 1": {"a.md": 2, "b c.md": 0}, "q2": {"d": -1}}
    write_qrels(tmp_path / "qrels", qrels)
    assert read_qrels(tmp_path / "qrels") == {"q%201": {"a.md": 2, "b%20c.md": 0}, "q2": {"d": -1}}
