"""What is no text, empty, of another type or too long is refused by a typed error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.loading import EmptyDocument, Limits, TooLarge, Unsupported
from ingest.loading.decoding import decode
from rag.errors import SourceError
from tests.unit.loading_kit import loaded


class TestWhatIsRefused:
    @pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
    @pytest.mark.parametrize(
        "data",
        [
            bytes(range(256)) * 50,
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(100)),
            b"text with a NUL \0 in it",
            b"\x01\x02\x03" * 100,
            b"\x7fELF\x02\x01\x01" + b"\0" * 9,
        ],
        ids=["all bytes", "png", "nul", "control", "elf"],
    )
    def test_binary_data_is_refused_whatever_its_name_says(self, name: str, data: bytes) -> None:
        with pytest.raises(SourceError, match="binary data"):
            loaded(name, data)

    @pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
    @pytest.mark.parametrize("data", [b"", b" \n\t\r\n ", b"\xef\xbb\xbf", b"\xff\xfe"])
    def test_no_text_is_an_empty_document_not_a_bad_one(self, name: str, data: bytes) -> None:
        with pytest.raises(EmptyDocument):
            loaded(name, data)

    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("a.md", "---\ntitle: Only a head\n---\n"),
            ("a.md", "<!-- only a comment -->"),
            ("a.md", "{{< toc >}}"),
            ("a.html", "<html><head><title>Only a head</title></head><body></body></html>"),
            ("a.html", "<body><script>let x = 1</script><nav>Home</nav></body>"),
        ],
    )
    def test_a_document_of_nothing_but_dressing_is_empty(self, name: str, data: str) -> None:
        with pytest.raises(EmptyDocument):
            loaded(name, data)

    @pytest.mark.parametrize(("name", "kind"), [("a.exe", r"'\.exe'"), ("nothing", "'none'"), ("a.zip", r"'\.zip'")])
    def test_a_type_that_is_not_read_is_named(self, name: str, kind: str) -> None:
        with pytest.raises(Unsupported, match=kind):
            loaded(name, "text")

    def test_more_text_than_the_limit_is_refused_by_the_settings_name(self) -> None:
        assert loaded("a.txt", "x" * 100, Limits(characters=100)).text
        with pytest.raises(TooLarge, match="max_document_characters"):
            loaded("a.txt", "x" * 101, Limits(characters=100))

    @given(st.binary(max_size=300))
    def test_any_bytes_are_text_or_a_typed_error(self, data: bytes) -> None:
        try:
            text = decode(data)
        except SourceError:
            return
        assert "\0" not in text
        assert "\r" not in text
        text.encode()  # no lone surrogate

    @given(st.sampled_from(["a.md", "a.html", "a.txt"]), st.text(st.characters(codec="utf-8"), max_size=200))
    def test_any_text_is_a_document_or_a_typed_error(self, name: str, text: str) -> None:
        try:
            document = loaded(name, text)
        except SourceError:
            return
        assert document.title is None or document.title.strip()
        assert document.text.strip()
        ((document.title or "") + document.text).encode()
