"""The adapter that comes with Librarian, for the chat model that comes with it."""

from __future__ import annotations

from pathlib import Path

NAME = "smollm2-grounded"
FOLDER = Path(__file__).resolve().parents[1] / "adapters" / NAME


def packaged_adapter() -> Path | None:
    """Its folder; None in a build without it."""
    return FOLDER if FOLDER.is_dir() else None
