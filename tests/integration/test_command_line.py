"""The `librarian` command as a person meets it: one line for each mistake, JSON where it was asked for, no secrets.

What needs no encoder runs in a process of its own. What does runs `librarian.main` in this one, with the encoder that
the tests share, because loading it takes seconds; one test of each kind runs the whole in a process nevertheless.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import librarian
from ingest.job import IngestJob
from ingest.sources import open_source
from rag.encoders import Bm25Encoder, LocalEncoder
from rag.index.embedded import EmbeddedIndex
from rag.settings import PREFIX, Settings
from tests.fake_model import FakeModel, wait_until

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "librarian"]
COMMANDS = [each.callback.__name__ for each in librarian.build().registered_commands if each.callback]
CLOSED = "http://127.0.0.1:9"  # the discard port: nothing listens
ESCAPES = "\x1b[31mred\x1b]0;owned\x07 \x9b2J"


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


def run(folder: Path, *arguments: str, **variables: str) -> Ran:
    """`librarian …` in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Ran(done.stdout, done.stderr, done.returncode)


def refused(ran: Ran, code: int, *facts: str) -> None:
    """The command failed with this code and one line that holds the facts."""
    assert "Traceback" not in ran.err
    assert ran.err.count("\n") == 1, ran.err
    assert ran.err.startswith("librarian: ")
    for fact in facts:
        assert fact in ran.err
    assert ran.out == ""
    assert ran.code == code


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "probes.md").write_text("# Probes\n\nA readiness probe tells when a Pod may get traffic.\n")
    (folder / "escapes.md").write_text(
        f"# Escapes {ESCAPES}\n\nTerminal codes are {ESCAPES} and more. " + "Plain words follow. " * 20
    )
    return folder


