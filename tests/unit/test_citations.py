"""Citations: only true ones survive, however the stream is cut; the service's own stand where the words do."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rag.citations import END_LENGTH, MARKER_LENGTH, MATCH_COVERAGE, MATCH_WORDS, CitationFilter, content_words
from rag.prompt import INVISIBLE
from rag.schema import Citation, Passage
from tests.conftest import make_passage

PASSAGES = (
    make_passage("A pod is the smallest deployable unit in Kubernetes.", 1, title="Pods"),
    make_passage("The scheduler assigns each pending pod to a suitable node.", 2, title="Scheduler"),
    make_passage("Persistent volumes outlive the containers that mount them.", 3, title="Storage"),
)
UNRELATED = "Elephants dream quietly beside warm rivers"
HELD_AT_MOST = END_LENGTH + MARKER_LENGTH


def run(pieces: Sequence[str], passages: Sequence[Passage] = PASSAGES) -> tuple[CitationFilter, str]:
    """The filter after the stream, and everything it showed."""
    citations = CitationFilter(passages)
    shown = "".join(citations.feed(piece) for piece in pieces)
    return citations, shown + citations.finish()


def cited(text: str, passages: Sequence[Passage] = PASSAGES) -> list[tuple[int, str]]:
    """Number and origin of each citation in the answer that was made of `text`."""
    return [(each.number, each.origin) for each in run([text], passages)[0].citations]


def shown(text: str, passages: Sequence[Passage] = PASSAGES) -> str:
    return run([text], passages)[1]


def _seen(text: str) -> str:
    """The text without characters that nobody sees."""
    return re.sub("[\u200c\u200d\ufe00-\ufe0f]", "", INVISIBLE.sub("", text))


snippets = st.sampled_from(
    [
        "[1]", "[2]", "[3]", "[4]", "[0]", "[99]", "[1, 3]", "[1][2]", "[passage 2]", "[Passages 1; 3]", "[ 2 ]", "[1",
        "[", "]", "[[1]]", "[link](url)", "[not a marker]", "[12345]", "[p", ". ", ".", "! ", "?", "…", "...", "\n",
        " ", "  ", '."', ".)", "**", "v1.31", "e.g. ", "docs.html", "1. ", "- ", "a[1]b", "[1,", "[passage", " " * 30,
        "." * 40, "1, " * 20, "\u00a0", "\t", "🚀", "Yes", "I don't know.", UNRELATED,
        PASSAGES[0].text, PASSAGES[1].text[:-1], PASSAGES[2].text,
    ]
)  # fmt: skip
streams = st.lists(st.one_of(snippets, snippets, st.text(max_size=5)), max_size=14).map("".join)


@st.composite
def cut(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text and a way to cut it into pieces, empty ones among them."""
    text = draw(streams)
    points = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return text, [text[start:end] for start, end in zip([0, *points], [*points, len(text)], strict=True)]


