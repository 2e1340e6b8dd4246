"""What is evaluated: one or more sets of settings, each with a name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.turns import Turns
from rag.errors import SettingsError

if TYPE_CHECKING:
    from rag.settings import Settings

DEFAULT = "default"
CURRENT = "current"  # the settings of this folder and environment, where they differ from the defaults
# Where things are and who may ask for them: no part of what is measured.
_PLACES = frozenset(
    {"data_dir", "collection", "host", "port", "api_url", "qdrant_ca_file", "engine_python", "log_level", "otel"}
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings and what people call them, and what of a conversation is searched."""

    name: str
    settings: Settings
    turns: Turns = Turns.LAST


def configurations(
    files: Sequence[Path], pairs: Sequence[str] = (), flags: Mapping[str, Any] | None = None
) -> list[Configuration]:
    """One configuration a TOML file, named for it; without files, the settings as they are.

    A file's values are stronger than librarian.toml and the environment, `flags` and `pairs` (NAME=VALUE) stronger
    than a file. Raises SettingsError, naming the file.
    """
    from rag.settings import load

    if not files:
        settings = load(flags, pairs=pairs).settings
        return [Configuration(CURRENT if differences(settings) else DEFAULT, settings)]
    found: list[Configuration] = []
    for file in files:
        values = _values(file)
        given = {name: value for name, value in (flags or {}).items() if value is not None}
        try:
            settings = load({**values, **given}, pairs=pairs).settings
        except SettingsError as error:
            raise SettingsError(f"{file}: {error}") from None
        found.append(Configuration(_unused(file, {each.name for each in found}), settings))
    return found


def with_turns(found: Sequence[Configuration], turns: Sequence[Turns]) -> list[Configuration]:
    """Each configuration once for each kind of query, named for it where there are several."""
    several = len(turns) > 1
    return [
        replace(each, name=f"{each.name}-{kind}" if several else each.name, turns=kind)
        for kind in turns
        for each in found
    ]


def differences(settings: Settings) -> dict[str, Any]:
    """The settings that are not their default and may change what is found, as plain JSON; no secrets."""
    values = settings.model_dump(mode="json")
    defaults = {name: field.default for name, field in type(settings).model_fields.items()}
    given = settings.model_dump()
    return {
        name: _shown(value)
        for name, value in values.items()
        if name not in _PLACES and not name.endswith("api_key") and given[name] != defaults[name]
    }


def _shown(value: Any) -> Any:
    from rag.urls import without_password

    return without_password(value) if isinstance(value, str) and "://" in value else value


def _values(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file} cannot be read as TOML: {error}") from None


def _unused(file: Path, taken: set[str]) -> str:
    base = "".join(each if each.isalnum() or each in "._-" else "-" for each in file.stem) or DEFAULT
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name
