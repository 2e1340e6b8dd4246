"""Local files, folders and globs as sources; several joined into one."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources import Item, Skipped, Source, Unreadable, open_source, open_sources
from ingest.sources.seen import Seen
from ingest.sources.uris import file_path, file_uri, shown, suffix
from rag.errors import BadInput, SourceError
from rag.settings import Settings

LONG_AGO = 1_000_000_000
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."}
)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    write(folder, "one.md", "sub/two.txt", "sub/deep/three.html", "zebra.md")
    return folder


def write(folder: Path, *names: str, text: str = "Words.") -> None:
    """Files of this text, old enough for their time to count."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (LONG_AGO, LONG_AGO))


def opened(text: str | Path, **options: list[str]) -> Source:
    return open_source(text, Settings(), **options)


def paths(source: Source) -> list[str]:
    return [each.path for each in source.items() if isinstance(each, Item)]


class TestFolders:
    def test_documents_come_in_a_stable_order_a_folders_files_before_its_folders(self, docs: Path) -> None:
        assert paths(opened(docs)) == ["one.md", "zebra.md", "sub/two.txt", "sub/deep/three.html"]

    def test_a_document_is_identified_by_its_file_uri_and_stamped_with_size_and_time(self, docs: Path) -> None:
        item = next(iter(opened(docs).items()))
        assert isinstance(item, Item)
        assert (item.uri, item.name, item.size) == ((docs / "one.md").as_uri(), "one.md", 6)
        assert item.stamp == f"6:{LONG_AGO * 10**9}"

    def test_a_file_written_just_now_has_no_stamp_for_it_may_change_within_the_same_tick(self, docs: Path) -> None:
        (docs / "one.md").write_text("Now.")
        os.utime(docs / "zebra.md", (time.time() + 9999, time.time() + 9999))
        stamps = {each.path: each.stamp for each in opened(docs).items() if isinstance(each, Item)}
        assert stamps["one.md"] == stamps["zebra.md"] == ""
        assert stamps["sub/two.txt"]

    def test_a_document_is_read_whole_and_not_beyond_the_limit(self, docs: Path) -> None:
        source = opened(docs)
        item = next(iter(source.items()))
        assert isinstance(item, Item)
        assert source.read(item, 6) == b"Words."
        with pytest.raises(SourceError, match="LIBRARIAN_MAX_DOCUMENT_BYTES") as raised:
            source.read(item, 5)
        assert raised.value.code == "document_too_large"
        (docs / "one.md").write_text("It grew since it was listed.")
        with pytest.raises(SourceError, match="LIBRARIAN_MAX_DOCUMENT_BYTES"):
            source.read(item, 10)

    def test_hidden_files_and_tools_folders_are_left_out(self, docs: Path) -> None:
        write(docs, ".a.md", ".git/b.md", "node_modules/c.md", "sub/__pycache__/d.md", "sub/.cache/e.md")
        assert len(paths(opened(docs))) == 4

    def test_files_of_other_types_are_skipped_by_suffix(self, docs: Path) -> None:
        write(docs, "a.exe", "sub/B.EXE", "lonely")
        kinds = sorted(each.kind for each in opened(docs).items() if isinstance(each, Skipped))
        assert kinds == [".exe", ".exe", "no extension"]

    def test_suffixes_are_read_in_any_case(self, docs: Path) -> None:
        write(docs, "LOUD.MD")
        assert "LOUD.MD" in paths(opened(docs))

    def test_links_to_files_are_followed_and_links_to_folders_are_not(self, docs: Path, tmp_path: Path) -> None:
        write(tmp_path, "outside/far.md")
        (docs / "near.md").symlink_to(tmp_path / "outside" / "far.md")
        (docs / "round").symlink_to(docs)
        (docs / "away").symlink_to(tmp_path / "outside")
        (docs / "nowhere.md").symlink_to(docs / "gone.md")
        (docs / "self.md").symlink_to(docs / "self.md")
        (docs / "nowhere.exe").symlink_to(docs / "gone.exe")
        source = opened(docs)
        items = {each.path: each for each in source.items() if isinstance(each, Item)}
        assert items.keys() - {"one.md", "zebra.md", "sub/two.txt", "sub/deep/three.html"} == {
            "near.md",
            "nowhere.md",
            "self.md",
        }
        assert source.read(items["near.md"], 100) == b"Words."
        for broken in ("nowhere.md", "self.md"):
            with pytest.raises(SourceError, match="it cannot be read"):
                source.read(items[broken], 100)

    def test_pipes_and_folders_named_like_documents_are_no_documents(self, docs: Path) -> None:
        os.mkfifo(docs / "pipe.md")
        (docs / "folder.md").mkdir()
        assert len(paths(opened(docs))) == 4

    def test_a_pipe_that_took_a_files_place_is_not_waited_for(self, docs: Path) -> None:
        source = opened(docs)
        item = next(iter(source.items()))
        assert isinstance(item, Item)
        (docs / "one.md").unlink()
        os.mkfifo(docs / "one.md")
        with pytest.raises(SourceError, match="it is no file"):
            source.read(item, 100)

    def test_names_that_are_no_utf_8_are_shown_with_replacements_and_read(self, docs: Path) -> None:
        name = os.fsdecode(b"caf\xe9\n.md")
        write(docs, name)
        source = opened(docs)
        item = next(each for each in source.items() if isinstance(each, Item) and "caf" in each.path)
        assert item.path == "caf\ufffd\ufffd.md"
        assert item.uri.endswith("/caf%E9%0A.md")
        assert source.owns(item.uri)
        assert source.read(item, 100) == b"Words."

    def test_a_folder_that_cannot_be_listed_stands_for_all_that_is_in_it(
        self, docs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.scandir

        def failing(path: str) -> object:  # stands for missing permissions, which the superuser never misses
            if str(path).endswith("/sub"):
                raise PermissionError(13, "Permission denied", path)
            return real(path)

        monkeypatch.setattr(os, "scandir", failing)
        found = list(opened(docs).items())
        unlisted = [each for each in found if isinstance(each, Unreadable)]
        assert [(each.uri, each.path) for each in unlisted] == [((docs / "sub").as_uri() + "/", "sub/")]
        assert "permission denied" in unlisted[0].reason

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may list every folder")
    def test_a_root_that_cannot_be_listed_is_an_error(self, docs: Path) -> None:
        docs.chmod(0)
        try:
            with pytest.raises(SourceError, match="permission denied"):
                opened(docs)
        finally:
            docs.chmod(0o755)

    @pytest.mark.parametrize("left", [None, "picture.exe", ".hidden.md"])
    def test_a_folder_without_a_document_is_an_error_once_it_is_walked(self, tmp_path: Path, left: str | None) -> None:
        if left:
            write(tmp_path, left)
        source = opened(tmp_path)
        with pytest.raises(SourceError, match="holds no document"):
            list(source.items())

    def test_what_is_gone_when_it_is_read_is_an_error_in_words(self, docs: Path) -> None:
        source = opened(docs)
        item = next(iter(source.items()))
        assert isinstance(item, Item)
        (docs / "one.md").unlink()
        with pytest.raises(SourceError, match="No such file"):
            source.read(item, 100)

    def test_items_can_be_sent_to_another_process(self, docs: Path) -> None:
        write(docs, "corpus.jsonl", text='{"_id": "1", "text": "Words."}')
        for item in opened(docs).items():
            assert pickle.loads(pickle.dumps(item)) == item


class TestNaming:
    @pytest.mark.parametrize("path", ["x" * 5000, "~nobody-of-that-name/docs", "loop/docs", "one.md/docs", "a\0b"])
    def test_a_path_that_cannot_be_followed_is_an_error_in_one_line(self, docs: Path, path: str) -> None:
        (docs / "loop").symlink_to(docs / "loop")
        with pytest.raises(SourceError) as raised:
            opened(path if path.startswith("~") else str(docs / path))
        assert "\n" not in str(raised.value)

    def test_a_missing_path_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="there is no file or folder"):
            opened(tmp_path / "nowhere")

    def test_one_folder_by_two_names_is_one_source(self, docs: Path, tmp_path: Path) -> None:
        (tmp_path / "alias").symlink_to(docs)
        uris = [each.uri for each in opened(docs).items() if isinstance(each, Item)]
        for other in (tmp_path / "alias", docs / "sub" / "..", docs.as_uri(), f"{docs}/"):
            assert [each.uri for each in opened(other).items() if isinstance(each, Item)] == uris

    def test_a_file_is_a_source_of_one(self, docs: Path) -> None:
        source = opened(docs / "one.md")
        assert [each.uri for each in source.items() if isinstance(each, Item)] == [(docs / "one.md").as_uri()]
        assert source.owns((docs / "one.md").as_uri())
        assert not source.owns((docs / "zebra.md").as_uri())

    def test_a_file_of_another_type_is_an_error_that_names_those_that_are_read(self, docs: Path) -> None:
        write(docs, "a.exe")
        with pytest.raises(SourceError, match=r"not read; these are: .*\.md"):
            opened(docs / "a.exe")

    def test_a_scheme_that_is_not_read_is_an_error_that_names_those_that_are(self) -> None:
        with pytest.raises(SourceError, match="https://") as raised:
            opened("ftp://user:secret@example.org/x")
        assert "secret" not in str(raised.value)

    @pytest.mark.parametrize(
        ("glob", "expected"),
        [
            ("*.md", ["one.md", "zebra.md"]),
            ("**/*.md", ["one.md", "zebra.md"]),
            ("**/*.html", ["sub/deep/three.html"]),
            ("sub/*", ["two.txt", "deep/three.html"]),
            ("sub/**/*.html", ["deep/three.html"]),
            ("s*/two.tx?", ["sub/two.txt"]),
            ("[oz]*.md", ["one.md", "zebra.md"]),
        ],
    )
    def test_a_glob_names_the_files_that_match_and_owns_no_others(
        self, docs: Path, glob: str, expected: list[str]
    ) -> None:
        source = opened(str(docs / glob))
        items = [each for each in source.items() if isinstance(each, Item)]
        assert [each.path for each in items] == expected
        owned = {each.uri for each in opened(docs).items() if isinstance(each, Item) and source.owns(each.uri)}
        assert owned == {each.uri for each in items}

    def test_a_glob_that_matches_nothing_is_an_error(self, docs: Path) -> None:
        with pytest.raises(SourceError, match="no file matches"):
            list(opened(str(docs / "*.html")).items())
        with pytest.raises(SourceError, match="there is no file or folder"):
            opened(str(docs / "nowhere" / "*.html"))

    def test_a_file_whose_name_looks_like_a_glob_is_that_file(self, docs: Path) -> None:
        write(docs, "[one].md")
        assert paths(opened(str(docs / "[one].md"))) == ["[one].md"]


