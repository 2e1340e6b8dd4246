"""What people are told of a setting that does not exist, or whose value does not fit."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from pydantic import BaseModel, ValidationError

from rag.urls import without_password


def unknown_setting(settings: type[BaseModel], name: str, source: str, shown: str | None = None) -> str:
    """That `source` names no setting, with the nearest one. `shown`: the name as written there, a variable's."""
    near = difflib.get_close_matches(name, settings.model_fields, n=1, cutoff=0.5)
    hint = near[0] if near else None
    if hint and shown:
        hint = (shown[: len(shown) - len(name)] + hint).upper()
    advice = f"did you mean '{hint}'?" if hint else "`librarian config` lists every setting."
    return f"unknown setting '{shown or name}' ({source}); {advice}"


def invalid_setting(settings: type[BaseModel], error: ValidationError, sources: Mapping[str, str]) -> str:
    """The first value that does not fit, where it came from, and what the setting means; secrets are not repeated."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    field = settings.model_fields[name]
    given = "" if "SecretStr" in str(field.annotation) else f" {without_password(str(first['input']))!r}"
    reason = str(first["msg"]).removeprefix("Value error, ")
    return (
        f"setting '{name}' ({sources.get(name, 'default')}) has a value{given} that does not fit: {reason}. "
        f"It means: {field.description}."
    )
