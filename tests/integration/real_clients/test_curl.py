"""curl, as people type it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fake_model import wait_until
from tests.integration.real_clients.conftest import KEY, QUESTION, TEXT, Service

BODY = json.dumps({"model": "librarian", "messages": [{"role": "user", "content": QUESTION}]})
JSON = ("-H", "content-type: application/json")
BEARER = ("-H", f"authorization: Bearer {KEY}")

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--max-time", "60", *arguments], capture_output=True, text=True, check=False
    )


def test_an_answer(service: Service) -> None:
    done = curl(f"{service.v1}/chat/completions", *BEARER, *JSON, "-d", BODY)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == TEXT


def test_a_stream(service: Service) -> None:
    body = json.dumps({**json.loads(BODY), "stream": True})
    done = curl("-N", f"{service.v1}/chat/completions", *BEARER, *JSON, "-d", body)
    events = [line.removeprefix("data: ") for line in done.stdout.splitlines() if line]
    assert events[-1] == "[DONE]"
    assert "".join(json.loads(each)["choices"][0]["delta"].get("content", "") for each in events[:-1]) == TEXT


def test_a_file_is_uploaded_and_found(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "drain.md"
    file.write_text("# Draining\n\nA drained node takes no new pods.")
    sent = curl(f"{service.v1}/documents", *BEARER, "-F", f"files=@{file}", "-F", "collection=curled")
    job = json.loads(sent.stdout)["id"]
    assert wait_until(lambda: json.loads(curl(f"{service.v1}/jobs/{job}", *BEARER).stdout)["state"] == "done", 60)
    query = json.dumps({"query": "drained node", "collection": "curled"})
    found = json.loads(curl(f"{service.v1}/search", *BEARER, *JSON, "-d", query).stdout)
    assert [each["source"] for each in found["data"]] == ["drain.md"]


def test_a_missing_key_fails_with_the_reason(service: Service) -> None:
    done = curl("--fail-with-body", f"{service.v1}/chat/completions", *JSON, "-d", BODY)
    assert done.returncode == 22  # as for every HTTP error
    assert json.loads(done.stdout)["error"]["code"] == "invalid_api_key"