class TestNarrowing:
    def test_include_and_exclude_name_files_at_any_depth_or_below_folders(self, docs: Path) -> None:
        assert paths(opened(docs, include=["*.txt", "*.html"])) == ["sub/two.txt", "sub/deep/three.html"]
        assert paths(opened(docs, include=["sub/"], exclude=["deep"])) == ["sub/two.txt"]
        assert paths(opened(docs, exclude=["/sub/**"])) == ["one.md", "zebra.md"]

    def test_what_is_left_out_on_the_command_line_is_not_owned(self, docs: Path) -> None:
        source = opened(docs, include=["*.md", "sub/"], exclude=["deep/"])
        assert source.owns((docs / "gone.md").as_uri())
        assert source.owns((docs / "sub/gone.txt").as_uri())
        assert not source.owns((docs / "gone.txt").as_uri())
        assert not source.owns((docs / "sub/deep/gone.txt").as_uri())

    def test_what_an_ignore_file_names_is_left_out_and_owned(self, docs: Path) -> None:
        write(docs, "sub/keep.txt")
        (docs / ".librarianignore").write_text("# a comment\n\nzebra.*\nsub/*\n!sub/keep.txt\n")
        source = opened(docs)
        assert paths(source) == ["one.md", "sub/keep.txt"]
        assert source.owns((docs / "zebra.md").as_uri())

    def test_the_nearest_ignore_file_decides(self, docs: Path) -> None:
        (docs / ".librarianignore").write_text("*.txt\n*.html\n")
        (docs / "sub" / ".librarianignore").write_text("!two.txt\n/deep/\n")
        assert paths(opened(docs)) == ["one.md", "zebra.md", "sub/two.txt"]

    def test_an_ignore_file_that_cannot_be_read_leaves_its_folder_as_it_is(self, docs: Path) -> None:
        (docs / "sub" / ".librarianignore").mkdir()
        unlisted = [each for each in opened(docs).items() if isinstance(each, Unreadable)]
        assert [each.path for each in unlisted] == ["sub/"]

    def test_gits_ignore_files_count_in_a_repository_only(self, docs: Path) -> None:
        (docs / ".gitignore").write_text("zebra.md\n")
        assert "zebra.md" in paths(opened(docs))
        (docs / ".git").mkdir()
        assert "zebra.md" not in paths(opened(docs))

    def test_a_folder_of_a_repository_keeps_the_rules_of_the_folders_above(self, docs: Path) -> None:
        (docs / ".git").mkdir()
        (docs / ".gitignore").write_text("*.html\n")
        assert paths(opened(docs / "sub")) == ["two.txt"]

    def test_who_names_a_folder_that_git_ignores_gets_it(self, docs: Path) -> None:
        (docs / ".git").mkdir()
        (docs / ".gitignore").write_text("sub/\n")
        assert paths(opened(docs)) == ["one.md", "zebra.md"]
        assert paths(opened(docs / "sub")) == ["two.txt", "deep/three.html"]

    @pytest.mark.parametrize("pattern", ["", "# x", "!a"])
    def test_a_pattern_that_is_none_is_an_error(self, docs: Path, pattern: str) -> None:
        with pytest.raises(BadInput, match="pattern"):
            opened(docs, include=[pattern])


