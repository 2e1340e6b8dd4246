"""`librarian` in a process of its own, what it printed, and what a mistake must look like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import librarian
from rag.settings import PREFIX

ROOT = Path(__file__).parents[3]
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


def parsed(ran: Ran, code: int = 0) -> Any:
    """The JSON that is all of stdout."""
    assert ran.code == code, ran.err
    return json.loads(ran.out)
