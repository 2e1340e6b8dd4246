"""What is not markup is escaped, and what would not be seen is shown."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.report.markup import Html, element, join, plain, short, text


class Reader(HTMLParser):
    """What a browser would make of it: elements and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.said += data


@given(st.text(), st.text())
def test_no_text_becomes_an_element_or_another_attribute(said: str, title: str) -> None:
    read = Reader(element("p", said, title=title))
    assert [each for each in read.tags if each != "span"] == ["p"]
    assert read.attributes[0] == ("title", plain(title))
    assert all(name in ("class", "title") for name, _ in read.attributes[1:])
    assert read.said == plain(said)


@given(st.text())
def test_whatever_is_written_can_be_written_to_a_file(said: str) -> None:
    assert element("p", said, title=said).encode("utf-8")


@pytest.mark.parametrize(
    "hidden", ["\u202e", "\u2066", "\u200b", "\u200f", "\ufeff", "\x00", "\x1b", "\U000e0041", "\ud800"]
)
def test_a_character_that_is_not_seen_is_shown_by_its_number(hidden: str) -> None:
    assert hidden not in text(f"a{hidden}b")
    assert f"⟨U+{ord(hidden):04X}⟩" in text(f"a{hidden}b")
    assert plain(f"a{hidden}b") == f"a⟨U+{ord(hidden):04X}⟩b"


@pytest.mark.parametrize("said", ["שלום", "مرحبا", "می‌خواهم", "👩‍👩‍👧", "line\nline\ttab", "nöt", "漢字"])
def test_what_people_write_is_left_as_it_is(said: str) -> None:
    assert text(said) == said


def test_markup_is_not_escaped_twice_and_a_text_made_of_it_is_a_text_again() -> None:
    bold = element("b", "<")
    assert element("p", bold, " & ") == "<p><b>&lt;</b> &amp; </p>"
    assert join([bold + "<i>"]) == "&lt;b&gt;&amp;lt;&lt;/b&gt;&lt;i&gt;"
    assert isinstance(join([bold]), Html)


def test_attributes_are_named_as_html_names_them() -> None:
    made = element("td", class_="a", aria_label='"x"', hidden=True, title=None, draggable=False, x=1.0, y=2 / 3)
    assert made == '<td class="a" aria-label="&quot;x&quot;" hidden x="1" y="0.67"></td>'


@given(st.text(), st.integers(min_value=2, max_value=50))
def test_a_short_text_is_no_longer_than_its_limit_and_says_where_it_ends(said: str, limit: int) -> None:
    found = short(said, limit)
    assert len(found) <= limit
    assert found == " ".join(said.split()) or found.endswith("…")