class TestOwning:
    def test_a_folder_owns_what_is_below_it_and_no_neighbour_of_a_like_name(self, docs: Path) -> None:
        source = opened(docs)
        assert source.owns((docs / "gone.md").as_uri())
        assert source.owns((docs / "gone" / "x.md").as_uri())
        assert source.owns((docs / "a.zip").as_uri() + "#/gone.md")
        assert source.owns((docs / "a.jsonl").as_uri() + "#gone")
        for other in (docs.as_uri(), docs.as_uri() + "2/x.md", docs.as_uri() + "/", "file:///", "s3://docs/x.md"):
            assert not source.owns(other)

    def test_a_folder_owns_nothing_that_it_would_not_list(self, docs: Path) -> None:
        source = opened(docs)
        for other in (".hidden.md", ".cache/x.md", "node_modules/x.md", "sub/.git/x.md"):
            assert not source.owns((docs / other).as_uri())

    def test_a_file_owns_itself_and_what_is_in_it(self, docs: Path) -> None:
        write(docs, "a.jsonl", text='{"id": 1, "text": "Words."}')
        source = opened(docs / "a.jsonl")
        uri = (docs / "a.jsonl").as_uri()
        assert source.owns(uri)
        assert source.owns(f"{uri}#1")
        assert not source.owns(f"{uri}2")
        assert not source.owns(f"{uri}/x")

    @given(st.lists(NAMES, min_size=1, max_size=4), st.lists(NAMES, min_size=1, max_size=4))
    def test_a_file_uri_is_that_of_pathlib_and_leads_back(self, parts: list[str], other: list[str]) -> None:
        path, second = "/" + "/".join(parts), "/" + "/".join(other)
        assert file_uri(path) == Path(path).as_uri()
        assert file_path(file_uri(path)) == path
        assert (file_uri(path) == file_uri(second)) == (path == second)

    @given(st.binary(min_size=1, max_size=20).filter(lambda name: b"/" not in name and b"\0" not in name))
    def test_a_name_of_any_bytes_has_a_uri_and_can_be_shown(self, name: bytes) -> None:
        path = os.fsdecode(b"/x/" + name)
        assert file_path(file_uri(path)) == path
        assert shown(path).encode()
        assert shown(path).isprintable()

    @given(NAMES)
    def test_a_suffix_is_that_of_pathlib(self, name: str) -> None:
        if name.strip(".") and not name.startswith("."):
            assert suffix(name) == Path(name).suffix.lower()


