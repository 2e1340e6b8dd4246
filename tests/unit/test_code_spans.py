"""No marker that names nothing survives where a reader of the answer sees text, whatever the backticks say.

What is text and what is code is told by markdown-it-py, a CommonMark parser that shares nothing with the filter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag.citations import CitationFilter
from rag.code_spans import RUN_LENGTH, SPAN_LENGTH
from tests.conftest import make_passage

PASSAGES = tuple(make_passage(f"Passage {number}.", number) for number in (1, 2, 3))
MARKDOWN = (MarkdownIt("commonmark"), MarkdownIt("commonmark", {"html": False}))
SUBSCRIPT = re.compile(r"\[(\d+)\]")

pieces = st.sampled_from(
    [
        "`", "`", "``", "```", "````", "~~~", "\n", "\n", "\n\n", "[9]", "[9]", "[1]", "[2]", "[9", "9]", "a", " ",
        "  ", "   ", "    ", "\t", "- ", "1. ", "10. ", "> ", "# ", "\\", "\\`", "<b>", "</b>", "<a href='`'>",
        "<http://a`b>", "<pre>", "<!--", "-->", "<div>", "x[9]", "`x[9]`", "```py\n", "\n```\n", "py", "!", "(", ")",
        "[a", "](b)", ". ", "*", "|", ":", "---",
    ]
)  # fmt: skip
answers = st.lists(pieces, max_size=24).map("".join)


def run(*said: str) -> CitationFilter:
    citations = CitationFilter(PASSAGES)
    shown = "".join(citations.feed(each) for each in said) + citations.finish()
    assert shown == citations.text
    return citations


def shown(*said: str) -> str:
    return run(*said).text


def texts(tokens: Sequence[Token]) -> Iterator[str]:
    """What is shown as anything but code."""
    for token in tokens:
        if token.children is not None:
            yield from texts(token.children)
        elif token.type not in {"code_inline", "code_block", "fence"}:
            yield token.content


@settings(max_examples=600)
@given(answers)
@example("` [9]")
@example("x ` y\nz ` [9] `")
@example("``` [9] `")
@example("\\` [9] `")
@example("~~~\n```\n~~~\n[9]\n```")
@example("- ```py\n  x[9]\n  ```\n  [9]\n  ```")
@example("- a\n  ```\n  x\n    ```\n  [9]\n  ```")
@example("<div>\n```\n[9]\n```")
@example("``[9]`\n```\n[9]\n```")
@example("<http://a`b> [9] `")
@example("```\nx[9]")
@example("   ```\n x[9]\n```")
def test_no_marker_in_a_readers_text_names_nothing(said: str) -> None:
    citations = run(said)
    cited = Counter(each.number for each in citations.citations)
    for markdown in MARKDOWN:
        text = "\0".join(texts(markdown.parse(citations.text)))
        for number, times in Counter(int(each) for each in SUBSCRIPT.findall(text)).items():
            assert times <= cited[number], citations.text


@settings(max_examples=200)
@given(st.lists(pieces, max_size=24))
def test_how_it_is_cut_makes_no_difference(parts: list[str]) -> None:
    whole = run("".join(parts))
    for cut in (parts, list("".join(parts))):
        again = run(*cut)
        assert (again.text, again.citations) == (whole.text, whole.citations)


@pytest.mark.parametrize("before", ["", "a", "`", "` ", "```\n", "`" * 200])
@pytest.mark.parametrize("after", ["`" * 100, "x" * 1000, "[9" * 400, "[9] " * 400, " ` " * 400])
def test_what_is_held_back_is_bounded(before: str, after: str) -> None:
    citations = CitationFilter(PASSAGES)
    for each in before + after:
        citations.feed(each)
        assert len(citations._buffer) <= SPAN_LENGTH + RUN_LENGTH


class TestCode:
    @pytest.mark.parametrize(
        "text",
        [
            "Use `args[0]` here",
            "Use ``a ` b[9]`` here",
            "Use `<pod>` and `args[0]`.",
            "```\nrows[2] = 1\n```",
            "```python title=x\nrows[2] = 1\n\nrows[9] = `1`\n```\nDone.",
            "1. First:\n   ```sh\n   echo ${a[9]}\n   ```\n2. Then.",
            "````\n```\na[9]\n```\n````\n",
            "A stray ` here.\n\nUse `a[9]`.",
            "A stray ` here.\n```\na[9]\n```\n",
        ],
    )
    def test_closed_code_stays_as_it_is(self, text: str) -> None:
        assert shown(text) == shown(*text) == text
        assert run(text).citations == []

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("See `x [9] now", "See `x  now"),
            ("See `x [9] now\n", "See `x  now\n"),
            ("See `x [9]\nand more` now", "See `x \nand more` now"),
            ("See `x [1] now", "See `x [1] now"),
            ("See `a[9]` and ` [9]", "See `a[9]` and ` "),
            ("Use <b>` [9] `</b>", "Use <b>`  `</b>"),
            ("See ```[9] now", "See ``` now"),
            ("``[9]`", "`` `"),
        ],
    )
    def test_in_code_without_an_end_a_marker_is_a_marker(self, text: str, kept: str) -> None:
        assert shown(text) == shown(*text) == kept

    def test_a_true_marker_in_such_code_is_a_citation(self) -> None:
        assert [each.number for each in run("See `x [1] and [9]").citations] == [1]

    def test_a_block_that_was_broken_off_is_closed_where_its_subscripts_need_it(self) -> None:
        assert shown("```\nrows[9] =") == "```\nrows[9] =\n```"
        assert shown("  ````\n  rows[9]\n") == "  ````\n  rows[9]\n  ````"
        assert shown("```\nrows =") == "```\nrows ="
        assert shown("```\nrows[9]\n```") == "```\nrows[9]\n```"

    def test_a_block_is_shown_as_it_comes(self) -> None:
        citations = CitationFilter(PASSAGES)
        assert [citations.feed(each) for each in ("```\n", "rows[9", "] = 1")] == ["```\n", "rows", "[9] = 1"]

    def test_a_span_too_long_to_wait_for_is_text(self) -> None:
        assert "[9]" in shown("`a[9]" + "x" * (SPAN_LENGTH - 10) + "`")
        assert "[9]" not in shown("`a[9]" + "x" * SPAN_LENGTH + "`")
