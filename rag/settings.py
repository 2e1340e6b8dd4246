"""Every setting (`rag.setting_rooms` says what each means), and how the four sources of settings are joined.

A setting `top_k` is the flag `--top-k` where a command has it, the variable `LIBRARIAN_TOP_K`, or `top_k = 8` in
`librarian.toml`. Strength: flags, then environment, then `.env`, then `librarian.toml`, then what was promoted by
`librarian tune promote`, then the default. An unknown name or a value that does not fit is an error that names the
source and the nearest valid setting.

This is the only file of the project that reads the environment for settings.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ConfigDict, ValidationError

from rag.errors import SettingsError
from rag.setting_errors import invalid_setting, unknown_setting
from rag.setting_rooms.access import Access
from rag.setting_rooms.documents import Documents
from rag.setting_rooms.encoding import Encoding
from rag.setting_rooms.limits import Limits
from rag.setting_rooms.model import Model
from rag.setting_rooms.places import Places
from rag.setting_rooms.searching import Searching
from rag.setting_rooms.service import Service
from rag.setting_rooms.tokens import Tokens
from rag.tuning import in_service

PREFIX = "LIBRARIAN_"
TEST_PREFIX = "LIBRARIAN_TEST_"
TOML_FILE = "librarian.toml"
ENV_FILE = ".env"
PROMOTED = "tune promote"  # as a source of settings


# They are shown from the last to the first.
class Settings(Limits, Tokens, Access, Service, Model, Searching, Documents, Encoding, Places):
    """All settings, validated. Immutable; `load` makes one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def index_dir(self) -> Path:
        """The embedded index's folder."""
        return self.data_dir / "index"

    @property
    def models_dir(self) -> Path:
        """Where prepared models lie."""
        return self.data_dir / "models"

    @property
    def most_answer_tokens(self) -> int:
        """What `max_tokens` of a request may come to: never less than an answer gets where it names none."""
        return max(self.max_answer_tokens, self.max_requested_tokens)

    @property
    def engine_url(self) -> str:
        """Base URL of the local engine."""
        return f"http://127.0.0.1:{self.engine_port}/v1"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the source of each one that is not the default."""

    settings: Settings
    sources: Mapping[str, str]


def load(
    flags: Mapping[str, Any] | None = None,
    pairs: Sequence[str] | None = None,
    folder: Path | None = None,
    promoted: bool = True,
) -> Loaded:
    """Join defaults, `librarian.toml`, `.env`, the environment and flags (a flag of None was not given).

    `pairs` are further flags as NAME=VALUE, as `--set` takes them; `folder` holds the two files; without `promoted`,
    what was promoted does not count.

    Raises SettingsError, naming source and setting, for an unknown name or a value that does not fit.
    """
    folder = folder or Path.cwd()
    layers: list[tuple[str, dict[str, Any]]] = [
        (TOML_FILE, _from_toml(folder / TOML_FILE)),
        (ENV_FILE, _from_env(_dotenv(folder / ENV_FILE), ENV_FILE)),
        ("environment", _from_env(os.environ, "environment")),
        ("flag", {key: value for key, value in (flags or {}).items() if value is not None}),
        ("--set", _from_pairs(pairs or ())),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if promoted:
        layers.insert(0, (PROMOTED, dict(in_service.settings_of(_data_dir(layers)))))
    for source, layer in layers:
        for name, value in layer.items():
            if name not in Settings.model_fields:
                raise SettingsError(unknown_setting(Settings, name, source))
            if value == "":  # says "as if it were not set", also of what a weaker source has set
                values.pop(name, None)
                sources.pop(name, None)
            else:
                values[name] = value
                sources[name] = source
    try:
        return Loaded(Settings(**values), sources)
    except ValidationError as error:
        raise SettingsError(invalid_setting(Settings, error, sources)) from None


def _data_dir(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Path:
    """The data folder that the strongest of the layers names."""
    given = next((layer["data_dir"] for _, layer in reversed(layers) if "data_dir" in layer), "")
    known = given if given and isinstance(given, str | Path) else Settings.model_fields["data_dir"].default
    return Path(known).expanduser()


def job_completion_index() -> int:
    """Which pod of a Kubernetes Indexed Job this is. Raises SettingsError where it is none."""
    found = os.environ.get("JOB_COMPLETION_INDEX", "")
    if not found.isdigit():
        raise SettingsError("JOB_COMPLETION_INDEX is not set: only a pod of an Indexed Job has one; name the shard.")
    return int(found)


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}") from None


def _dotenv(path: Path) -> Mapping[str, str | None]:
    try:
        return dotenv_values(path) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None


def _from_pairs(pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set takes NAME=VALUE, not '{pair}'.")
        found[name.strip().lower().replace("-", "_")] = value.lstrip()  # a query_prefix may end with a space
    return found


def _from_env(variables: Mapping[str, str | None], source: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in variables.items():
        if not key.upper().startswith(PREFIX) or key.upper().startswith(TEST_PREFIX):
            continue
        name = key[len(PREFIX) :].lower()
        if name not in Settings.model_fields:
            raise SettingsError(unknown_setting(Settings, name, source, shown=key))
        if value:  # an empty variable means "not set", as in most shells' idiom
            found[name] = value
    return found
