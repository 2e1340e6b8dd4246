"""HTML to Markdown: what a reader sees, and nothing else."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from rag.errors import SourceError
from tests.unit.loading_kit import HOSTILE_SECONDS, loaded


class TestHtml:
    PAGE = """<!doctype html><html><head><title>The &amp; Title</title><style>.x{}</style></head><body>
<header>Site</header><nav>Home</nav><aside>Advert</aside>
<main><h1>Heading</h1><p>First <b>bold</b> <a href="/x">link</a>.</p><!-- comment -->
<h2>Parts</h2><ul><li>one<ul><li>inner</li></ul></li><li>two</li></ul>
<table><tr><th>Name</th><th>Value</th></tr><tr><td>a</td><td>1</td></tr></table>
<pre>x = 1
  y = 2</pre>
<p hidden>secret 1</p><p aria-hidden="true">secret 2</p><p style="display:none">secret 3</p>
<script>secret4()</script><noscript>secret 5</noscript><template>secret 6</template><form>secret 7</form></main>
<footer>Imprint</footer></body></html>"""

    def test_structure_stays_as_markdown(self) -> None:
        text = loaded("a.html", self.PAGE).text
        for part in (
            "# Heading\n",
            "## Parts\n",
            "First **bold** link.",
            "- one\n  - inner\n- two\n",
            "| Name | Value |\n| --- | --- |\n| a | 1 |",
            "```\nx = 1\n  y = 2\n```",
        ):
            assert part in text

    def test_the_page_title_is_the_title(self) -> None:
        document = loaded("a.html", self.PAGE)
        assert (document.title, document.format) == ("The & Title", "markdown")

    @pytest.mark.parametrize(
        "dressing", ["secret", "Site", "Home", "Advert", "Imprint", "comment", ".x{}", "let ", "href"]
    )
    def test_what_a_reader_does_not_see_is_dropped(self, dressing: str) -> None:
        assert dressing not in loaded("a.html", self.PAGE).text

    def test_without_main_the_body_is_read(self) -> None:
        assert loaded("a.html", "<p>One<p>Two").text == "One\n\nTwo\n"

    def test_ten_thousand_nested_elements_are_read_or_refused_in_words_quickly(self) -> None:
        started = time.monotonic()
        with pytest.raises(SourceError, match="nested too deeply"):
            loaded("a.html", "<div>" * 10_000 + "text" + "</div>" * 10_000)
        assert time.monotonic() - started < HOSTILE_SECONDS

    def test_entities_for_bytes_that_no_text_holds_are_harmless(self) -> None:
        text = loaded("a.html", "<p>a&#13;b &#0; &#xd800; &#x110000; c</p>").text
        assert "\r" not in text
        assert "\0" not in text
        text.encode()

    @pytest.mark.parametrize(
        "text",
        [
            "<" * 200_000,
            "<p " + "a=b " * 50_000,
            "&" * 200_000,
            "<p>" * 5_000,
            "<!--" * 50_000,
            "<p " + " ".join(f"a{n}=1" for n in range(100_000)),
            "<p " + " ".join(f"a{n}='>'" for n in range(100_000)),
            '<a "' * 300_000,
            "<b>" * 200_000,
            "<li>" * 100_000,
            "<table><tr>" + "<td>x" * 100_000,
            "<table>" * 2_000,
            "<b><p>" * 1_000,
            "<blockquote>" * 2_000 + "<p>x" * 20_000,
            "<ul><li>" * 1_000 + "x",
            "<td rowspan=99 colspan=99>" * 50_000,
        ],
    )
    def test_hostile_markup_takes_bounded_time(self, text: str) -> None:
        started = time.monotonic()
        with suppress(SourceError):
            loaded("a.html", text)
        assert time.monotonic() - started < HOSTILE_SECONDS
