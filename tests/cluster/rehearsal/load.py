"""Callers that search and ask all the time, and remember what they were told."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

QUESTION = "In which file does the engine write its log?"


@dataclass(frozen=True)
class Reply:
    """What one request got: its status (0: no reply at all), headers, body, and whether a stream came to its end."""

    route: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def well(self) -> bool:
        whole = "data: [DONE]" in self.body and '"error"' not in self.body if self.route == "chat" else True
        return self.status == 200 and whole


class Caller:
    """Asks the service at `url` with a key."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def search(self) -> Reply:
        return self._post("search", "/v1/search", {"query": QUESTION})

    def chat(self) -> Reply:
        body = {
            "model": "librarian",
            "messages": [{"role": "user", "content": QUESTION}],
            "stream": True,
            "max_tokens": 24,
        }
        return self._post("chat", "/v1/chat/completions", body)

    def _post(self, route: str, path: str, body: dict[str, Any]) -> Reply:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json", "Connection": "close"}
        request = urllib.request.Request(self._url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return Reply(route, response.status, dict(response.headers), response.read().decode())
        except urllib.error.HTTPError as error:
            return Reply(route, error.code, dict(error.headers), error.read().decode())
        except (OSError, urllib.error.URLError) as error:
            return Reply(route, 0, {}, repr(error))


class Load:
    """Some callers at work from `with` to its end; `replies` is what they were told."""

    def __init__(self, caller: Caller, chats: int = 2, searches: int = 2) -> None:
        self.replies: list[Reply] = []
        self._stop = threading.Event()
        calls = [caller.chat] * chats + [caller.search] * searches
        self._threads = [threading.Thread(target=self._go_on, args=(call,), daemon=True) for call in calls]

    def __enter__(self) -> Load:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join(150)

    def _go_on(self, call: Any) -> None:
        while not self._stop.is_set():
            self.replies.append(call())
            self._stop.wait(0.1)
