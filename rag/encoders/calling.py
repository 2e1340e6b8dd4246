"""One POST to `/embeddings`: tried again where waiting helps, and its answer checked number by number."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import numpy as np

from rag.encoders.interface import Vectors
from rag.errors import EncoderError, SettingsError
from rag.settings import Settings
from rag.urls import is_loopback, without_password

_CONNECT_SECONDS = 10.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_WORTH_WAITING = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit vectors in the texts' order, shape (texts, dimension), and the tokens that the server counted, if it did."""

    vectors: Vectors
    tokens: int | None


class Caller:
    """Speaks to one server. Thread-safe; every failure is an EncoderError that names the server and the reason."""

    def __init__(self, settings: Settings) -> None:
        if not settings.encoder_url:
            raise SettingsError("LIBRARIAN_ENCODER_URL is not set: name the encoder's server.")
        self.url = settings.encoder_url
        self.shown = without_password(self.url)
        self._model = settings.encoder_model
        self._asking = threading.Lock()
        key = settings.encoder_api_key.get_secret_value() if settings.encoder_api_key else None
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(settings.encoder_timeout, connect=min(settings.encoder_timeout, _CONNECT_SECONDS)),
            trust_env=not is_loopback(self.url),
        )

    @property
    def model(self) -> str:
        """The model's name: the setting, else the first that the server lists."""
        with self._asking:
            if self._model is None:
                self._model = self._first_model()
            return self._model

    def embed(self, texts: Sequence[str], patience: float, gone: threading.Event | None = None) -> Embedded:
        """The texts' vectors. `patience`: seconds to try again for; `gone`: nobody waits for them any more."""
        body = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        answer = self._ask("POST", "/embeddings", body, patience, gone)
        usage = answer.get("usage")
        tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        return Embedded(self._checked(answer, len(texts)), tokens if isinstance(tokens, int) else None)

    def _first_model(self) -> str:
        listed = self._ask("GET", "/models", None, _CONNECT_SECONDS).get("data")
        names = [each.get("id") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        if not names or not isinstance(names[0], str):
            raise EncoderError(f"the server at {self.shown} lists no model; set LIBRARIAN_ENCODER_MODEL.")
        return names[0]

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        patience: float,
        gone: threading.Event | None = None,
    ) -> dict[str, Any]:
        deadline = time.monotonic() + patience
        wait = _FIRST_WAIT
        while True:
            asked_to_wait: float | None = None
            try:
                response = self._http.request(method, self.url + path, json=body)
            except (httpx2.TransportError, httpx2.InvalidURL) as error:
                reason = str(error).strip() or type(error).__name__
                hopeless = isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol)
            else:
                if response.is_success:
                    return self._json(response)
                reason = f"HTTP {response.status_code}{_said(response)}"
                hopeless = response.status_code not in _WORTH_WAITING
                asked_to_wait = _retry_after(response)
            pause = asked_to_wait if asked_to_wait is not None else wait * random.uniform(0.5, 1)  # noqa: S311
            if hopeless or time.monotonic() + pause > deadline or (gone or threading.Event()).wait(pause):
                raise EncoderError(
                    f"the encoder at {self.shown} gave no vectors: {reason}. Check LIBRARIAN_ENCODER_URL, "
                    "LIBRARIAN_ENCODER_MODEL and LIBRARIAN_ENCODER_API_KEY, and the server's log."
                )
            wait = min(2 * wait, _LONGEST_WAIT)

    def _json(self, response: httpx2.Response) -> dict[str, Any]:
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._wrong("it is no JSON object")
        return found

    def _checked(self, answer: dict[str, Any], count: int) -> Vectors:
        """The answer's vectors, in the order of their `index`, of unit length."""
        data = answer.get("data")
        if not isinstance(data, list) or len(data) != count:
            raise self._wrong(f"{len(data) if isinstance(data, list) else 'no'} vectors for {count} texts")
        places = [each["index"] for each in data if isinstance(each, dict) and type(each.get("index")) is int]
        if sorted(places) != list(range(count)):
            raise self._wrong(f"the vectors are not numbered 0 to {count - 1}, once each")
        rows = [each.get("embedding") for each in data]
        if not all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows):
            raise self._wrong("its vectors are empty or of different lengths")
        try:
            vectors = np.array(rows, dtype=np.float64)
        except (ValueError, TypeError):
            raise self._wrong("its vectors hold something else than numbers") from None
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        if vectors.ndim != 2 or not np.isfinite(lengths).all() or not (lengths > 0).all():
            raise self._wrong("its vectors are not finite, or zero")
        ordered = np.empty(vectors.shape, np.float32)
        ordered[places] = vectors / lengths
        return ordered

    def _wrong(self, what: str) -> EncoderError:
        return EncoderError(
            f"the encoder at {self.shown} gave an answer that cannot be used: {what}. Check that LIBRARIAN_ENCODER_URL "
            "is an OpenAI-compatible embeddings server."
        )


def _said(response: httpx2.Response) -> str:
    """What the server says went wrong, on one line, as `: …`; empty where it says nothing."""
    try:
        body = response.json()
        error = body.get("error", body) if isinstance(body, dict) else None
        text = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    except ValueError:
        text = None
    return f": {' '.join(text.split())[:200]}" if isinstance(text, str) and text.strip() else ""


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds that `Retry-After` asks to wait, given as seconds or as a date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value[:6])
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
