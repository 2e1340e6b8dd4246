"""The answers as they come, one a line: an evaluation that was interrupted goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import BadInput
from rag.schema import Answer, Citation


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that the model was given: `document` as the judgements name it, `text` with title and headings."""

    document: str
    text: str


@dataclass(frozen=True, slots=True)
class Given:
    """What one question came to. `abstained`: the service did not ask the model. `failed`: why there is no answer.

    Times in milliseconds.
    """

    id: str
    text: str
    abstained: bool
    citations: tuple[Citation, ...] = ()
    sources: tuple[Source, ...] = ()
    relevance: float | None = None
    finish_reason: str = "stop"
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    failed: str | None = None


def given(identity: str, answer: Answer, names: Mapping[str, str]) -> Given:
    """An answer as it is kept; `names` holds the documents' names by URI."""
    sources = tuple(
        Source(
            names.get(each.uri, each.uri),
            "\n".join(dict.fromkeys(part for part in (each.title, *each.heading_path, each.text) if part)),
        )
        for each in answer.sources
    )
    return Given(
        id=identity,
        text=answer.text,
        abstained=answer.finish_reason == "abstained",
        citations=answer.citations,
        sources=sources,
        relevance=answer.relevance,
        finish_reason=answer.finish_reason,
        timings_ms={name: round(value, 3) for name, value in answer.timings_ms.items()},
    )


class Journal:
    """A file of answers. Its first line says of what: answers to other questions, or of other settings, are refused."""

    def __init__(self, path: Path, of: Mapping[str, Any]) -> None:
        """Open or make it. Raises BadInput where it is another evaluation's, or cannot be read."""
        self.path = path
        self.answers: dict[str, Given] = {}
        plain = json.loads(json.dumps({"of": of}, default=str))
        lines = self._lines()
        if lines and lines[0] != plain:
            raise BadInput(
                f"{path} holds answers to other questions or of other settings; name another folder (--out), or delete "
                "it."
            )
        for number, line in enumerate(lines[1:], 2):
            self._take(line, number)
        if not lines:
            self._write("w", plain)

    def add(self, one: Given) -> None:
        """Keep an answer, at once."""
        self.answers[one.id] = one
        self._write("a", asdict(one))

    def _lines(self) -> list[Any]:
        """The whole lines; a last one that a killed run did not finish is cut off."""
        try:
            raw = self.path.read_bytes() if self.path.exists() else b""
            whole = raw[: raw.rfind(b"\n") + 1]
            if len(whole) < len(raw):
                self.path.write_bytes(whole)
            return [json.loads(line) for line in whole.splitlines()]
        except (OSError, ValueError, RecursionError) as error:
            raise BadInput(f"{self.path} cannot be read as answers: {error}; delete it to begin anew.") from None

    def _take(self, line: Any, number: int) -> None:
        try:
            one = Given(
                **{
                    **line,
                    "citations": tuple(Citation(**each) for each in line["citations"]),
                    "sources": tuple(Source(**each) for each in line["sources"]),
                }
            )
        except (TypeError, KeyError) as error:
            raise BadInput(f"{self.path} line {number} is no answer ({error}); delete it to begin anew.") from None
        self.answers[one.id] = one

    def _write(self, mode: str, value: Any) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open(mode, encoding="utf-8") as file:
                file.write(json.dumps(value, ensure_ascii=False) + "\n")
        except OSError as error:
            raise BadInput(f"{self.path} cannot be written: {error.strerror or error} (--out FOLDER).") from None
