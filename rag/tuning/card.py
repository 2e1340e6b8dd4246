"""What an artefact says of itself: `card.json` for programs, `README.md` for people. Both are written by the tool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, get_args

from rag.tuning.errors import ArtefactRefused

CARD = "card.json"
README = "README.md"
FORMAT = 1

Kind = Literal["encoder", "reranker", "adapter"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Interval = tuple[float, float]

_PACKAGES = (
    "librarian-rag",
    "torch",
    "transformers",
    "sentence-transformers",
    "accelerate",
    "datasets",
    "peft",
    "trl",
    "safetensors",
)


@dataclass(frozen=True, slots=True)
class Base:
    """What was tuned: its name (packaged, folder or hub name) and the hash of its files."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Data:
    """What it was trained on. `sha256` is of the training pairs alone, `held_out` counts those kept apart.

    `split` says how the two were parted, `licence` under which terms the texts stand, as far as they were named.
    """

    name: str
    sha256: str
    pairs: int
    held_out: int
    split: str
    seed: int
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric on one data set, before (the base, or what was in service) and after, with 95% intervals.

    `p`: of the paired test between the two, where there was one.
    """

    data: str
    metric: str
    count: int
    after: float
    after_interval: Interval | None = None
    before: float | None = None
    before_interval: Interval | None = None
    p: float | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file of the artefact as it was when it was made."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that is known of an artefact. `files` goes by path below its folder; the registry fills it in.

    `settings` are those of the training, `facts` whatever else belongs to it (steps, seconds, the device). `created`
    is in ISO 8601, UTC.
    """

    name: str
    kind: Kind
    base: Base
    data: Data
    created: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[Measured, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    licence: str = "not stated"
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)

    def to_json(self) -> str:
        """The text of `card.json`."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, what: str) -> Card:
        """A card from its text; `what` names it in messages. Raises ArtefactRefused."""
        try:
            found = json.loads(text)
            if found.pop("format") != FORMAT or found["kind"] not in KINDS:
                raise ValueError("it is of another format or kind")
            return cls(
                **{
                    **found,
                    "base": Base(**found["base"]),
                    "data": Data(**found["data"]),
                    "metrics": tuple(_measured(each) for each in found["metrics"]),
                    "files": {name: File(**each) for name, each in found["files"].items()},
                }
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ArtefactRefused(f"{what} is no card of an artefact: {type(error).__name__} {error}.") from None


def versions() -> dict[str, str]:
    """The libraries that a training's result depends on, as they are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _measured(found: Mapping[str, Any]) -> Measured:
    given = dict(found)
    for name in ("before_interval", "after_interval"):
        if given.get(name) is not None:
            low, high = given[name]
            given[name] = (float(low), float(high))
    return Measured(**given)
