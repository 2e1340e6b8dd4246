"""How much one caller may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """Requests and tokens in a minute, and requests at work at once. 0: no limit; None: what the settings say."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None

    def over(self, below: CallerLimits) -> CallerLimits:
        """These limits, and those of `below` where these say nothing."""
        mine = {each.name: getattr(self, each.name) for each in fields(self)}
        return CallerLimits(**{name: getattr(below, name) if value is None else value for name, value in mine.items()})


UNSAID = CallerLimits()


def limits_of(data: Mapping[str, Any]) -> CallerLimits:
    """The limits of a record, which may be of a version that knew none of them, or more."""
    return CallerLimits(**{each.name: data[each.name] for each in fields(CallerLimits) if each.name in data})
