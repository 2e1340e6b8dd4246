"""What a command may hand over to a running server: how much, to which encoder, and how it is stopped."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from ingest.handover import check_size
from ingest.service import _same
from ingest.work import HandedWork, handed_work
from rag.collections import fingerprint
from rag.encoders import Bm25Encoder
from rag.errors import BadInput, Cancelled, IndexLocked
from rag.feeding import HOLDER_HEADER, Handed
from rag.index import open_alone
from rag.index.embedded import EmbeddedIndex
from rag.settings import Settings
from tests.ingest_kit import HashEncoder
from tests.integration.api_feeding import feeding

TOKEN = "known-to-the-user-who-holds-the-index"


def work(folder: Path, action: Any) -> HandedWork:
    handed = Handed(action, (str(folder),), "documents", "default", {})
    return handed_work(Settings(data_dir=folder), handed)


@pytest.mark.parametrize("action", ["plan", "check", "run"])
def test_whatever_was_asked_for_can_be_stopped(tmp_path: Path, action: str) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(50):
        (docs / f"{number}.md").write_text("words")
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 10

    index = EmbeddedIndex(tmp_path / "index")
    with pytest.raises(Cancelled):
        work(docs, action).run(index, HashEncoder(), Bm25Encoder(), lambda _: None, cancelled)
    assert len(asked) < 20
    index.close()


def handed(api: Any, **values: Any) -> httpx2.Response:
    api.server.app.state.holder_token = TOKEN
    known = fingerprint(HashEncoder(), Bm25Encoder())
    body = {"sources": ["absent"], "collection": "c", "tenant": "default", "fingerprint": known, **values}
    found: httpx2.Response = api.http.post("/v1/jobs", json=body, headers={HOLDER_HEADER: TOKEN})
    return found


def test_many_sources_and_a_long_list_to_try_again_are_taken(tmp_path: Path) -> None:
    with feeding(tmp_path) as api:
        sources = [str(tmp_path / f"{each}.md") for each in range(5000)]
        answer = handed(api, sources=sources, only=[f"file:///{'x' * 200}/{each}" for each in range(10_000)])
        assert answer.status_code == 202, answer.text
        assert answer.json()["send_again"][-1] == "… and 4900 more"


def test_nobody_else_can_make_the_server_read_so_much(tmp_path: Path) -> None:
    with feeding(tmp_path) as api:
        answer = api.http.post("/v1/jobs", content=b"[" * 5_000_000, headers={"Content-Type": "application/json"})
        assert answer.status_code == 403


def test_what_is_still_too_much_is_said_before_it_is_sent() -> None:
    with pytest.raises(BadInput, match="name a folder with --include"):
        check_size({"sources": ["a"] * 100_001})


def test_an_encoder_behind_a_url_is_the_same_though_its_numbers_differ_a_little() -> None:
    vectors = np.random.default_rng(0).standard_normal((4, 8)).astype("<f2")

    def known(noise: float) -> dict[str, Any]:
        probes = base64.b64encode((vectors + np.float16(noise)).tobytes()).decode()
        return {
            "format": 2,
            "dense": {"name": "m", "dimension": 8, "probes": probes},
            "sparse": {"language": "english"},
        }

    assert _same(known(0), known(0.004))
    assert not _same(known(0), known(3))
    assert not _same({**known(0), "sparse": {"language": "german"}}, known(0))
    assert not _same({}, known(0))


def test_a_command_that_needs_the_index_alone_names_the_server_that_holds_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    held = EmbeddedIndex(settings.index_dir)
    held.announce("http://127.0.0.1:8321")
    with pytest.raises(IndexLocked, match=r"which serves http://127.0.0.1:8321: .* Stop that server, run this") as said:
        open_alone(settings)
    assert "\n" not in str(said.value)
    held.close()
    open_alone(settings).close()
