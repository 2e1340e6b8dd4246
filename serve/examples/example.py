"""What an example is, and what several are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
CHUNK = "5f0cb0a3-6c8f-5a43-9a0c-7f2f11d1de00"
ANSWER = "chatcmpl-6f1c0d8e5b0a4c3e9a7d2b1f4e8c9d0a"
QUESTION = "What does a readiness probe do?"
TEXT = "A readiness probe keeps traffic away from a pod that is not ready to answer."
AT = 1764000000


@dataclass(frozen=True, slots=True)
class Example:
    """What an operation answers, by media type, and requests that it takes, by media type and by what they show."""

    answers: Mapping[str, Any]
    requests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
