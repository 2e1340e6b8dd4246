"""Tables of text, JSON, XML, notebooks and code: each piece says what it is about; hostile ones cost little."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest

from ingest.loading import SUPPORTED, Damaged, Limits, TooLarge, load, supports
from rag.errors import SourceError

HOSTILE_SECONDS = 10


class TestDelimited:
    @pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
    def test_the_separator_is_told_from_the_text(self, separator: str) -> None:
        text = "\n".join(separator.join(row) for row in [["name", "sum"], ["Ann", "1.5"], ['"Bo, jr; x"', "2"]])
        assert load("a.csv", text.encode()).text == (
            "| name | sum |\n| --- | --- |\n| Ann | 1.5 |\n| Bo, jr; x | 2 |\n"
        )

    @pytest.mark.parametrize(
        ("encoding", "words"), [("shift_jis", "名前,年齢,住所\n佐藤太郎,30,東京\n"), ("utf-16", "naïve,b,c\n1,2,3\n")]
    )
    def test_it_is_read_in_what_it_was_saved_in(self, encoding: str, words: str) -> None:
        assert words.split(",")[0] in load("a.csv", words.encode(encoding)).text

    def test_each_piece_of_a_long_table_has_the_names_of_its_columns(self) -> None:
        text = load("a.csv", b"key,word\n" + b"".join(b"%d,word %d\n" % (n, n) for n in range(2000))).text
        pieces = text.strip().split("\n\n")
        assert all(piece.startswith("| key | word |\n| --- | --- |\n") for piece in pieces)
        assert all(len(piece) < 1500 for piece in pieces)
        assert text.count("word ") - 2 * len(pieces) + len(pieces) >= 2000

    def test_rows_too_wide_for_a_table_are_lines_that_name_their_columns(self) -> None:
        text = load("a.csv", f"title,body\nOne,{'long words ' * 60}\nTwo,{'other words ' * 60}\n".encode()).text
        assert text.startswith("- title: One\n- body: long words")
        assert "\n\n- title: Two\n- body: other" in text

    def test_empty_columns_and_rows_are_dropped_and_short_rows_filled(self) -> None:
        assert load("a.csv", b"a,,b\n\n1,,2\n3\n").text == "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 |  |\n"

    @pytest.mark.parametrize(
        "data",
        [b"x" * 30_000_000, b"a," * 5_000_000, b'"' + b"a,\n" * 1_000_000, b",\n" * 1_000_000],
        ids=["one cell", "one row", "open quote", "empty cells"],
    )
    def test_no_table_takes_more_time_than_its_length_warrants(self, data: bytes) -> None:
        started = time.monotonic()
        with suppress(SourceError):
            load("a.csv", data)
        assert time.monotonic() - started < HOSTILE_SECONDS


class TestJson:
    def test_each_value_stands_under_the_names_that_lead_to_it(self) -> None:
        data = {"title": "T", "a": {"b": [1, 2.50, True, None], "c": [{"d": "x"}, {"d": "y"}]}, "e": ""}
        found = load("a.json", json.dumps(data).replace("2.5", "2.50").encode())
        assert found.text == "title: T\na.b: 1, 2.50, true\na.c.d: x\na.c.d: y"
        assert found.title == "T"

    @pytest.mark.parametrize(
        ("name", "text"), [("a.json", '[{"k": 1}, {"k": 2}]'), ("a.jsonl", '{"k": 1}\n\n{"k": 2}\n')]
    )
    def test_records_stand_apart(self, name: str, text: str) -> None:
        assert load(name, text.encode()).text == "k: 1\n\nk: 2"

    @pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
    def test_what_is_no_json_is_the_text_that_it_is(self, name: str) -> None:
        assert load(name, b'{"a": 1, "b').text == '{"a": 1, "b'

    @pytest.mark.parametrize(
        "text",
        ["[" * 1_000_000, '{"a":' * 200_000, "[" + "1" * 1_000_000 + "]", '{"a":' * 900 + "1" + "}" * 900],
        ids=["lists", "objects", "number", "deep"],
    )
    @pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ipynb"])
    def test_deep_nesting_and_long_numbers_cost_little(self, name: str, text: str) -> None:
        started = time.monotonic()
        with suppress(SourceError):
            load(name, text.encode())
        assert time.monotonic() - started < HOSTILE_SECONDS

    def test_names_that_repeat_on_every_line_count_to_the_limit(self) -> None:
        text = json.dumps({"n" * 1000: {str(n): n for n in range(2000)}})
        with pytest.raises(TooLarge):
            load("a.json", text.encode(), Limits(characters=100_000))


class TestXml:
    def test_each_value_stands_under_the_names_that_lead_to_it(self) -> None:
        text = '<r><book id="7"><title>T</title><by>Ann</by></book><p>mixed <b>words</b> here</p></r>'
        found = load("a.xml", text.encode())
        assert found.text == "book.id: 7\nbook.title: T\nbook.by: Ann\nmixed words here"
        assert found.title == "T"

    def test_a_feeds_entries_are_parts_with_their_text(self) -> None:
        text = (
            "<rss><channel><title>Feed</title><item><title>One</title><pubDate>today</pubDate>"
            "<description>&lt;p&gt;Some &lt;b&gt;words&lt;/b&gt;.&lt;/p&gt;</description></item>"
            "<item><title>Two</title></item></channel></rss>"
        )
        found = load("a.xml", text.encode())
        assert found.text == "# Feed\n\n## One\n\npubDate: today\n\nSome **words**.\n\n## Two"
        assert found.title == "Feed"

    def test_an_atom_feed_is_read_as_one(self) -> None:
        text = '<feed xmlns="http://www.w3.org/2005/Atom"><title>F</title><entry><title>E</title></entry></feed>'
        assert load("a.atom", text.encode()).text == "# F\n\n## E"

    def test_files_outside_and_entities_are_not_followed(self) -> None:
        text = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>before &x; after</a>'
        assert "root:" not in load("a.xml", text.encode()).text

    @pytest.mark.parametrize(
        "text",
        [
            "<a>" * 100_000,
            "<a " + " ".join(f'b{n}="c"' for n in range(100_000)) + "/>",
            '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
            + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
            + "]><x>&i;</x>",
            "<a>" + "<b/>" * 300_000 + "</a>",
            "<a>" + "x<b/>" * 300_000 + "</a>",
        ],
        ids=["deep", "attributes", "billion laughs", "wide", "mixed"],
    )
    def test_hostile_documents_cost_little(self, text: str) -> None:
        started = time.monotonic()
        with suppress(SourceError):
            assert len(load("a.xml", text.encode()).text) < 10_000_000
        assert time.monotonic() - started < HOSTILE_SECONDS

    def test_what_is_no_xml_is_named_as_damaged(self) -> None:
        with pytest.raises(Damaged, match="well-formed"):
            load("a.xml", b"<a><b></a>")


NOTEBOOK = {
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
    "cells": [
        {"cell_type": "markdown", "source": ["# Title\n", "Words."]},
        {
            "cell_type": "code",
            "source": "print(1)",
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"output_type": "display_data", "data": {"image/png": "iVBOR", "text/plain": "<Figure>"}},
                {"output_type": "error", "traceback": ["secret frame"]},
            ],
        },
        {"cell_type": "code", "source": "", "outputs": []},
    ],
}


class TestNotebooks:
    def test_prose_code_and_what_it_printed_are_kept(self) -> None:
        found = load("a.ipynb", json.dumps(NOTEBOOK).encode())
        assert found.text == (
            "# Title\nWords.\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n```text\n<Figure>\n```"
        )
        assert found.title == "Title"

    def test_pictures_and_traces_are_left_out(self) -> None:
        text = load("a.ipynb", json.dumps(NOTEBOOK).encode()).text
        assert "iVBOR" not in text
        assert "secret" not in text

    @pytest.mark.parametrize("text", ["[]", "{}", "not json", '{"cells": 3}'])
    def test_what_is_no_notebook_is_named_as_damaged(self, text: str) -> None:
        with pytest.raises(Damaged, match="no notebook"):
            load("a.ipynb", text.encode())


class TestCode:
    @pytest.mark.parametrize("name", ["a.py", "a.rs", "Makefile", "Dockerfile", "a.yaml", "a.toml", "CMakeLists.txt"])
    def test_a_program_is_kept_as_it_is(self, name: str) -> None:
        found = load(name, b"if x:\n    y = '<!-- kept -->'\n")
        assert (found.text, found.format) == ("if x:\n    y = '<!-- kept -->'\n", "code")

    @pytest.mark.parametrize("name", ["README", "LICENSE", "a.txt"])
    def test_a_text_is_a_text(self, name: str) -> None:
        assert load(name, b"Words.").format == "text"


class TestNames:
    @pytest.mark.parametrize("name", ["A.PDF", "dir/x.Docx", "Makefile", "sub\\b.eml", "LICENSE"])
    def test_names_that_are_read(self, name: str) -> None:
        assert supports(name)

    @pytest.mark.parametrize("name", ["a.zip", "a.exe", "nothing", "", ".md", "a.tar.gz", "a.png"])
    def test_names_that_are_not(self, name: str) -> None:
        assert not supports(name)

    def test_every_suffix_is_in_lower_case_with_its_dot(self) -> None:
        assert all(each == each.lower() and each[0] == "." and supports(f"a{each}") for each in SUPPORTED)
