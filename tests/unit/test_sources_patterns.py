"""Ignore patterns mean what git says they mean, in linear time."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources.ignoring import Rules, ignored
from ingest.sources.patterns import parse


def matches(pattern: str, path: str) -> bool:
    """Whether the pattern names the path; one that ends in "/" is a folder."""
    parsed = parse(pattern)
    return parsed is not None and parsed.matches(path.rstrip("/").split("/"), path.endswith("/"))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.md", "a.md"),
        ("*.md", "x/y/a.md"),
        ("/a.md", "a.md"),
        ("x/a.md", "x/a.md"),
        ("x/", "x/"),
        ("x/", "y/x/"),
        ("**/a", "a"),
        ("**/a", "x/y/a"),
        ("a/**", "a/b/c"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"),
        ("a?c", "abc"),
        ("[a-c]x", "bx"),
        ("[!a]x", "bx"),
        ("[^a]x", "bx"),
        (r"\#x", "#x"),
        (r"\!x", "!x"),
        (r"a\*", "a*"),
        (r"x\ ", "x "),
        ("x   ", "x"),
        ("**", "x/y"),
        ("a/*/c", "a/b/c"),
    ],
)
def test_a_pattern_names(pattern: str, path: str) -> None:
    assert matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/a.md", "x/a.md"),
        ("x/a.md", "y/x/a.md"),
        ("x/", "x"),
        ("a/**", "a/"),
        ("a?c", "ac"),
        ("a/*/c", "a/b/b/c"),
        ("*.md", "a.mdx"),
        (r"a\*", "ab"),
        ("# a", "# a"),
        ("", "x"),
        ("a\\", "a"),
        ("[a-c]x", "dx"),
    ],
)
def test_a_pattern_does_not_name(pattern: str, path: str) -> None:
    assert not matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 100 + "b", "a" * 255),
        ("/" + "**/" * 200 + "b", "a/" * 1000 + "a"),
        ("/" + "**/a/" * 200 + "b", "a/" * 1000 + "a"),
        ("/" + "**/*a*/" * 100 + "b", "a/" * 1000 + "a"),
    ],
)
def test_a_pattern_that_was_made_to_take_for_ever_does_not(pattern: str, path: str) -> None:
    started = time.process_time()
    assert not matches(pattern, path)
    assert time.process_time() - started < 5  # backtracking would take longer than the universe is old


PART = st.sampled_from(["a", "b", "ab", "*", "?", "a*", "*b", "**", "[ab]", "[!a]", "a?b"])
LINE = st.builds(
    lambda negated, slash, parts, folder: negated + slash + "/".join(parts) + folder,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(PART, min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
)
PATHS = [
    "/".join(parts) for depth in (1, 2, 3) for parts in product(["a", "b", "ab", "axb"][: 5 - depth], repeat=depth)
]


class Repository:
    """A real repository, whose git is asked what is ignored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "init", "-q", str(folder)], check=True)

    def ignored(self, lines: list[str], paths: list[str]) -> set[str]:
        (self.folder / ".gitignore").write_text("\n".join(lines) + "\n")
        done = subprocess.run(
            ["git", "check-ignore", "--stdin", "-z", "--no-index"],
            cwd=self.folder,
            input="\0".join(paths).encode(),
            capture_output=True,
            check=False,
        )
        return {each for each in done.stdout.decode().split("\0") if each}


@pytest.fixture(scope="module")
def repository() -> Iterator[Repository]:
    if shutil.which("git") is None:
        pytest.skip("there is no git to compare with")
    with tempfile.TemporaryDirectory() as folder:
        yield Repository(Path(folder))


@settings(max_examples=120)
@given(lines=st.lists(LINE, min_size=1, max_size=4))
def test_what_is_ignored_is_what_git_ignores(repository: Repository, lines: list[str]) -> None:
    rules = [Rules(0, tuple(each for each in map(parse, lines) if each))]

    def ours(path: str) -> bool:
        parts = path.split("/")
        return any(ignored(rules, parts[:length], length < len(parts)) for length in range(1, len(parts) + 1))

    assert {each for each in PATHS if ours(each)} == repository.ignored(lines, PATHS)
