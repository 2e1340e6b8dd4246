"""Chunks: none longer than the encoder reads, nothing lost, cut where a reader would cut. Counted by real MiniLM."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.chunking import CHARACTERS_PER_TOKEN, Prepared, chunk, chunker_name, embedded_text
from rag.encoders import LocalEncoder
from rag.schema import Document, Format

MAX = 256
SIZES = st.sampled_from([16, 32, 64, 256])
PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def document(text: str, title: str = "Title", written: Format = "markdown") -> Document:
    return Document("file:///d", "d", title, text, "hash", written)


def texts(prepared: list[Prepared]) -> list[str]:
    return [each.chunk.text for each in prepared]


def visible(text: str) -> str:
    return "".join(text.split())


def check(made: list[Prepared], given: Document, encoder: LocalEncoder, max_tokens: int) -> None:
    """What holds of the chunks of any document."""
    assert [each.chunk.ordinal for each in made] == list(range(len(made)))
    for each in made:
        assert each.chunk.text == given.text[each.chunk.start : each.chunk.end]
        assert each.chunk.text == each.chunk.text.strip() != ""
        assert each.embedded.endswith(each.chunk.text)
        assert len(each.chunk.text) <= max_tokens * CHARACTERS_PER_TOKEN
    for one, following in pairwise(made):
        assert one.chunk.end <= following.chunk.start
    counts = encoder.token_counts([each.embedded for each in made]) if made else []
    assert max(counts, default=0) <= max_tokens


def uncovered(made: list[Prepared], text: str) -> str:
    """The visible characters that are in no chunk."""
    edges = [0, *(edge for each in made for edge in (each.chunk.start, each.chunk.end)), len(text)]
    return visible("".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)))


words = st.one_of(
    st.text("abcdefgXYZ", min_size=1, max_size=9),
    st.sampled_from(
        [
            "Hello.",
            "e.g.",
            "Kubernetes!",
            "naïve",
            "漢字かな交じり文" * 5,
            "👩‍👩‍👧‍👦🎉" * 4,
            "한국어문장" * 4,
            "x" * 300,
            "a/b/c-d_e" * 30,
            "\u200b" * 40,
            "½²™",
            "(so?)",
        ]
    ),
)
sentence = st.lists(words, min_size=1, max_size=25).map(" ".join)
paragraph = st.lists(sentence, min_size=1, max_size=4).map("\n".join)
heading = st.tuples(st.integers(1, 6), sentence).map(lambda each: "#" * each[0] + " " + each[1])
bullets = st.lists(sentence, min_size=1, max_size=5).map(lambda lines: "\n".join("- " + line for line in lines))
numbers = st.lists(sentence, min_size=1, max_size=4).map(
    lambda lines: "\n".join(f"{number}. {line}\n   - inner" for number, line in enumerate(lines, 1))
)
table = st.lists(words, min_size=1, max_size=6).map(
    lambda cells: "\n".join(["| a | b |", "|---|---|", *(f"| {cell} | 1 |" for cell in cells)])
)
fence = st.lists(sentence, max_size=6).map(lambda lines: "\n".join(["```sh", *("  " + line for line in lines), "```"]))
quote = sentence.map(lambda line: "> " + line)
rule = st.sampled_from(["---", "***", "<div>\nraw\n</div>", "<br>"])
blocks = st.one_of(paragraph, heading, bullets, numbers, table, fence, quote, rule)
markdown = st.tuples(st.lists(blocks, max_size=12), st.sampled_from(["\n\n", "\n\n\n \n", "\n"])).map(
    lambda each: each[1].join(each[0])
)
code_line = st.tuples(
    st.sampled_from(["", "    ", "\t", "        ", " " * 500]),
    st.one_of(
        sentence,
        st.just(""),
        st.sampled_from(["class A:", "def f(x):", "}", "fn g() {", "@wrap", "# note", "end", "\x0c"]),
    ),
).map("".join)
titles = st.one_of(st.just(""), sentence, st.just("A long title " * 15))


class TestAnyDocument:
    @PROPERTY
    @given(markdown, titles, SIZES)
    def test_markdown_is_covered_once_in_order_and_within_the_limit(
        self, minilm: LocalEncoder, text: str, title: str, max_tokens: int
    ) -> None:
        given_ = document(text, title)
        made = chunk(given_, minilm, max_tokens)
        check(made, given_, minilm, max_tokens)
        assert uncovered(made, text) == ""

    @PROPERTY
    @given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=600), titles, SIZES)
    def test_any_characters_at_all_are_covered_as_plain_text(
        self, minilm: LocalEncoder, text: str, title: str, max_tokens: int
    ) -> None:
        given_ = document(text, title, "text")
        made = chunk(given_, minilm, max_tokens)
        check(made, given_, minilm, max_tokens)
        assert uncovered(made, text) == ""

    @PROPERTY
    @given(st.lists(code_line, max_size=40).map("\n".join), SIZES)
    def test_any_lines_are_covered_as_source_code(self, minilm: LocalEncoder, text: str, max_tokens: int) -> None:
        given_ = document(text, written="code")
        made = chunk(given_, minilm, max_tokens)
        check(made, given_, minilm, max_tokens)
        assert uncovered(made, text) == ""

    @PROPERTY
    @given(st.text("ab .\n\t#*-_`~>|[]()<!\\:/1=+&é漢", max_size=400), SIZES)
    def test_any_marks_at_all_lose_nothing_but_link_definitions(
        self, minilm: LocalEncoder, text: str, max_tokens: int
    ) -> None:
        given_ = document(text)
        made = chunk(given_, minilm, max_tokens)
        check(made, given_, minilm, max_tokens)
        lost = uncovered(made, text)
        assert lost == "" or ("[" in lost and "]:" in lost)

    def test_link_definitions_are_not_text_and_their_neighbours_are(self, minilm: LocalEncoder) -> None:
        text = (
            "See [the docs].\n\n" + "".join(f"[d{n}]: https://example.com/{n}\n" for n in range(500)) + "\nThe end.\n"
        )
        made = chunk(document(text), minilm, MAX)
        assert texts(made) == ["See [the docs].", "The end."]

    def test_the_same_document_makes_the_same_chunks(self, minilm: LocalEncoder) -> None:
        text = "# A\n\n" + "One sentence here. " * 200 + "\n\n## B\n\n- item\n" * 30
        assert chunk(document(text), minilm, 64) == chunk(document(text), LocalEncoder("minilm"), 64)

    @pytest.mark.parametrize("text", ["", " \n\t\n", "[x]: http://example.com\n"])
    def test_nothing_to_say_makes_no_chunk(self, minilm: LocalEncoder, text: str) -> None:
        assert chunk(document(text), minilm, MAX) == []


GUIDE = """Lead paragraph of the guide, {filler}