@pytest.fixture
def main(
    minilm: LocalEncoder, clean_environment: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """`librarian …` in this process, with the shared encoder."""
    minilm.encode_query("load it now")  # or a slow start would be told as progress on stderr
    for place in ("rag.encoders", "rag.wiring", "serve.diagnosis"):
        monkeypatch.setattr(f"{place}.dense_encoder", lambda settings: minilm)

    def call(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["librarian", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            librarian.main()
        printed = capfd.readouterr()
        return Ran(printed.out, printed.err, int(ended.value.code or 0))

    return call


@pytest.fixture
def library(main: Callable[..., Ran], docs: Path) -> Callable[..., Ran]:
    """The same, with the documents ingested."""
    ran = main("ingest", "docs")
    assert (ran.code, ran.err) == (0, "")
    return main


class TestHelp:
    def test_help_imports_nothing_heavy(self, tmp_path: Path) -> None:
        script = """
import sys, time
started = time.process_time()
import librarian
for arguments in [["--help"], []] + [[name, "--help"] for name in sys.argv[1:]]:
    sys.argv[1:] = arguments
    try:
        librarian.main()
    except SystemExit as ended:
        print("code", ended.code)
print("seconds", time.process_time() - started, file=sys.stderr)
heavy = {"torch", "transformers", "sentence_transformers", "langchain_openai", "openai", "qdrant_client", "qdrant_edge",
         "fastapi", "uvicorn", "numpy", "httpx2", "yaml", "lxml", "bs4"}
print("heavy", sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
        done = subprocess.run(
            [sys.executable, "-c", script, *COMMANDS],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        print(done.stderr)
        assert done.stderr.splitlines()[-1] == "heavy []"
        assert done.stdout.count("code 0") == 1 + len(COMMANDS), "no command at all is the one that is not 0"
        for name in COMMANDS:
            assert f"Usage: librarian {name} " in done.stdout or f" {name} [OPTIONS]" in done.stdout

    def test_help_names_every_command_the_first_steps_and_the_exit_codes(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "--help")
        assert (ran.code, ran.err) == (0, "")
        for part in (*COMMANDS, "librarian ingest FOLDER", "Exit codes"):
            assert part in " ".join(ran.out.split())

    def test_every_option_says_what_it_is_for(self) -> None:
        from typer.main import get_command

        group = get_command(librarian.build())
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            assert command.help, name
            assert [each.name for each in command.params if not getattr(each, "help", None)] == [], name

    def test_an_unknown_command_is_bad_input(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "serch", "probe")
        assert ran.code == 2
        assert "serch" in ran.err
        assert "Traceback" not in ran.err


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


def parsed(ran: Ran, code: int = 0) -> Any:
    """The JSON that is all of stdout."""
    assert ran.code == code, ran.err
    return json.loads(ran.out)


class TestJson:
    def test_ingest(self, main: Callable[..., Ran], docs: Path) -> None:
        report = parsed(main("ingest", "docs", "--json"))
        assert (report["added"], report["collection"], report["failed"]) == (2, "documents", [])
        (docs / "bad.md").write_bytes(b"\0")
        ran = main("ingest", "docs", "--json")
        report = parsed(ran, code=3)
        assert [each["path"] for each in report["failed"]] == ["bad.md"]
        assert ran.err == ""

    def test_search(self, library: Callable[..., Ran]) -> None:
        ran = library("search", "readiness probe", "--json", "-k", "1")
        found = parsed(ran)
        assert [each["source"] for each in found["data"]] == ["probes.md"]
        assert ran.err == ""

    def test_ask(self, library: Callable[..., Ran], fake_model: FakeModel) -> None:
        fake_model.pieces = ("A readiness probe tells ", "when a Pod may get traffic [1].")
        ran = library("ask", "What does a readiness probe do?", "--json", "--llm-url", fake_model.url)
        answer = parsed(ran)
        assert answer["answer"] == "A readiness probe tells when a Pod may get traffic [1]."
        assert answer["context"][0]["source"] == "probes.md"
        assert [each["number"] for each in answer["citations"]] == [1]
        assert answer["abstained"] is False
        assert ran.err == ""

    def test_config(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "config", "--json", "--set", "groups=a,b", LIBRARIAN_TOP_K="9")
        rows = {row["name"]: row for row in parsed(ran)}
        assert set(rows) == set(Settings.model_fields)
        assert (rows["top_k"]["value"], rows["top_k"]["source"]) == (9, "environment")
        assert (rows["groups"]["value"], rows["groups"]["source"]) == (["a", "b"], "--set")
        assert rows["port"]["source"] == "default"
        assert all(row["meaning"] for row in rows.values())
        assert ran.err == ""

    def test_doctor(self, library: Callable[..., Ran], fake_model: FakeModel) -> None:
        ran = library("doctor", "--json", "--llm-url", fake_model.url)
        findings = {each["what"]: each for each in parsed(ran)}
        assert findings["index"]["state"] == findings["encoder"]["state"] == findings["chat model"]["state"] == "ok"
        assert ran.err == ""

    def test_doctor_fails_where_a_model_that_was_named_is_missing(self, library: Callable[..., Ran]) -> None:
        ran = library("doctor", "--json", "--llm-url", CLOSED)
        states = {each["what"]: each["state"] for each in parsed(ran, code=1)}
        assert states["chat model"] == "FAIL"
        assert states["index"] == "ok"


class TestSecrets:
    SECRETS = {  # noqa: RUF012
        "LIBRARIAN_QDRANT_API_KEY": "sesame-1",
        "LIBRARIAN_LLM_API_KEY": "sesame-2",
        "LIBRARIAN_API_KEY": "sesame-3",
        "LIBRARIAN_QDRANT_URL": f"http://reader:sesame-4@{CLOSED.removeprefix('http://')}",
    }

    @pytest.mark.parametrize("arguments", [["config"], ["config", "--json"], ["doctor"], ["doctor", "--json"]])
    def test_secrets_are_hidden_and_said_to_be_set(self, tmp_path: Path, arguments: list[str]) -> None:
        ran = run(tmp_path, *arguments, **self.SECRETS)
        assert "sesame" not in ran.out + ran.err
        assert "qdrant_api_key" in ran.out
        if arguments[0] == "config":
            assert ran.out.count("(set, hidden)") == 3

    def test_a_secret_that_does_not_fit_is_not_shown_either(self, tmp_path: Path) -> None:
        (tmp_path / "librarian.toml").write_text('api_key = ["sesame"]\n')
        ran = run(tmp_path, "config")
        refused(ran, 2, "'api_key'")
        assert "sesame" not in ran.err


class TestTerminal:
    def test_a_documents_control_codes_do_not_reach_the_terminal(self, library: Callable[..., Ran]) -> None:
        ran = library("search", "terminal codes", "-k", "1")
        assert (ran.code, ran.err) == (0, "")
        assert "red" in ran.out
        assert all(each.isprintable() for line in ran.out.splitlines() for each in line)

    def test_nor_do_those_of_an_answer(self, library: Callable[..., Ran], fake_model: FakeModel) -> None:
        fake_model.pieces = (f"Terminal codes are {ESCAPES} ", "\x1b", "[2J and more [1].")
        ran = library("ask", "terminal codes", "--llm-url", fake_model.url)
        assert (ran.code, ran.err) == (0, "")
        assert "Sources" in ran.out
        assert "escapes.md" in ran.out
        assert all(each.isprintable() for line in ran.out.splitlines() for each in line)

    def test_a_reader_that_leaves_early_is_no_mistake(self, library: Callable[..., Ran], tmp_path: Path) -> None:
        """`librarian search … | head -1`, in processes of its own."""
        pipe = f"{shlex.join([*COMMAND, 'search', 'probe'])} | head -1"
        done = subprocess.run(
            ["bash", "-c", pipe], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        assert "probes.md" in done.stdout
        assert done.stdout.count("\n") == 1

    @pytest.mark.parametrize("arguments", [["config"], ["config", "--json"], ["--help"]])
    def test_a_reader_that_was_never_there_is_no_traceback(self, tmp_path: Path, arguments: list[str]) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, env=environment(), stdout=writing, stderr=subprocess.PIPE, check=False
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (1, b"")

    @pytest.mark.parametrize("arguments", [["config"], ["--help"]])
    def test_a_full_disk_is_one_line(self, tmp_path: Path, arguments: list[str]) -> None:
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*COMMAND, *arguments],
                cwd=tmp_path,
                env=environment(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        refused(Ran("", done.stderr, done.returncode), 1, "No space left on device")


class TestInterrupt:
    @pytest.fixture
    def many(self, tmp_path: Path) -> Path:
        folder = tmp_path / "many"
        folder.mkdir()
        for number in range(60):
            (folder / f"{number}.md").write_text(f"# {number}\n\n" + "Words that take a while to embed. " * 120)
        return folder

    @pytest.mark.parametrize("moment", [".librarian/index/lock", ".librarian/index/aliases.json"])
    def test_ctrl_c_ends_an_ingest_at_once_and_the_next_run_completes_it(
        self, tmp_path: Path, many: Path, moment: str, minilm: LocalEncoder, settings: Callable[..., Settings]
    ) -> None:
        """The first moment is before the encoder is loaded, the second while it encodes."""
        process = subprocess.Popen(
            [*COMMAND, "ingest", "many"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert wait_until((tmp_path / moment).exists, seconds=90)
        time.sleep(0.3)
        interrupted = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        print(f"{moment}: {time.monotonic() - interrupted:.1f} s")
        assert process.returncode == 130
        assert time.monotonic() - interrupted < 20
        assert "Traceback" not in err
        assert "added" not in out
        index = EmbeddedIndex(tmp_path / ".librarian" / "index")
        try:
            if "aliases" in moment:
                for number in range(2, 60):  # two documents show it as well as all
                    (many / f"{number}.md").unlink()
                report = IngestJob(index, minilm, Bm25Encoder(), settings()).run(open_source(many, settings()))
                assert (report.added + report.replaced + report.kept, report.failed) == (2, [])
        finally:
            index.close()
