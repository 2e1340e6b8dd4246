"""A git that cannot be held to a checked address is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.sources.git import _check_version
from rag.errors import SourceError


def git(folder: Path, said: str) -> str:
    """Stands for a git of another version, which cannot be installed here: it only says which it is."""
    program = folder / "git"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("said", ["git version 2.37.0", "git version 2.39.5 (Apple Git-154)", "git version 3.0.1"])
def test_a_git_that_pins_addresses_is_used(tmp_path: Path, said: str) -> None:
    _check_version(git(tmp_path, said))


@pytest.mark.parametrize("said", ["git version 2.36.9", "git version 1.99.0", "something else", ""])
def test_an_older_one_is_refused_by_name(tmp_path: Path, said: str) -> None:
    with pytest.raises(SourceError, match=r"needs git 2\.37 or later"):
        _check_version(git(tmp_path, said))