class TestStreams:
    @settings(max_examples=400)
    @given(cut())
    @example(("x [1]. [2] y", ["x [1].", " ", "[2", "] y"]))
    @example(("x. [1]", ["x. [", "1]"]))
    @example(("x [" + "1, " * 40 + "2]", ["x [" + "1, " * 40, "2]"]))
    @example(("x." + " " * 99 + "[1]", ["x." + " " * 99, "[1]"]))
    def test_how_a_text_is_cut_makes_no_difference(self, case: tuple[str, list[str]]) -> None:
        text, pieces = case
        assert "".join(pieces) == text
        whole, in_pieces, by_character = run([text])[0], run(pieces)[0], run(list(text))[0]
        assert in_pieces.text == by_character.text == whole.text
        assert in_pieces.citations == by_character.citations == whole.citations

    @given(cut())
    def test_what_is_shown_is_the_text(self, case: tuple[str, list[str]]) -> None:
        citations, everything = run(case[1])
        assert everything == citations.text

    @given(cut())
    def test_each_citation_stands_where_it_says(self, case: tuple[str, list[str]]) -> None:
        citations, _ = run(case[1])
        for each in citations.citations:
            assert citations.text[each.start : each.end] == f"[{each.number}]"
            assert each.passage_id == PASSAGES[each.number - 1].id
        starts = [each.start for each in citations.citations]
        assert starts == sorted(set(starts))

    @given(cut(), st.integers(0, 3))
    def test_every_number_in_brackets_is_a_citation_of_a_passage_that_was_supplied(
        self, case: tuple[str, list[str]], supplied: int
    ) -> None:
        assume("`" not in case[0])  # code is left alone
        citations, _ = run(case[1], PASSAGES[:supplied])
        for match in re.finditer(r"\[\s*(\d{1,4})\s*\]", citations.text):
            assert 1 <= int(match.group(1)) <= supplied
            assert match.start() in {each.start for each in citations.citations}

    @given(cut())
    def test_only_markers_and_matched_citations_differ_from_what_the_model_said(
        self, case: tuple[str, list[str]]
    ) -> None:
        assume("`" not in case[0])  # code is left alone
        # A forged marker within another is kept, as no marker.
        assume(not re.search(r"\[[\spasge\d,;–-]*\[", case[0], re.IGNORECASE))
        said, citations = case[0], run(case[1])[0]
        kept = _without([each for each in citations.citations if each.origin == "matched"], citations.text)
        markers = r"\[\s*(?:passages?\s+)?\d{1,9}(?:\s*[,;–-]\s*\d{1,9})*\s*\]"
        bare = re.sub(markers, "", _seen(said), flags=re.IGNORECASE)
        loose = {
            _seen(each).replace(" ", "") for each in (bare, re.sub(r"\[\d\]", "", bare))
        }  # a space may break a link
        assert _seen(re.sub(r"\[\d\]", "", kept)).replace(" ", "") in loose

    @given(st.lists(snippets, max_size=12), st.integers(0, 200))
    def test_what_is_held_back_is_bounded(self, parts: list[str], brackets: int) -> None:
        citations = CitationFilter(PASSAGES)
        runs = ["[" * brackets, "[" + "1" * brackets, "[" + "1," * brackets, "[" + " " * brackets, "." * brackets]
        for piece in [*runs, *parts, ". " * brackets, "." + " " * brackets, "?" + '"' * brackets]:
            citations.feed(piece)
            assert len(citations._buffer) <= HELD_AT_MOST

    def test_a_word_is_shown_as_soon_as_it_comes(self) -> None:
        citations = CitationFilter(PASSAGES)
        assert [citations.feed(piece) for piece in ("A pod", " is", " small")] == ["A pod", " is", " small"]

    def test_what_may_become_a_marker_is_held_until_it_cannot(self) -> None:
        citations = CitationFilter(PASSAGES)
        assert [citations.feed(piece) for piece in ("A pod [", "1", "x]")] == ["A pod ", "", "[1x]"]

    def test_an_endless_run_of_full_stops_does_not_take_for_ever(self) -> None:
        citations, everything = run(["." * 5000, "[" * 5000, "\n" * 5000, "!?" * 5000])
        assert len(everything) == 25_000
        assert citations.citations == []


def _without(citations: Sequence[Citation], text: str) -> str:
    """The text without these citations and the space that was put before each."""
    for each in reversed(citations):
        before = text[: each.start]
        text = before.removesuffix(" ") + text[each.end :]
    return text


