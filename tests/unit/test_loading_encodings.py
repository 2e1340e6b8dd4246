"""Bytes to text, whatever encoding they are in."""

from __future__ import annotations

import pytest

from tests.unit.loading_kit import loaded


class TestEncodings:
    ENGLISH = "The café’s “naïve” owner said: résumé, façade, über. It cost 5 € in Århus — no more.\n"

    @pytest.mark.parametrize(
        "encoding",
        ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp1252"],
    )
    @pytest.mark.parametrize("name", ["a.txt", "a.md"])
    def test_text_is_read_in_what_it_was_saved_in(self, encoding: str, name: str) -> None:
        assert loaded(name, self.ENGLISH.encode(encoding)).text == self.ENGLISH

    @pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
    def test_either_byte_order_mark_is_understood_and_is_no_text(self, mark: str) -> None:
        assert loaded("a.txt", ("\ufeff" + self.ENGLISH).encode(mark)).text == self.ENGLISH

    def test_latin_1_is_read(self) -> None:
        french = "Le garçon a mangé du pâté près de la forêt où l'été fût agréable, à côté du château. " * 3
        assert loaded("a.txt", french.encode("latin-1")).text == french

    @pytest.mark.parametrize(
        ("encoding", "text"),
        [
            ("cp1251", "Привет, мир. Это простой текст на русском языке, который надо прочитать. "),
            ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy. Knihovna je otevřená každý den. "),
            ("shift_jis", "これは日本語の文章です。図書館で本を読みます。"),
            ("gb18030", "这是一个简单的中文文本，图书馆里有很多书。"),
        ],
    )
    def test_encodings_of_other_scripts_are_told(self, encoding: str, text: str) -> None:
        assert loaded("a.txt", text.encode(encoding)).text == text

    def test_a_single_curly_quote_does_not_make_a_text_chinese(self) -> None:
        text = "It is only one quote, and it’s a small one in a long sentence of plain English words."
        assert loaded("a.txt", text.encode("cp1252")).text == text

    @pytest.mark.parametrize("ending", ["\r\n", "\r"])
    def test_line_ends_of_other_systems_become_newlines(self, ending: str) -> None:
        assert loaded("a.txt", f"one{ending}two{ending}{ending}three").text == "one\ntwo\n\nthree"

    def test_a_front_matter_with_crlf_is_read(self) -> None:
        document = loaded("a.md", b"---\r\ntitle: Here\r\n---\r\nBody.\r\n")
        assert (document.title, document.text) == ("Here", "Body.\n")
