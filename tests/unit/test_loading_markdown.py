"""Markdown to text: its head, its title, what its dressing becomes; and titles made of paths."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.loading import clean_title, title_from_path
from tests.unit.loading_kit import HOSTILE_SECONDS, loaded


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
