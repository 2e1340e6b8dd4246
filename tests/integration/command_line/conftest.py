"""The `librarian` command as a person meets it: one line for each mistake, JSON where it was asked for, no secrets.

What needs no encoder runs in a process of its own. What does runs `librarian.main` in this one, with the encoder that
the tests share, because loading it takes seconds; one test of each kind runs the whole in a process nevertheless.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import librarian
from rag.encoders import LocalEncoder
from tests.integration.command_line.running import ESCAPES, Ran


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
    for place in ("rag.encoders", "serve.diagnosis"):
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
def library(main: Callable[..., Ran], docs: Path, minilm: LocalEncoder) -> Callable[..., Ran]:
    """The same, with the documents ingested."""
    ran = main("ingest", "docs")
    assert ran.code == 0, ran.err  # on a slow machine it tells of its progress
    return main