class TestMarkers:
    @pytest.mark.parametrize(
        ("said", "kept", "numbers"),
        [
            ("Yes [1].", "Yes [1].", [1]),
            ("Yes [1, 3].", "Yes [1][3].", [1, 3]),
            ("Yes [3;1].", "Yes [3][1].", [3, 1]),
            ("Yes [1][2].", "Yes [1][2].", [1, 2]),
            ("Yes [1, 1].", "Yes [1].", [1]),
            ("Yes [passage 2].", "Yes [2].", [2]),
            ("Yes [Passages 1, 2].", "Yes [1][2].", [1, 2]),
            ("Yes [ 2 ].", "Yes [2].", [2]),
            ("Yes [01].", "Yes [1].", [1]),
            ("Yes [99].", "Yes .", []),
            ("Yes [0].", "Yes .", []),
            ("Yes [1, 99].", "Yes [1].", [1]),
            ("Yes [4].", "Yes .", []),
            ("Yes [link](url).", "Yes [link](url).", []),
            ("Yes [not a marker].", "Yes [not a marker].", []),
            ("Yes [12345].", "Yes .", []),
            ("Yes [-1].", "Yes [-1].", []),
            ("Yes [1.5].", "Yes [1.5].", []),
            ("Yes [[2]].", "Yes [[2]].", [2]),
            ("Yes [1", "Yes [1", []),
            ("Yes [", "Yes [", []),
            ("Yes [passage", "Yes [passage", []),
            ("", "", []),
        ],
    )
    def test_true_ones_stay_and_others_go(self, said: str, kept: str, numbers: list[int]) -> None:
        citations, everything = run([said])
        assert everything == kept
        assert [each.number for each in citations.citations] == numbers
        assert {each.origin for each in citations.citations} <= {"model"}

    def test_without_passages_no_marker_is_true(self) -> None:
        assert run(["Yes [1]. A pod is small [2]."], ())[1] == "Yes . A pod is small ."

    def test_thousands_of_brackets_are_only_text(self) -> None:
        text = "[" * 5000 + "1" * 50 + "]" * 5000
        citations, everything = run([text])
        assert everything == text
        assert citations.citations == []


class TestMatched:
    def test_a_sentence_whose_words_stand_in_a_passage_is_cited_by_the_service(self) -> None:
        text = "The scheduler assigns each pending pod to a node."
        assert shown(text) == f"{text} [2]"
        assert cited(text) == [(2, "matched")]

    def test_each_sentence_gets_its_own(self) -> None:
        text = f"{PASSAGES[0].text} {PASSAGES[2].text}"
        assert shown(text) == f"{PASSAGES[0].text} [1] {PASSAGES[2].text} [3]"

    def test_a_list_is_cited_line_by_line(self) -> None:
        lines = [f"- {each.text.rstrip('.')}" for each in PASSAGES]
        assert shown("\n".join(lines)) == "\n".join(f"{line} [{number}]" for number, line in enumerate(lines, 1))

    @pytest.mark.parametrize("foreign", range(8))
    def test_it_takes_the_threshold_and_nothing_less(self, foreign: int) -> None:
        own = ["scheduler", "assigns", "pending", "pod", "suitable", "node"]
        text = " ".join([*own, *UNRELATED.split()[:foreign], *["zebra", "quartz", "violin"][: max(0, foreign - 6)]])
        words = content_words(text)
        coverage = len(words & content_words(f"{PASSAGES[1].title} {PASSAGES[1].text}")) / len(words)
        assert cited(f"{text}.") == ([(2, "matched")] if coverage >= MATCH_COVERAGE else [])

    def test_both_sides_of_the_threshold_were_tried(self) -> None:
        assert cited("scheduler assigns pending pod suitable node elephants.") != []
        assert cited("scheduler assigns pending pod suitable node elephants dream quietly.") == []

    def test_a_sentence_that_the_model_cited_is_left_alone(self) -> None:
        assert cited(f"{PASSAGES[1].text[:-1]} [1].") == [(1, "model")]

    def test_a_marker_behind_the_full_stop_belongs_to_the_sentence_before(self) -> None:
        text = f"{PASSAGES[1].text} [2] {PASSAGES[0].text}[1] {UNRELATED}."
        assert shown(text) == text
        assert cited(text) == [(2, "model"), (1, "model")]

    def test_a_false_marker_behind_the_full_stop_goes_and_the_service_cites(self) -> None:
        assert cited(f"{PASSAGES[1].text} [9]") == [(2, "matched")]

    @pytest.mark.parametrize("text", ["I don't know.", "Yes.", "A pod.", "The scheduler assigns.", "", "...", "\n\n"])
    def test_short_sentences_are_not_cited(self, text: str) -> None:
        assert len(content_words(text)) < MATCH_WORDS
        assert shown(text) == text

    def test_not_knowing_is_not_cited_even_where_a_passage_says_the_same(self) -> None:
        assert cited("I don't know.", [make_passage("Where nothing is found the service says: I don't know.")]) == []

    def test_what_stands_in_no_passage_is_not_cited(self) -> None:
        assert cited(f"{UNRELATED}.") == []

    @pytest.mark.parametrize("dotted", ["v1.31", "docs.html", "e.g.the", "10.0.0.1", "node.kubernetes.io"])
    def test_a_dot_inside_a_word_ends_no_sentence(self, dotted: str) -> None:
        text = f"The scheduler of {dotted} assigns each pending pod to a suitable node."
        assert shown(text) == f"{text} [2]"

    def test_an_abbreviation_takes_nothing_away(self) -> None:
        text = "The scheduler assigns e.g. each pending pod to a suitable node."
        assert shown(text).replace(" [2]", "") == text
        assert set(cited(text)) <= {(2, "matched")}

    @pytest.mark.parametrize("end", [".", "!", "?", "…", "...", '."', ".)", ".**", "?!"])
    def test_the_marker_stands_behind_whatever_ends_the_sentence(self, end: str) -> None:
        text = f"{PASSAGES[2].text[:-1]}{end}"
        assert shown(f"{text} Then.") == f"{text} [3] Then."

    def test_titles_and_headings_count_as_the_passages_words(self) -> None:
        passage = make_passage("It runs.", title="Kubernetes Scheduler", heading_path=("Pending Pods", "Node Binding"))
        assert cited("Kubernetes scheduler binding pending pods.", [passage]) == [(1, "matched")]


