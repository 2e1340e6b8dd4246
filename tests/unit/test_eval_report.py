"""The page stands alone, says what it is of, and holds hostile texts as texts."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from html import unescape

import pytest

from eval.report import making
from eval.report.html import render
from eval.result import Config
from tests.report_kit import HOSTILE, evaluation, result


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    page = render(evaluation())
    assert not re.search(r"""<(script|link|iframe|img|object|embed)\b|@import|url\(|\b(src|href)=|https?://""", page)
    assert "default-src 'none'" in unescape(page)


def test_hostile_texts_are_shown_and_not_obeyed() -> None:
    page = render(evaluation(result(hostile=HOSTILE), result(f"b{HOSTILE}", 2, hostile=HOSTILE)))
    assert not re.search(r"<(script|img)\b", page)
    assert "&lt;script&gt;" in page
    assert not re.search("[\u202e\u200b\0\ud800]", page)
    assert "⟨U+202E⟩" in page
    assert page.count("</title>") == page.count("<title>")
    assert page.encode("utf-8")


def test_the_page_says_the_verdict_the_numbers_and_what_was_found_instead() -> None:
    made = evaluation()
    page = render(made)
    for each in ("Quality against latency", "Wins and losses", "Recall curve", "Score distributions", "worst queries"):
        assert each in page
    assert f"{made.runs[0].metrics['nDCG@10']:.3f}" in page
    assert re.search("(is better than|is worse than|No difference shown between) now", page)
    assert "Should have been found" in page
    assert "Title of d" in page
    assert "Once upon a time." in page
    assert "not in the first 100" in page
    assert "0" * 64 in page


def test_a_synthetic_dataset_is_marked_and_another_is_not() -> None:
    marked, other = render(evaluation(synthetic=True)), render(evaluation())
    assert "Synthetic questions" in marked
    assert "<title>made-up test (synthetic): retrieval</title>" in marked
    assert "ynthetic" not in other


def test_documents_that_are_missing_from_the_index_are_told() -> None:
    run = result()
    made = evaluation()
    made = replace(made, runs=(replace(run, dataset=replace(run.dataset, missing=3)),), comparisons=())
    assert "3 judged documents are not in the index" in render(made)


def test_one_configuration_is_shown_without_comparisons() -> None:
    page = render(evaluation(result()))
    assert "Recall curve" in page
    assert "Wins and losses" not in page
    assert "randomisation" not in page


def test_a_result_kept_without_its_queries_says_so() -> None:
    page = render(evaluation(result().brief(), result("new", 2).brief()))
    assert "kept without its queries" in page
    assert "Wins and losses" in page
    assert "Recall curve" not in page


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_any_number_of_configurations_fits(count: int) -> None:
    page = render(evaluation(*(result(f"config-{each}", each + 1) for each in range(count))))
    assert page.count("config-0") > 1


def test_every_table_row_is_named_and_every_scrolling_part_can_be_reached_by_keyboard() -> None:
    page = render(evaluation())
    assert page.count('class="scroll"') == page.count('class="scroll" tabindex="0" role="region" aria-label=')
    assert page.count("<svg") == page.count('role="img"') + page.count('aria-hidden="true"') - page.count(
        'caption" aria-hidden'
    )


def test_the_command_names_what_is_not_the_default() -> None:
    made = evaluation()
    assert making.command(made.runs) == (
        "librarian eval retrieval made-up --split test --concurrency 16 --config now.toml --config new.toml"
    )
    only = replace(made.runs[0], metrics={"P@5": 0.5}, config=Config("default", {}, {}), throughput=None)
    assert making.command([only]) == "librarian eval retrieval made-up --split test --metric P@5"


def test_the_settings_are_shown_as_the_file_that_makes_them() -> None:
    settings = {"rrf_k": 2.0, "encoder": 'a "folder"\n', "groups": ["a", "b"], "otel": True}
    assert tomllib.loads(making.toml(settings)) == settings


def test_only_settings_that_differ_stand_first() -> None:
    differ, alike = making.rows_of([{"a": 1, "b": 2}, {"a": 1, "b": 3, "c": "x"}], "default")
    assert differ == [["b", "2", "3"], ["c", "default", "x"]]
    assert alike == [["a", "1", "1"]]
    assert making.flat({"dense": {"name": "minilm", "size": 384}}) == {"dense.name": "minilm", "dense.size": 384}