# Install

Install it, {filler}

## On Linux

Use apt, {filler}

### From source

Run make, {filler}

## On [macOS](https://apple.com) *now*

Use brew, {filler}

# Install

Again, {filler}
"""


class TestSections:
    FILLER = "with all of the words that such a paragraph needs to stand alone as a chunk of its own. " * 3

    def test_each_chunk_knows_the_headings_above_it(self, minilm: LocalEncoder) -> None:
        made = chunk(document(GUIDE.format(filler=self.FILLER), "Guide"), minilm, 128)
        paths = {
            next(line for line in text.split("\n") if "," in line).split(",")[0]: each.chunk.heading_path
            for each, text in zip(made, texts(made), strict=True)
        }
        assert paths == {
            "Lead paragraph of the guide": (),
            "Install it": ("Install",),
            "Use apt": ("Install", "On Linux"),
            "Run make": ("Install", "On Linux", "From source"),
            "Use brew": ("Install", "On macOS now"),
            "Again": ("Install",),
        }

    def test_what_is_embedded_says_where_the_text_stands(self, minilm: LocalEncoder) -> None:
        made = chunk(document("## Probes\n\nText.", "Pods"), minilm, MAX)
        assert [each.embedded for each in made] == ["Pods > Probes\n## Probes\n\nText."]
        assert embedded_text("", (), "Text.") == "Text."
        assert embedded_text("T", ("T", "", "H"), "Text.") == "T > H\nText."

    def test_small_sections_are_joined_under_what_they_share(self, minilm: LocalEncoder) -> None:
        text = "# Faq\n\n" + "".join(f"## Question {n}\n\nShort answer {n}.\n\n" for n in range(6))
        made = chunk(document(text), minilm, MAX)
        assert len(made) == 1
        assert made[0].chunk.heading_path == ("Faq",)

    def test_a_section_that_can_stand_alone_is_not_joined_with_the_next(self, minilm: LocalEncoder) -> None:
        text = f"# One\n\n{self.FILLER}\n\n# Two\n\n{self.FILLER}\n"
        made = chunk(document(text), minilm, 128)
        assert [each.chunk.heading_path for each in made] == [("One",), ("Two",)]

    def test_a_big_section_is_cut_between_paragraphs(self, minilm: LocalEncoder) -> None:
        paragraphs = [f"Paragraph {n} begins here. {self.FILLER}".strip() for n in range(8)]
        made = chunk(document("# Big\n\n" + "\n\n".join(paragraphs)), minilm, 160)
        assert len(made) > 3
        for text in texts(made):
            parts = text.removeprefix("# Big\n\n").split("\n\n")
            assert all(part in paragraphs for part in parts)

    def test_a_big_paragraph_is_cut_at_sentence_ends(self, minilm: LocalEncoder) -> None:
        sentences = [f"Sentence number {n} says v1.2 of it, e.g. something quite plain." for n in range(60)]
        made = chunk(document(" ".join(sentences)), minilm, 64)
        assert len(made) > 5
        for text in texts(made):
            assert re.fullmatch(r"Sentence .*\.", text, re.DOTALL)
        assert [each for text in texts(made) for each in re.findall(r"number (\d+)", text)] == [
            str(n) for n in range(60)
        ]

    @pytest.mark.parametrize("frame", ["```\n{}\n```", "{}"], ids=["fence", "list"])
    def test_code_and_lists_are_cut_at_line_ends(self, minilm: LocalEncoder, frame: str) -> None:
        lines = [f"- value_{n}: compute(alpha, beta). Then More = {n}" for n in range(80)]
        made = chunk(document(frame.format("\n".join(lines))), minilm, 96)
        assert len(made) > 5
        for text in texts(made):
            assert all(line in lines or line == "```" for line in text.split("\n"))

    def test_a_small_fence_stays_whole(self, minilm: LocalEncoder) -> None:
        fence_ = "```yaml\n" + "\n".join(f"key{n}: value" for n in range(12)) + "\n```"
        made = chunk(document(f"{self.FILLER}\n\n{fence_}\n\n{self.FILLER}"), minilm, 128)
        assert sum(fence_ in text for text in texts(made)) == 1

    def test_a_hash_in_a_fence_is_no_heading(self, minilm: LocalEncoder) -> None:
        made = chunk(document("# Real\n\n```\n# comment\n```\n\nAfter."), minilm, MAX)
        assert [each.chunk.heading_path for each in made] == [("Real",)]


class TestLongNames:
    @pytest.mark.parametrize("unit", ["word ", "漢", "한", "😀", "x", "…"])
    @pytest.mark.parametrize("max_tokens", [16, 64, 256])
    def test_titles_and_headings_leave_most_of_a_chunk_to_the_text(
        self, minilm: LocalEncoder, unit: str, max_tokens: int
    ) -> None:
        text = f"# {unit * 2000}\n\n## {unit * 500}\n\n" + "Plain words follow here. " * 100
        given_ = document(text, unit * 1000)
        made = chunk(given_, minilm, max_tokens)
        check(made, given_, minilm, max_tokens)
        assert uncovered(made, text) == ""
        body = [each for each in made if "Plain words follow" in each.chunk.text][1:-1]
        counts = minilm.token_counts([each.chunk.text for each in body])
        assert min(counts) >= max_tokens * 0.3

    def test_where_not_all_names_fit_the_nearest_heading_stays(self, minilm: LocalEncoder) -> None:
        text = f"# {'Far away ' * 20}\n\n## Readiness\n\n" + "Plain words follow here. " * 100
        made = chunk(document(text, "A long title " * 15), minilm, 64)
        below = [each for each in made if each.chunk.heading_path[-1:] == ("Readiness",)]
        assert len(below) > 5
        assert all(each.embedded.endswith(f"Readiness\n{each.chunk.text}") for each in below)

    def test_a_huge_heading_is_not_repeated_in_every_chunk(self, minilm: LocalEncoder) -> None:
        made = chunk(document("# " + "long " * 40_000 + "\n\n" + "Text here. " * 400), minilm, 64)
        assert max(len(name) for each in made for name in each.chunk.heading_path) <= 200


HOSTILE = {
    "one word": "a" * 200_000,
    "one line": "word " * 40_000,
    "one space": "a" + " " * 200_000 + "b",
    "blank lines": "a" + "\n" * 200_000 + "b",
    "invisible": "\u200b" * 200_000,
    "digits": "1" * 200_000,
    "list marks": "- " * 100_000,
    "numbers": "1. " * 60_000,
    "quotes": ">" * 100_000,
    "spaced quotes": "> " * 60_000,
    "brackets": "[" * 50_000,
    "links": "[x](" * 15_000,
    "definitions": "[x]: [" * 15_000,
    "bars": "|" * 50_000,
    "table head": "|" * 10_000 + "\n" + "|-" * 10_000 + "|\n",
    "backticks": "`" * 50_000,
    "fences": "```\n" * 10_000,
    "hashes": "#" * 50_000,
    "headings": "# a\n" * 5_000,
    "deep lists": "".join("  " * n + "- a\n" for n in range(600)),
    "stars": "* " * 30_000,
    "underline": "a " * 25_000 + "\n===\n",
    "tags": "<" * 50_000,
    "escapes": "\\" * 50_000,
    "escaped lines": "\\n" * 30_000,
    "dots": "." * 100_000,
    "closers": ".)" * 50_000,
    "modifiers": "public static " * 10_000,
    "definitions of code": "class a\n" * 5_000,
    "deeper and deeper": "".join(" " * n + "def f():\n" for n in range(600)),
    "table": "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 5_000,
    "sentence ends": ". " * 30_000,
    "chinese": "漢" * 30_000,
    "emoji": "😀" * 30_000,
}


class TestHostileDocuments:
    """Large enough that time that grows with the square of the length would be minutes; 5 MB of each ends as well."""

    @pytest.mark.parametrize("name", HOSTILE)
    @pytest.mark.parametrize("written", ["markdown", "text", "code"])
    def test_time_and_chunks_stay_in_proportion(self, minilm: LocalEncoder, name: str, written: Format) -> None:
        given_ = document(HOSTILE[name], written=written)
        minilm.token_counts([""])
        started = time.process_time()
        made = chunk(given_, minilm, MAX)
        assert time.process_time() - started < 10
        check(made, given_, minilm, MAX)
        assert uncovered(made, given_.text) == ""

    def test_a_line_of_200_kb_without_a_space_is_cut_into_pieces_that_can_be_shown(self, minilm: LocalEncoder) -> None:
        made = chunk(document("x" * 200_000, written="text"), minilm, MAX)
        assert max(len(text) for text in texts(made)) <= MAX * CHARACTERS_PER_TOKEN
        assert "".join(texts(made)) == "x" * 200_000


def test_another_chunk_size_is_another_chunker() -> None:
    assert chunker_name(256) != chunker_name(128)
