"""Which artefacts are in service: one small file beside them, `in-service.json`, which settings read as their weakest
source. So whatever opens these settings, a server or a command, uses what was promoted, and nobody edits anything.

For each kind it holds what was promoted, oldest first: the last one is in service, and to go back is to forget it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import SettingsError

FILE = "in-service.json"
FOLDER = "tuned"
# The kinds that are a model's folder, with the setting that names it.
SETTINGS = {"encoder": "encoder", "reranker": "reranker", "adapter": "engine_adapter"}


@dataclass(frozen=True, slots=True)
class Promoted:
    """An artefact that was put into service, when (ISO 8601, UTC), and what its kind needs to go back."""

    name: str
    since: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InService:
    """All that was promoted, by kind, oldest first."""

    promoted: Mapping[str, tuple[Promoted, ...]]

    def now(self, kind: str) -> Promoted | None:
        """What is in service; None where it is what the settings name."""
        return (self.promoted.get(kind) or (None,))[-1]

    def with_promoted(self, kind: str, new: Promoted) -> InService:
        """The same with this one in service."""
        return InService({**self.promoted, kind: (*self.promoted.get(kind, ()), new)})

    def without_last(self, kind: str) -> InService:
        """The same with what was in service before the last promotion of this kind."""
        return InService({**self.promoted, kind: self.promoted.get(kind, ())[:-1]})

    def names(self) -> set[str]:
        """Every artefact that is in service, or that a rollback leads to."""
        return {each.name for some in self.promoted.values() for each in some}


def read(folder: Path) -> InService:
    """What is in service by the file in a registry's folder; nothing where there is none. Raises SettingsError."""
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return InService({str(kind): tuple(Promoted(**each) for each in some) for kind, some in found.items()})
    except (FileNotFoundError, NotADirectoryError):
        return InService({})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise SettingsError(
            f"{path} says what is in service and cannot be read ({type(error).__name__} {error}): put it back from a "
            "backup, or delete it to go by the settings alone."
        ) from None


def write(folder: Path, found: InService) -> None:
    """Replace the file at once: a reader sees the old or the new one, also after a crash."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {kind: [asdict(each) for each in some] for kind, some in found.promoted.items()}
    beside = folder / f".{FILE}.new"
    with beside.open("w", encoding="utf-8") as file:
        json.dump(plain, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / FILE)


def settings_of(data_dir: Path) -> dict[str, str]:
    """The settings that promotions decide, as far as nothing else does: `{"encoder": "DATA_DIR/tuned/NAME"}`.

    Paths are absolute: processes that are started for a job work in other folders.
    """
    folder = (data_dir / FOLDER).absolute()
    served = read(folder)
    return {name: str(folder / now.name) for kind, name in SETTINGS.items() if (now := served.now(kind))}
