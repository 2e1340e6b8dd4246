"""Which sentences of the Kubernetes pages become questions of the ablation, and what is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))  # behind the packages: it has an ingest.py

import kubernetes_links as made

NAMES = {"concepts/pods.md", "tasks/_index.md", "tasks/probe.md"}
BESIDE = "tells in many words what one should know"


def asked(text: str) -> list[tuple[str, str]]:
    return [(each.text, each.target) for each in made.linked("tasks/probe.md", text, NAMES)]


def test_a_sentence_with_one_link_to_another_page_is_a_question_without_the_target() -> None:
    text = f"Pods come first.\nThe page on\n[pods and more](/docs/concepts/pods/#why) {BESIDE}. That is all of it."
    assert asked(text) == [(f"The page on pods and more {BESIDE}.", "concepts/pods.md")]


def test_a_folder_is_its_front_page() -> None:
    assert asked(f"The page on [tasks](/docs/tasks/) {BESIDE}.") == [
        (f"The page on tasks {BESIDE}.", "tasks/_index.md")
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"The page on [pods](/docs/concepts/pods) and [tasks](/docs/tasks/) {BESIDE}.",
        f"The page on [pods](https://example.org/docs/concepts/pods) {BESIDE}.",
        f"The page on [this](/docs/tasks/probe/) {BESIDE}.",
        f"The page on [what is gone](/docs/concepts/gone/) {BESIDE}.",
        "See also [pods and all that one can do with them](/docs/concepts/pods/).",
        f"# The page on [pods](/docs/concepts/pods/) {BESIDE}.",
        f"```\nThe page on [pods](/docs/concepts/pods/) {BESIDE}.\n```",
        f"<!-- The page on [pods](/docs/concepts/pods/) {BESIDE}. -->",
        f"---\ntitle: The page on [pods](/docs/concepts/pods/) {BESIDE}.\n---\n",
    ],
    ids=["two links", "elsewhere", "itself", "no page", "few words", "heading", "code", "comment", "front matter"],
)
def test_others_are_not(text: str) -> None:
    assert asked(text) == []


def test_each_item_of_a_list_stands_by_itself() -> None:
    text = f"* The page on [pods](/docs/concepts/pods/) {BESIDE}\n* The page on [tasks](/docs/tasks/) {BESIDE}\n"
    assert [target for _, target in asked(text)] == ["concepts/pods.md", "tasks/_index.md"]


def test_a_page_is_the_answer_to_two_questions_at_most(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    for name in ("a", "b", "c", "d"):
        (pages / name).parent.mkdir(exist_ok=True)
        (pages / f"{name}.md").write_text(f"The page {name} on [a](/docs/a/) {BESIDE}.\n")
    found = made.links(pages)
    assert [(each.metadata["page"], each.text) for each in found.queries] == [
        ("b.md", f"The page b on a {BESIDE}."),
        ("c.md", f"The page c on a {BESIDE}."),
    ]
    assert found.qrels == {"link-0": {"a.md": 1}, "link-1": {"a.md": 1}}


def test_pages_without_a_link_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no sentence"):
        made.links(tmp_path)
