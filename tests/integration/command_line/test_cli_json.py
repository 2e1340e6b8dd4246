"""The JSON that commands print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rag.settings import Settings
from tests.fake_model import FakeModel
from tests.integration.command_line.running import CLOSED, Ran, parsed, run


class TestJson:
    def test_ingest(self, main: Callable[..., Ran], docs: Path) -> None:
        report = parsed(main("ingest", "docs", "--json"))
        assert (report["added"], report["collection"], report["failed"]) == (2, "documents", [])
        (docs / "bad.md").write_bytes(b"\0")
        ran = main("ingest", "docs", "--json")
        report = parsed(ran, code=3)
        assert [each["path"] for each in report["failed"]] == ["bad.md"]
        assert ran.err == ""

    def test_search(self, library: Callable[..., Ran]) -> None:
        ran = library("search", "readiness probe", "--json", "-k", "1")
        found = parsed(ran)
        assert [each["source"] for each in found["data"]] == ["probes.md"]
        assert ran.err == ""

    def test_ask(self, library: Callable[..., Ran], fake_model: FakeModel) -> None:
        fake_model.pieces = ("A readiness probe tells ", "when a Pod may get traffic [1].")
        ran = library("ask", "What does a readiness probe do?", "--json", "--llm-url", fake_model.url)
        answer = parsed(ran)
        assert answer["answer"] == "A readiness probe tells when a Pod may get traffic [1]."
        assert answer["context"][0]["source"] == "probes.md"
        assert [each["number"] for each in answer["citations"]] == [1]
        assert answer["abstained"] is False
        assert ran.err == ""

    def test_config(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "config", "--json", "--set", "groups=a,b", LIBRARIAN_TOP_K="9")
        rows = {row["name"]: row for row in parsed(ran)}
        assert set(rows) == set(Settings.model_fields)
        assert (rows["top_k"]["value"], rows["top_k"]["source"]) == (9, "environment")
        assert (rows["groups"]["value"], rows["groups"]["source"]) == (["a", "b"], "--set")
        assert rows["port"]["source"] == "default"
        assert all(row["meaning"] for row in rows.values())
        assert ran.err == ""

    def test_doctor(self, library: Callable[..., Ran], fake_model: FakeModel) -> None:
        ran = library("doctor", "--json", "--llm-url", fake_model.url)
        findings = {each["what"]: each for each in parsed(ran)}
        assert findings["index"]["state"] == findings["encoder"]["state"] == findings["chat model"]["state"] == "ok"
        assert ran.err == ""

    def test_doctor_fails_where_a_model_that_was_named_is_missing(self, library: Callable[..., Ran]) -> None:
        ran = library("doctor", "--json", "--llm-url", CLOSED)
        states = {each["what"]: each["state"] for each in parsed(ran, code=1)}
        assert states["chat model"] == "FAIL"
        assert states["index"] == "ok"
