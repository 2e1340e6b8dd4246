"""What must not reach a terminal, and terminals that do not listen."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_model import FakeModel
from tests.integration.command_line.running import CLOSED, COMMAND, ESCAPES, Ran, environment, refused, run


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
