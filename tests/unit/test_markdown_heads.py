"""Front matter that is hard on a parser: what one of them refuses or overflows on costs the head, never the body."""

from __future__ import annotations

import pytest

from ingest.loading import Limits
from ingest.loading.markdown import load_markdown

LIMITS = Limits(pages=10, characters=10**6, expansion=10)


@pytest.mark.parametrize("depth", [10, 900, 1900, 30_000])
@pytest.mark.parametrize("opening", ["a: {}", "- {}"])
def test_a_head_that_nests_deeply_leaves_the_body(opening: str, depth: int) -> None:
    head = "title: A title\n" + opening.format("[" * depth + "]" * depth)
    loaded = load_markdown(f"---\n{head}\n---\nThe body.".encode(), "a.md", LIMITS)
    assert loaded.text.strip() == "The body."


@pytest.mark.parametrize("padding", [0, 5000])
def test_a_head_says_the_same_whatever_its_length(padding: int) -> None:
    head = f"# {'x' * padding}\ntitle: 'A \\ title'\nauthors: [Ann, ~, Bob]\ndate: 2020-01-02"
    loaded = load_markdown(f"---\n{head}\n---\nThe body.".encode(), "a.md", LIMITS)
    assert (loaded.title, loaded.metadata) == ("A \\ title", {"author": "Ann, Bob", "date": "2020-01-02"})
