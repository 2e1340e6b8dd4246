"""Where chunks end: at sentences in any case, at rows that keep their header, at definitions of a program."""

from __future__ import annotations

from itertools import accumulate

import pytest

from ingest.chunking import Prepared, chunk
from ingest.sentences import sentences
from rag.encoders import LocalEncoder
from rag.schema import Document, Format


def made(
    minilm: LocalEncoder, text: str, max_tokens: int, written: Format = "markdown", title: str = ""
) -> list[Prepared]:
    return chunk(Document("file:///d", "d", title, text, "hash", written), minilm, max_tokens)


class TestSentences:
    @pytest.mark.parametrize(
        "text",
        [
            "It ends. |Another begins! |Does it? |Yes.",
            "in lower case it ends as well. |another one begins in 2017. |as here.",
            '"So it is." |He left (for good.) |She stayed.',
            "Dr. Smith met J. R. Jones, cf. Fig. 3, e.g. in the U.S. Senate. |They talked.",
            "1. Log in to the shop. |2. Click there.\n|3. Pay 12. |Done.",
            "Version 1.2.3 of it costs 3.50 dollars. |Cheap.",
            "これは文です。|これも文です。|終わり",
            r"A chat:\n\n|First line.\n|Second line in C:\new or so.",
        ],
    )
    def test_they_end_where_a_reader_would_say(self, text: str) -> None:
        parts = text.split("|")
        expected = list(accumulate(len(each) for each in parts))[:-1]
        whole = "".join(parts)
        assert [cut for cut, ends in sentences(whole, 0, len(whole)) if ends or whole[cut - 1] == "\n"] == expected

    def test_a_wrapped_line_is_a_worse_place_than_a_sentence(self) -> None:
        text = "One sentence over\ntwo lines. Another\none."
        assert list(sentences(text, 0, len(text))) == [(18, False), (29, True), (37, False)]

    def test_wrapped_prose_is_cut_at_sentences(self, minilm: LocalEncoder) -> None:
        text = "\n".join(f"Sentence number {n} of this text goes over\nthe end of its line." for n in range(30))
        chunks = made(minilm, text, 64)
        assert len(chunks) > 5
        assert all(each.chunk.text.startswith("Sentence") and each.chunk.text.endswith(".") for each in chunks)


class TestEvenChunks:
    def test_a_section_leaves_no_crumb_at_its_end(self, minilm: LocalEncoder) -> None:
        text = " ".join(f"Sentence number {n} says something that is quite plain." for n in range(12))
        sizes = [len(each.chunk.text) for each in made(minilm, text, 96)]
        assert len(sizes) == 2
        assert max(sizes) < 1.5 * min(sizes)

    def test_paragraphs_that_fill_a_chunk_well_stand_alone(self, minilm: LocalEncoder) -> None:
        paragraphs = [" ".join(f"Words of part {n} and more of them, number {k}." for k in range(4)) for n in range(5)]
        chunks = made(minilm, "\n\n".join(paragraphs), 96)
        assert [each.chunk.text for each in chunks] == paragraphs

    def test_a_heading_is_never_left_alone_at_the_end(self, minilm: LocalEncoder) -> None:
        text = "".join(f"# Part {n}\n\n" + "Some words that stand below it. " * 9 + "\n\n" for n in range(6))
        for size in (48, 64, 96, 128):
            assert not any(each.chunk.text.split("\n")[-1].startswith("#") for each in made(minilm, text, size))


class TestTables:
    HEAD = "| name | port |\n| --- | --- |"

    def test_rows_cut_from_their_header_are_embedded_with_it_and_shown_without(self, minilm: LocalEncoder) -> None:
        text = self.HEAD + "".join(f"\n| service {n} | {8000 + n} |" for n in range(60))
        first, *rest = made(minilm, text, 64, title="Ports")
        assert len(rest) > 5
        assert first.embedded == f"Ports\n{first.chunk.text}"
        assert first.chunk.text.startswith(self.HEAD)
        for each in rest:
            assert self.HEAD not in each.chunk.text
            assert each.embedded == f"Ports\n{self.HEAD}\n{each.chunk.text}"
        assert max(minilm.token_counts([each.embedded for each in rest])) <= 64

    def test_what_follows_a_table_does_not_repeat_its_header(self, minilm: LocalEncoder) -> None:
        text = self.HEAD + "\n| a | 1 |" * 30 + "\n\n" + "Prose that comes after the table. " * 30
        last = made(minilm, text, 64)[-1]
        assert last.embedded == last.chunk.text

    def test_a_header_that_would_take_most_of_a_chunk_is_not_repeated(self, minilm: LocalEncoder) -> None:
        wide = "| " + " | ".join(f"column {n}" for n in range(30)) + " |"
        text = wide + "\n" + "|---" * 30 + "|" + ("\n|" + " 7 |" * 30) * 20
        for each in made(minilm, text, 128):
            assert each.embedded == each.chunk.text


PROGRAM = '''"""A module about probes."""

import os


@decorated
class Probe:
    """Asks a service whether it is well."""

    def ask(self, url):
        """Ask once and wait for what it says."""
        answer = fetch(url, timeout=self.timeout)

        if answer.status != 200:
            raise Unwell(url, answer.status)
        return answer

    # Nobody waits for ever.
    def wait(self, url, seconds):
        """Ask again and again until it is well or the time is over."""
        while seconds > 0:
            seconds -= self.pause(url)


def main():
    probe = Probe(timeout=3)
    print(probe.ask(os.environ["URL"]))
'''


class TestSourceCode:
    def test_chunks_are_whole_lines_under_the_names_around_them(self, minilm: LocalEncoder) -> None:
        chunks = made(minilm, PROGRAM, 64, "code", "probe.py")
        lines = {line.strip() for line in PROGRAM.split("\n")}
        assert all(line.strip() in lines for each in chunks for line in each.chunk.text.split("\n"))
        assert [(each.chunk.heading_path, each.chunk.text.split("\n")[0]) for each in chunks] == [
            ((), '"""A module about probes."""'),
            (("Probe", "ask"), "def ask(self, url):"),
            (("Probe", "ask"), "if answer.status != 200:"),
            (("Probe", "wait"), "# Nobody waits for ever."),
            (("main",), "def main():"),
        ]
        assert chunks[1].embedded.startswith("probe.py > Probe > ask\n")

    def test_braces_close_what_they_opened(self, minilm: LocalEncoder) -> None:
        body = "\n".join(f"    total += measure(input[{n}], limits);" for n in range(8))
        text = f"func (s *Server) Start(ctx Context) error {{\n{body}\n}}\n\nfn stop(self)\n{{\n{body}\n}}\n"
        chunks = made(minilm, text, 160, "code")
        assert [each.chunk.heading_path for each in chunks] == [("Start",), ("stop",)]
        assert all(each.chunk.text.endswith("}") for each in chunks)

    def test_one_endless_line_is_cut_all_the_same(self, minilm: LocalEncoder) -> None:
        chunks = made(minilm, "var data = [" + "12345, " * 5000 + "];", 64, "code")
        assert max(minilm.token_counts([each.embedded for each in chunks])) <= 64
