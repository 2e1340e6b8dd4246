"""Another process that works on the folder of an embedded index."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from pathlib import Path

from rag.index import CollectionSpec, Record
from rag.schema import Scope, SparseVector

ROOT = Path(__file__).parents[3]
SPEC = CollectionSpec(3, {"encoder": "minilm"})
OWNER = Scope.owner("acme")
PRELUDE = """
import os, sys, time, uuid
from pathlib import Path
from rag.index import CollectionSpec, Record
from rag.index.embedded import EmbeddedIndex
from rag.schema import Scope, SparseVector

def record(number, text="x"):
    sparse = SparseVector((number % 7,), (1.0,))
    return Record(str(uuid.UUID(int=number)), (1.0, float(number), 0.5), sparse, {"n": number, "text": text})

def say(word):
    print(word, flush=True)

folder = Path(sys.argv[1])
"""


def run(script: str, folder: Path) -> subprocess.Popen[str]:
    """Another process that works on the folder; it reports by printing lines."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def heard(process: subprocess.Popen[str], word: str) -> str:
    """Wait until the process says a line that starts with `word`; the rest of that line."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return line.removeprefix(word).strip()
    raise AssertionError(f"ended without saying {word!r}: {process.communicate()[1]}")


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def record(number: int, text: str = "x") -> Record:
    sparse = SparseVector((number % 7,), (1.0,))
    return Record(str(uuid.UUID(int=number)), (1.0, float(number), 0.5), sparse, {"n": number, "text": text})
