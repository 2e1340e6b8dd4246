"""A training's state on disk: what it is a training of, and where a killed one goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FACTS = "training.json"
_CHECKPOINTS = "state"


def resumable(work: Path, facts: Mapping[str, Any]) -> Path | None:
    """The checkpoint to go on from, None to begin. State of another training (other pairs, base or options) is deleted.

    `facts` is plain JSON that names this training.
    """
    wanted = json.loads(json.dumps(facts))
    try:
        known = json.loads((work / _FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = None
    if known != wanted:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        (work / _FACTS).write_text(json.dumps(wanted, indent=1), encoding="utf-8")
        return None
    return last_checkpoint(checkpoints(work))


def checkpoints(work: Path) -> Path:
    """The folder that the trainer writes its checkpoints into."""
    return work / _CHECKPOINTS


def last_checkpoint(written: Path) -> Path | None:
    """The latest checkpoint in a folder that was written whole: a trainer writes `trainer_state.json` last of all."""
    found = []
    for folder in written.glob("checkpoint-*"):
        number = folder.name.removeprefix("checkpoint-")
        if number.isdigit() and _whole(folder / "trainer_state.json"):
            found.append((int(number), folder))
    return max(found, default=(0, None))[1]


def _whole(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
