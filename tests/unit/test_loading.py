"""Bytes to text: what is kept of each format, what is dropped, and what is refused."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.loading import EmptyDocument, Limits, Loaded, TooLarge, Unsupported, clean_title, load, title_from_path
from ingest.loading.decoding import decode
from rag.errors import SourceError

# Each hostile text here takes a quadratic reader minutes and a linear one well under a second.
HOSTILE_SECONDS = 10


def loaded(name: str, data: str | bytes, limits: Limits | None = None) -> Loaded:
    """What a file of that name and content holds."""
    return load(name, data.encode() if isinstance(data, str) else data, limits or Limits())


class TestMarkdown:
    def test_the_front_matters_title_is_the_title_and_the_front_matter_is_no_text(self) -> None:
        document = loaded("a.md", '---\ntitle: "Liveness  Probes"\nweight: 3\n---\n# Other\n\nBody.\n')
        assert document.title == "Liveness Probes"
        assert "weight" not in document.text
        assert "Body." in document.text

    def test_a_title_that_is_a_number_is_a_title(self) -> None:
        assert loaded("a.md", "---\ntitle: 1.29\n---\nBody.\n").title == "1.29"

    @pytest.mark.parametrize("title", ["null", "~", "''", "[a, b]"])
    def test_a_title_that_says_nothing_is_passed_over(self, title: str) -> None:
        assert loaded("a.md", f"---\ntitle: {title}\n---\n# Heading\n").title == "Heading"

    @pytest.mark.parametrize(
        "head",
        [
            "title: [unclosed",
            "title: a: b: c",
            "\ttabs",
            "title: {{ .Site }}",
            'n: !!int ""',
            "n: !!bool maybe",
            "n: !!timestamp never",
            'n: "\\UFFFFFFFF"',
            "n: !!python/object/apply:os.getcwd []",
            "[" * 5000,
            "date: 2024-13-45",
        ],
    )
    def test_a_broken_head_does_not_make_the_body_unreadable(self, head: str) -> None:
        document = loaded("a.md", f"---\n{head}\n---\n# Heading\n\nBody.\n")
        assert document.title == "Heading"
        assert "Body." in document.text

    @pytest.mark.parametrize(
        "nesting", [lambda b, x: f"{b}: &{b} [{x}]\n", lambda b, x: f"{b}: &{b} {{<<: [{x}]}}\n"], ids=["list", "merge"]
    )
    def test_aliases_that_multiply_are_not_followed(self, nesting: object) -> None:
        assert callable(nesting)
        names = "abcdefghi"
        bomb = "a: &a {x: 1}\n" + "".join(
            nesting(name, ", ".join([f"*{names[i]}"] * 9)) for i, name in enumerate(names[1:])
        )
        started = time.monotonic()
        assert loaded("a.md", f"---\n{bomb}title: Bomb\n---\nBody.\n").title == "Bomb"
        assert time.monotonic() - started < HOSTILE_SECONDS

    def test_without_front_matter_the_first_heading_is_the_title(self) -> None:
        assert loaded("a.md", "Before.\n\n## Second\n\n# The Title ##\n\n# Later\n").title == "The Title"

    @pytest.mark.parametrize("fence", ["```", "~~~"])
    def test_a_comment_in_a_code_fence_is_no_title(self, fence: str) -> None:
        text = f"Run:\n\n{fence}bash\n# install it\napt install x\n{fence}\n"
        assert loaded("how-to_install.md", text).title is None
        assert loaded("a.md", text + "\n# After\n").title == "After"

    def test_a_title_is_short_and_can_be_encoded_whatever_the_document_says(self) -> None:
        assert len(loaded("a.md", "# " + "long " * 100_000).title or "") <= 200
        assert loaded("a.md", '---\ntitle: "a\\ud800b"\n---\nBody.').title == "a?b"

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("A {{< glossary_tooltip text=\"Pod\" term_id='pod' >}} runs.", "A Pod runs."),
            ("A {{% glossary_tooltip term_id='pod' text='small Pod' %}} runs.", "A small Pod runs."),
            ("{{< note >}}Mind this.{{< /note >}}", "Mind this."),
            ('## {{% heading "prerequisites" %}}', "## Prerequisites"),
            ('## {{% heading "whatsnext" %}}', "## What's next"),
            ("a{{< feature-state for_k8s_version=\"v1.2\" state='beta' >}}b", "ab"),
            ("{{<tabs name='x'>}}in{{</tabs>}}", "in"),
            ("a {{< unclosed", "a {{< unclosed"),
            ("Go templates say {{ .Name }}", "Go templates say {{ .Name }}"),
        ],
    )
    def test_shortcodes_become_their_text_or_nothing(self, written: str, read: str) -> None:
        assert loaded("a.md", written).text == read

    def test_comments_are_dropped_and_an_unclosed_one_is_text(self) -> None:
        assert loaded("a.md", "a<!-- b\n\nc -->d<!---->e <!-- f").text == "ade <!-- f"

    @pytest.mark.parametrize(
        "code",
        [
            "```html\n<!-- kept -->\n{{< kept >}}\n# kept {#kept}\n```",
            "~~~~\n```\n<!-- kept -->\n~~~~",
            "- item\n\n  ```\n  <!-- kept -->\n  ```",
            "see `<!-- kept -->` and ``<!-- ` kept -->``",
            "```\nnever closed <!-- kept -->\n{{< kept >}}",
        ],
    )
    def test_comments_and_shortcodes_within_code_are_kept(self, code: str) -> None:
        assert loaded("a.md", f"{code}\n").text == f"{code}\n"

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("```\n{{< tip text='Pod' >}} {{< skew >}}\n```\n", "```\nPod {{< skew >}}\n```\n"),
            ("run `v{{< tip text='1' >}}{{< skew >}}`", "run `v1`"),
            ("```\n{{%/* note */%}}\n```\n", "```\n{{% note %}}\n```\n"),
        ],
    )
    def test_shortcodes_that_stand_for_a_text_are_resolved_in_code_too(self, written: str, read: str) -> None:
        assert loaded("a.md", written).text == read

    def test_a_comment_that_holds_a_fence_is_dropped_whole(self) -> None:
        assert loaded("a.md", "a <!-- \n```\n --> b {{< c >}} d\n").text == "a  b  d\n"

    def test_an_escaped_shortcode_is_shown_as_it_is_written(self) -> None:
        assert loaded("a.md", "Write {{</* note */>}} here.").text == "Write {{< note >}} here."

    def test_a_toml_head_is_read_as_a_yaml_one_is(self) -> None:
        found = loaded("a.md", '+++\ntitle = "Here"\ntags = ["a", "b"]\nweight = 3\n+++\nBody.\n')
        assert (found.title, found.text, dict(found.metadata)) == ("Here", "Body.\n", {"keywords": "a, b"})

    def test_what_the_head_says_of_the_document_is_metadata_and_the_rest_of_it_is_not(self) -> None:
        found = loaded("a.md", "---\nauthors: [Ann, Bo]\ndate: 2024-01-02\nlang: en\nweight: 3\n---\nBody.\n")
        assert dict(found.metadata) == {"author": "Ann, Bo", "date": "2024-01-02", "language": "en"}

    def test_metadata_is_short(self) -> None:
        found = loaded("a.md", f"---\ndescription: {'long ' * 1000}\n---\nBody.\n")
        assert len(found.metadata["description"]) <= 300

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ('!!! note "Mind"\n    Body.\n\n    More.\n\nAfter.\n', "**Mind**\n\nBody.\n\nMore.\n\nAfter.\n"),
            ("??? warning\n    Body.\n", "**Warning**\n\nBody.\n"),
            ('=== "Linux"\n\n    ```\n    apt\n    ```\n', "**Linux**\n\n\n```\napt\n```\n"),
            (":::tip Try\nBody.\n:::\n", "**Try**\n\nBody.\n\n"),
            ("Title\n===\n\n    code\n", "Title\n===\n\n    code\n"),
            ('```\n!!! note "x"\n    y\n```\n', '```\n!!! note "x"\n    y\n```\n'),
        ],
    )
    def test_boxes_become_a_bold_title_and_their_text(self, written: str, read: str) -> None:
        assert loaded("a.md", written).text == read

    def test_an_underlined_heading_is_a_title(self) -> None:
        assert loaded("a.md", "Intro.\n\nThe Title\n=====\n").title == "The Title"

    def test_heading_anchors_are_dropped(self) -> None:
        assert loaded("a.md", "# Title \t{#the-title}\n\n## Two {#two.2} \nText {#x} goes on.\n").text == (
            "# Title\n\n## Two\nText {#x} goes on.\n"
        )

    @pytest.mark.parametrize(
        "text",
        [
            "<!--" * 200_000,
            "-->" + "<!--" * 200_000,
            "{{<" + " " * 20_000 + "x",
            "{{< " * 50_000,
            "{{< a" + " text=" * 50_000 + ">}} x",
            "x" + " " * 300_000 + "y",
            "{#" * 200_000,
            "# a" + " " * 300_000 + "b",
            "# a" + "#" * 300_000 + "b",
            "---\n" * 100_000,
            "---\n" + "[" * 60_000 + "\n---\nBody.",
            "---\n" + "- " * 30_000 + "\n---\nBody.",
            "```\n" * 100_000,
            "`" * 300_000,
            "` `` ``` " * 50_000,
            "!!! " + "a" * 300_000 + "!",
            ":::" * 200_000,
            '=== "a"\n    ' * 50_000,
            "a\n=" * 100_000,
            "+++\n" + "a=[" * 20_000 + "\n+++\nBody.",
        ],
        ids=lambda text: repr(text[:8]),
    )
    def test_no_text_takes_more_time_than_its_length_warrants(self, text: str) -> None:
        started = time.monotonic()
        loaded("a.md", text)
        assert time.monotonic() - started < HOSTILE_SECONDS


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


class TestTitles:
    @pytest.mark.parametrize(
        ("path", "title"),
        [
            ("guide/index.md", "guide"),
            ("guide/_index.md", "guide"),
            ("README.md", "README"),
            ("a-b_c.md", "a b c"),
            ("---.md", "---.md"),
        ],
    )
    def test_a_path_has_a_title(self, path: str, title: str) -> None:
        assert title_from_path(path) == title

    @given(st.text(max_size=500))
    def test_a_clean_title_is_one_short_line_that_can_be_encoded(self, words: str) -> None:
        title = clean_title(words)
        assert len(title) <= 200
        assert "\n" not in title
        title.encode()
