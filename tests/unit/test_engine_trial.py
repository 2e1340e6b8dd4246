"""The local engine serves a candidate beside what is in service, on its own port, and is stopped whatever happens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rag.errors import EngineError
from rag.settings import Settings
from rag.tuning.adapter.folder import AdapterFolder, open_adapter
from serve.engine import trial
from serve.engine.merging import merged_folder
from serve.engine.trial import tried_beside
from tests.unit.test_adapter_folder import make_adapter


class Started:
    """Stands for the engine: notes what it was to serve, and whether it was stopped."""

    def __init__(self, settings: Settings, beside: Sequence[AdapterFolder], log: str) -> None:
        self.log = log
        self.port, self.beside = settings.engine_port, [each.path.name for each in beside]
        self.adapter = Path(settings.engine_adapter).name
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.calls: list[str] = []
        base, own = Path(settings.engine_model), Path(settings.engine_adapter)
        self.joined = merged_folder(settings, base, open_adapter(own))

    def start(self, _progress: Any) -> None:
        self.calls.append("start")

    def stop(self, _grace_s: float) -> None:
        self.calls.append("stop")


def builder(made: list[Started]) -> Callable[..., Any]:
    """Stands for build_engine: what it makes is put into `made`."""

    def build(own: Settings, _echo: Any, beside: Sequence[AdapterFolder], log: str) -> Any:
        made.append(Started(own, beside, log))
        return made[-1]

    return build


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    return Settings(engine_model=str(base), engine_adapter=str(make_adapter(tmp_path / "now")), data_dir=tmp_path)


def test_both_are_asked_of_one_engine_that_is_stopped_at_the_end(settings: Settings, tmp_path: Path) -> None:
    made: list[Started] = []
    candidate = make_adapter(tmp_path / "new")
    with (
        suppress(ZeroDivisionError),
        tried_beside(settings, candidate, lambda _: None, builder(made)) as (now, then),
    ):
        assert (now.llm_model, then.llm_model) == ("now", "new")
        assert now.llm_url == then.llm_url == made[0].url
        assert made[0].calls == ["start"]
        raise ZeroDivisionError
    assert made[0].calls == ["start", "stop"]
    assert made[0].beside == ["new"]
    assert made[0].port != settings.engine_port


def test_where_adapters_are_joined_each_has_an_engine_of_its_own_and_both_are_stopped(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Started] = []

    (tmp_path / "base" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "base" / "tokenizer.json").touch()
    monkeypatch.setattr(trial, "engine_device", lambda _python: "cpu")
    candidate, old = (make_adapter(tmp_path / name, lora_alpha=8) for name in ("new", "old"))
    changes = {"engine_python": Path(sys.executable), "engine_adapter": str(old)}
    asked = settings.model_copy(update=changes)
    with suppress(ZeroDivisionError), tried_beside(asked, candidate, lambda _: None, builder(made)) as (now, then):
        assert [(each.adapter, each.beside) for each in made] == [("old", []), ("new", [])]
        assert [(each.llm_url, each.llm_model) for each in (now, then)] == [
            (made[0].url, "old"),
            (made[1].url, "new"),
        ]
        made[1].joined.mkdir(parents=True)
        assert len({asked.engine_port, *(each.port for each in made)}) == 3
        raise ZeroDivisionError
    assert [each.calls for each in made] == [["start", "stop"]] * 2
    assert [each.log for each in made] == ["trial-in-service", "trial-candidate"]
    assert not made[1].joined.exists(), "what was made for the trial alone is not kept"


def test_two_that_the_memory_does_not_hold_share_an_engine(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "base" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "base" / "tokenizer.json").touch()
    monkeypatch.setattr(trial, "engine_device", lambda _python: "cpu")
    monkeypatch.setattr(trial, "memory_bytes", lambda: 40)
    candidate, old = (make_adapter(tmp_path / name, lora_alpha=8) for name in ("new", "old"))
    asked = settings.model_copy(update={"engine_python": Path(sys.executable), "engine_adapter": str(old)})
    made: list[Started] = []

    with tried_beside(asked, candidate, lambda _: None, builder(made)):
        assert [each.beside for each in made] == [["new"]]


def test_a_candidate_that_could_not_be_served_as_it_is_wanted_is_not_tried(settings: Settings, tmp_path: Path) -> None:
    asked = settings.model_copy(update={"engine_python": Path(sys.executable), "engine_merge": "always"})

    def build(*_: Any) -> Any:
        raise AssertionError("no engine is started for it")

    with (
        pytest.raises(EngineError, match="LIBRARIAN_ENGINE_MERGE is 'always'"),
        tried_beside(asked, make_adapter(tmp_path / "new", use_dora=True), lambda _: None, build),
    ):
        pass
