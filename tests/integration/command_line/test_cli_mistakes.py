"""Sources, settings and parts that are wrong or not there, each named in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fake_model import FakeModel
from tests.integration.command_line.running import CLOSED, ESCAPES, Ran, environment, refused, run


class TestBadSources:
    @pytest.mark.parametrize(
        ("source", "facts"),
        [
            ("empty", ("'empty' holds no document", ".md")),
            ("nowhere", ("no file or folder 'nowhere'", "check the path")),
            ("letter.wav", ("'letter.wav' is of a type that is not read", ".md")),
            ("pictures", ("holds no document", ".md", "1 files of other types")),
            ("two\nlines\x1b[31m", ("no file matches 'two", "[31m'")),
        ],
    )
    def test_nothing_to_ingest_is_said_before_anything_is_made(
        self, tmp_path: Path, source: str, facts: tuple[str, ...]
    ) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "a.png").touch()
        (tmp_path / "letter.wav").touch()
        refused(run(tmp_path, "ingest", source), 2, *facts)
        assert not list(tmp_path.glob(".librarian/index/collections/*"))

    def test_bad_documents_are_a_line_each_and_the_others_are_ingested(
        self, library: Callable[..., Ran], docs: Path
    ) -> None:
        (docs / "garbage.md").write_bytes(b"\x89PNG\0\0" * 99)
        with (docs / "line.txt").open("wb") as file:
            file.truncate(50_000_000)
        (docs / "new.txt").write_text("New words.")
        (docs / f"evil{ESCAPES}.md").write_bytes(b"\0")
        ran = library("ingest", "docs")
        assert ran.code == 3
        assert "1 added, 0 replaced, 0 deleted, 2 kept, 3 failed" in ran.out
        *failed, again = ran.err.splitlines()
        assert sorted(line.split(": ")[1][:4] for line in failed) == ["evil", "garb", "line"]
        assert again.endswith("librarian ingest --retry .librarian/failures/documents.jsonl")
        assert "failed: line.txt: it has 50.0 MB, more than the 33.6 MB of LIBRARIAN_MAX_DOCUMENT_BYTES." in ran.err
        assert "failed: garbage.md: it is binary data, not text: convert it" in ran.err
        assert all(each.isprintable() for line in ran.err.splitlines() for each in line)

    def test_a_single_bad_file_is_one_line(self, library: Callable[..., Ran], docs: Path) -> None:
        (docs / "garbage.md").write_bytes(b"\x89PNG\0\0" * 99)
        ran = library("ingest", "docs/garbage.md")
        assert (ran.code, ran.err.count("failed: "), ran.err.count("\n")) == (3, 1, 2)


class TestBadSettings:
    @pytest.mark.parametrize(
        ("arguments", "variables", "facts"),
        [
            (["--set", "topk=3"], {}, ("'topk'", "--set", "did you mean 'top_k'?")),
            (["--set", "top_k"], {}, ("NAME=VALUE", "'top_k'")),
            (["--set", "top_k=many"], {}, ("'top_k'", "'many'", "passages")),
            (["--set", "top_k=0"], {}, ("'top_k'", "greater than or equal to 1")),
            (["--set", "llm_url=localhost:8001"], {}, ("'llm_url'", "http://")),
            ([], {"LIBRARIAN_TOPK": "3"}, ("'LIBRARIAN_TOPK'", "environment", "did you mean 'LIBRARIAN_TOP_K'?")),
            ([], {"LIBRARIAN_LOG_LEVEL": "loud"}, ("'log_level'", "environment", "'loud'", "'debug'")),
            ([], {"LIBRARIAN_ZZZZ": "3"}, ("'LIBRARIAN_ZZZZ'", "`librarian config`")),
        ],
    )
    def test_a_setting_that_is_wrong_is_named_with_its_source_and_what_would_be_right(
        self, tmp_path: Path, arguments: list[str], variables: dict[str, str], facts: tuple[str, ...]
    ) -> None:
        refused(run(tmp_path, "config", *arguments, **variables), 2, *facts)

    def test_a_broken_toml_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "librarian.toml").write_text("top_k = = 3\n")
        refused(run(tmp_path, "config"), 2, "librarian.toml", "TOML")


class TestWhatIsNotThere:
    def test_a_collection_that_is_not_there_is_named_with_those_that_are(self, library: Callable[..., Ran]) -> None:
        refused(library("search", "probe", "--collection", "nope"), 4, "'nope'", "documents")

    def test_ask_says_so_too(self, library: Callable[..., Ran], fake_model: FakeModel) -> None:
        ran = library("ask", "probe", "--collection", "nope", "--llm-url", fake_model.url)
        refused(ran, 4, "'nope'", "documents")
        assert fake_model.chats == []

    @pytest.mark.parametrize("name", ["a/b", "../../etc", "-x", "a b"])
    @pytest.mark.parametrize("command", ["search", "ingest"])
    def test_a_name_that_no_collection_can_have_is_refused(
        self, library: Callable[..., Ran], command: str, name: str
    ) -> None:
        refused(library(command, "docs", f"--collection={name}"), 2, "cannot name a collection")

    def test_a_model_that_is_not_there_is_said_before_the_encoder_is_loaded(self, tmp_path: Path) -> None:
        refused(run(tmp_path, "ask", "probe", "--llm-url", CLOSED + "/v1"), 8, CLOSED, "LIBRARIAN_LLM_URL")

    @pytest.mark.parametrize("failure", ["garbage", 404])
    def test_a_server_that_is_no_model_server_is_said_to_be_none(
        self, tmp_path: Path, fake_model: FakeModel, failure: Any
    ) -> None:
        fake_model.fail["models"] = failure
        ran = run(tmp_path, "ask", "probe", "--llm-url", fake_model.url)
        refused(ran, 8, fake_model.url, "OpenAI-compatible", "LIBRARIAN_LLM_URL")

    def test_a_qdrant_that_is_not_there_is_named(self, main: Callable[..., Ran], docs: Path) -> None:
        for arguments in (["ingest", "docs"], ["search", "probe"]):
            refused(main(*arguments, "--qdrant-url", CLOSED), 7, CLOSED, "LIBRARIAN_QDRANT_URL")

    def test_a_librarian_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        refused(run(tmp_path, "search", "probe", "--set", f"api_url={CLOSED}"), 1, CLOSED)

    def test_an_encoder_that_is_not_there_is_named(self, tmp_path: Path, docs: Path) -> None:
        ran = run(tmp_path, "ingest", "docs", "--encoder", "./no-model")
        refused(ran, 9, "./no-model", "LIBRARIAN_ENCODER")

    def test_a_file_in_the_place_of_the_data_folder_is_named(self, tmp_path: Path, docs: Path) -> None:
        (tmp_path / "taken").touch()
        refused(run(tmp_path, "ingest", "docs", "--data-dir", "taken"), 7, "taken", "LIBRARIAN_DATA_DIR")

    def test_an_index_that_another_process_holds_is_said_with_its_holder(self, tmp_path: Path, docs: Path) -> None:
        script = (
            "import sys; from pathlib import Path; from rag.index.embedded import EmbeddedIndex; "
            "index = EmbeddedIndex(Path('.librarian/index')); print('held', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            refused(run(tmp_path, "ingest", "docs"), 6, f"process {process.pid}", "LIBRARIAN_DATA_DIR")
