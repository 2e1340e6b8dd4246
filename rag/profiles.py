"""Profiles: of the models that the chat model's server lists, those that a question may be answered by.

One is in service, and answers where none is named. The model that it is an adapter of, and that one's other adapters,
may be named instead. The server's other models may not: who asks questions does not choose what they cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rag.errors import BadInput
from rag.settings import Settings

Listed = Sequence[Mapping[str, Any]]  # as `data` of GET /v1/models; vLLM says of an adapter what its `parent` is


class UnknownProfile(BadInput):
    """A question names a profile that there is not."""

    code = "model_not_found"
    http_status = 404
    param = "model"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no profile '{name[:100]}', but {', '.join(known)}.")


def served(listed: Listed, settings: Settings) -> str | None:
    """The model in service; None where none is listed nor set.

    It is that of the settings; else the adapter of the settings, where it is listed; else the first, of the local
    engine the first adapter: it has one only because it is wanted.
    """
    if settings.llm_model:
        return settings.llm_model
    named = [each for each in listed if each.get("id")]
    wanted = Path(settings.engine_adapter).name
    named = [each for each in named if each.get("parent") and each["id"] == wanted] or named
    if not settings.llm_url:
        named = [each for each in named if each.get("parent")] or named
    return str(named[0]["id"]) if named else None


def profiles(listed: Listed, in_service: str) -> tuple[str, ...]:
    """The names that a question may be answered by: `in_service` first, then the others in the server's order."""
    parents = {str(each["id"]): each.get("parent") for each in listed if each.get("id")}
    base = parents.get(in_service) or in_service
    others = [name for name, parent in parents.items() if base in (name, parent) and name != in_service]
    return (in_service, *others)