class TestLoops:
    LOOP = "The document that was indexed is kept. "

    def test_the_third_time_of_the_same_sentence_is_a_loop(self) -> None:
        twice, thrice = CitationFilter(PASSAGES), CitationFilter(PASSAGES)
        twice.feed(self.LOOP * 2 + "Another sentence ends it.")
        thrice.feed(self.LOOP * 3 + "And")
        assert not twice.looping
        assert thrice.looping

    def test_case_and_spaces_do_not_hide_it(self) -> None:
        heard = CitationFilter(PASSAGES)
        heard.feed(f"{self.LOOP}\n\n{self.LOOP.upper()}\n{self.LOOP.replace(' ', '  ')} and")
        assert heard.looping

    def test_short_sentences_may_come_often(self) -> None:
        heard = CitationFilter(PASSAGES)
        heard.feed("Yes. " * 20)
        assert not heard.looping


def test_a_question_said_again_is_not_cited() -> None:
    question = "Which scheduler assigns each pending pod to a suitable node?"
    repeated, answered = CitationFilter(PASSAGES, question), CitationFilter(PASSAGES)
    for each in (repeated, answered):
        each.feed(question)
        each.finish()
    assert repeated.citations == []
    assert answered.citations != []


class TestCode:
    @pytest.mark.parametrize("text", ["Use `args[0]` here", "Use `argv[1]`, then go", "```\nrows[2] = 1\n```"])
    def test_subscripts_in_code_are_no_citations(self, text: str) -> None:
        assert shown(text) == text
        assert cited(text) == []

    def test_after_code_markers_are_markers_again(self) -> None:
        assert [number for number, _ in cited("Use `a[9]` [1] and ```b[9]``` [2]")] == [1, 2]


@pytest.mark.parametrize(("marker", "numbers"), [("[1-3]", [1, 3]), ("[1–2]", [1, 2]), ("[123456789]", [])])
def test_ranges_and_huge_numbers_are_markers_too(marker: str, numbers: list[int]) -> None:
    assert [number for number, _ in cited(f"So it is {marker}")] == numbers
    assert marker not in shown(f"So it is {marker}")
