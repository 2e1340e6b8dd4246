"""Results are kept as JSON without loss, compared query by query, and gated on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval import words
from eval.command import app
from eval.comparing import compare, compare_all
from eval.errors import GateFailed
from eval.gate import check, minima, pick
from eval.result import Config, DatasetFacts, Evaluation, Found, Latency, QueryReport, Result, read, write
from eval.writing import markdown
from rag.errors import BadInput


def result(name: str = "a", per_query: dict[str, float] | None = None, **fields: Any) -> Result:
    """One configuration's result on ten queries."""
    scores = per_query or {f"q{number}": number / 10 for number in range(10)}
    mean = round(sum(scores.values()) / len(scores), 6)
    values: dict[str, Any] = {
        "dataset": DatasetFacts("small", "test", "0" * 64, False, 3, 7, len(scores), 12),
        "config": Config(name, {"rrf_k": 2.0}, {"dense": {"name": "minilm"}}),
        "metrics": {"nDCG@10": mean, "R@5": mean},
        "intervals": {"nDCG@10": (0.1, 0.9), "R@5": (0.2, 0.8)},
        "latency_ms": Latency(8.0, 12.0, 20.0, 9.0, 10, {"encode": 6.0}),
        "queries_per_s": 100.0,
        "per_query": {"nDCG@10": scores, "R@5": scores},
        "depth": 100,
        "versions": {"python": "3.11"},
        "machine": {"cpus": 2},
        "queries": {
            each: QueryReport("What | now?", {"d1": 1}, {"d1": 3}, (Found("d2", "Two", 0.5, None),), 0.7)
            for each in scores
        },
    }
    return Result(**{**values, **fields})


def better() -> Result:
    return result("b", {f"q{number}": min(1.0, number / 10 + 0.2) for number in range(10)})


@pytest.mark.parametrize("runs", [(result(),), (result(), better())])
def test_an_evaluation_survives_its_file(runs: tuple[Result, ...], tmp_path: Path) -> None:
    evaluation = Evaluation(runs, compare_all(runs))
    write(tmp_path / "result.json", evaluation)
    assert read(tmp_path / "result.json") == evaluation


def test_one_run_is_its_own_json_and_several_are_listed() -> None:
    one = Evaluation((result(),)).to_json(brief=True)
    assert list(one)[:5] == ["dataset", "config", "metrics", "intervals", "latency_ms"]
    assert one["intervals"]["nDCG@10"] == [0.1, 0.9]
    assert one["latency_ms"]["p50"] == 8.0
    assert "queries" not in one
    runs = (result(), better())
    assert list(Evaluation(runs, compare_all(runs)).to_json()) == ["runs", "comparisons"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"runs": 3}', '{"runs": [{}]}', '{"dataset": {}, "x": 1}'])
def test_a_file_that_is_no_result_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(BadInput, match=r"x\.json"):
        read(tmp_path / "x.json")


def test_a_comparison_counts_wins_losses_and_ties_and_says_so() -> None:
    found = compare("a", "b", "R@5", {"1": 0.5, "2": 0.5, "3": 1.0, "4": 0.0}, {"1": 1.0, "2": 0.0, "3": 1.0, "5": 1.0})
    assert (found.wins, found.losses, found.ties, found.difference) == (1, 1, 1, 0.0)
    assert words.comparison(found).startswith("no difference shown between a and b: +0.0000 R@5")


def test_what_is_better_is_said_to_be_better() -> None:
    first = compare_all([result(), better()])[0]
    assert (first.metric, first.wins, first.losses) == ("nDCG@10", 10, 0)
    assert words.comparison(first).startswith("b is better than a: +0.19")
    assert "p = 0.002" in words.comparison(first)


def test_every_pair_is_compared_and_corrected_within_a_metric() -> None:
    found = compare_all([result("a"), result("c"), better()])
    assert [(each.a, each.b) for each in found if each.metric == "R@5"] == [("a", "c"), ("a", "b"), ("c", "b")]
    assert all(each.p <= each.p_holm for each in found)
    assert found[1].p_holm == pytest.approx(min(1, 3 * found[1].p), abs=1e-5)


def test_the_markdown_report_marks_what_is_synthetic_and_keeps_its_tables_whole() -> None:
    facts = DatasetFacts("small", "test", "0" * 64, True, 3, 7, 10, 12)
    runs = (result(dataset=facts), better())
    text = markdown(Evaluation(runs, compare_all(runs)))
    assert "SYNTHETIC" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert tables
    assert any("What \\| now?" in line for line in tables)


def test_the_least_value_of_a_metric_is_a_condition_whatever_its_case() -> None:
    met, failed = check(result(), least=minima(["ndcg@10=0.45", "r@5=0.5"]))
    assert (met.met, failed.met) == (True, False)
    assert failed.text == "R@5 is 0.4500, less than 0.5000"


def test_a_run_may_be_as_much_worse_than_the_baseline_as_is_allowed() -> None:
    assert not check(result(), better(), no_worse_than=0.1)[0].met
    assert check(result(), better(), no_worse_than=0.2)[0].met
    assert check(better(), result())[0].met
    assert "p = 0.002" in check(better(), result())[0].text
    assert [each.text[:3] for each in check(result(), better(), metrics=["r@5", "NDCG@10"])] == ["R@5", "nDC"]


def test_a_baseline_without_scores_for_each_query_is_compared_by_its_mean() -> None:
    (found,) = check(result(), replace(result(metrics={"nDCG@10": 0.4}), per_query={}))
    assert "+0.0500" in found.text
    assert "p =" not in found.text


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"no_worse_than": 0.1},
        {"least": {"mrr": 0.5}},
        {"baseline": result(dataset=DatasetFacts("small", "train", "1" * 64, False, 3, 7, 10, 12))},
    ],
)
def test_a_gate_refuses_what_it_cannot_judge(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        check(result(), **arguments)


@pytest.mark.parametrize("text", ["ndcg@10", "ndcg@10=high", "=0.5", "ndcg@10=70", "ndcg@10=nan"])
def test_a_condition_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="METRIC=VALUE"):
        minima([text])


def test_of_several_runs_one_must_be_named() -> None:
    both = Evaluation((result(), better()))
    assert pick(both, "b", "x").config.name == "b"
    with pytest.raises(BadInput, match="a, b"):
        pick(both, None, "x")


def gate(folder: Path, *arguments: str) -> tuple[int | None, str]:
    """The command's exit code (None: done) and output."""
    done = CliRunner().invoke(app(), ["gate", str(folder / "run.json"), *arguments])
    return getattr(done.exception, "exit_code", None), done.output


def test_the_command_says_each_condition_and_fails_with_its_own_code(tmp_path: Path) -> None:
    write(tmp_path / "run.json", Evaluation((result(),)))
    write(tmp_path / "base.json", Evaluation((better(),)))
    code, output = gate(tmp_path, "--min", "ndcg@10=0.4")
    assert (code, output) == (None, "met: nDCG@10 is 0.4500, at least 0.4000\n")
    code, output = gate(tmp_path, "--min", "ndcg@10=0.4", "--baseline", str(tmp_path / "base.json"), "--json")
    assert code == GateFailed.exit_code == 12
    assert [each["met"] for each in json.loads(output)["conditions"]] == [True, False]
    write(tmp_path / "base.json", Evaluation((result(dataset=DatasetFacts("o", "t", "2", False, 1, 1, 1, 1)),)))
    assert gate(tmp_path, "--baseline", str(tmp_path / "base.json"))[0] == 2