class TestJoined:
    def test_sources_come_one_after_the_other(self, docs: Path, tmp_path: Path) -> None:
        write(tmp_path, "more/four.md")
        source = open_sources([docs / "sub", tmp_path / "more"], Settings())
        assert paths(source) == ["two.txt", "deep/three.html", "four.md"]
        assert source.owns((tmp_path / "more/x.md").as_uri())
        assert not source.owns((docs / "x.md").as_uri())

    def test_what_several_hold_is_listed_once(self, docs: Path) -> None:
        source = open_sources([docs / "sub", docs, docs / "one.md", docs / "*.md"], Settings())
        uris = [each.uri for each in source.items() if isinstance(each, Item)]
        assert len(uris) == len(set(uris)) == 4

    def test_each_document_is_read_by_a_source_that_owns_it(self, docs: Path, tmp_path: Path) -> None:
        write(tmp_path, "c.jsonl", text='{"_id": "1", "text": "A record."}')
        source = open_sources([docs, tmp_path / "c.jsonl"], Settings())
        assert {source.read(each, 100) for each in source.items() if isinstance(each, Item)} == {
            b"Words.",
            b"A record.",
        }
        source.close()
        source.close()

    def test_one_that_cannot_be_listed_is_an_error(self, docs: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(SourceError, match="holds no document"):
            list(open_sources([docs, tmp_path / "empty"], Settings()).items())

    @given(st.lists(st.text(max_size=5), max_size=200))
    def test_repetitions_are_told_exactly(self, texts: list[str]) -> None:
        seen, known = Seen(), set[str]()
        for text in texts:
            assert seen.add(text) == (text not in known)
            known.add(text)

    def test_repetitions_are_told_among_many(self) -> None:
        seen = Seen()
        assert all(seen.add(str(number)) for number in range(5000))
        assert not any(seen.add(str(number)) for number in range(5000))


def test_a_folder_is_walked_as_it_is_asked_for(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    real: Callable[[str], object] = os.scandir

    def noting(path: str) -> object:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", noting)
    items = opened(docs).items()
    next(items)
    assert listed == [str(docs)]
