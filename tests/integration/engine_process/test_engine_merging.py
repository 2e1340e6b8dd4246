"""An adapter joined into its model's weights: what vLLM is then told to serve, and what lies on the disk."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rag.errors import EngineError
from rag.settings import Settings
from rag.tuning.adapter.folder import CONFIG, WEIGHTS, AdapterFolder, open_adapter
from serve.engine.merging import is_to_be_merged, merged_model
from serve.engine.process import Engine
from serve.engine.run import build_engine

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="NO TORCH: install the tune extra")

LAYER = "model.layers.0.self_attn.v_proj"
SHAPE = (8, 16)
RANK = 2


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    ramp = np.arange(128, dtype=np.float32).reshape(SHAPE)
    save_file({f"{LAYER}.weight": ramp, "lm_head.weight": ramp}, folder / "model.safetensors")
    return folder


def lora(folder: Path, layer: str = LAYER, up: float = 0.5, **config: object) -> AdapterFolder:
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": 6, **config}))
    names = [f"base_model.model.{layer}.lora_{each}.weight" for each in "AB"]
    pair = np.ones((RANK, SHAPE[1]), np.float32), np.full((SHAPE[0], RANK), up, np.float32)
    save_file(dict(zip(names, pair, strict=True)), folder / WEIGHTS)
    return open_adapter(folder)


@pytest.fixture
def settings(tmp_path: Path, base: Path) -> Settings:
    python = Path(sys.executable)
    return Settings(data_dir=tmp_path / "data", engine_python=python, engine_model=str(base), engine_adapter="none")


def folders(settings: Settings) -> list[str]:
    return sorted(each.name for each in settings.models_dir.iterdir() if each.is_dir())


def test_it_is_made_once_and_anew_where_the_adapter_has_changed(settings: Settings, base: Path, tmp_path: Path) -> None:
    said: list[str] = []
    made = merged_model(settings, base, lora(tmp_path / "brief"), said.append)
    before, after = load_file(base / "model.safetensors"), load_file(made / "model.safetensors")
    # 6 / 2 of alpha and rank, times the product of two rows of ones and halves.
    np.testing.assert_allclose(after[f"{LAYER}.weight"], before[f"{LAYER}.weight"] + 3.0)
    np.testing.assert_array_equal(after["lm_head.weight"], before["lm_head.weight"])
    assert (made / "tokenizer.json").read_text() == "{}"

    assert merged_model(settings, base, lora(tmp_path / "brief"), said.append) == made
    assert said == ["joining the adapter brief into base (once, some seconds)"]

    other = merged_model(settings, base, lora(tmp_path / "brief", up=1.0), said.append)
    assert folders(settings) == [other.name], "the older one is not kept"


def test_one_that_changes_what_the_model_has_not_is_refused_and_leaves_nothing(
    settings: Settings, base: Path, tmp_path: Path
) -> None:
    deeper = lora(tmp_path / "deeper", layer="model.layers.7.self_attn.v_proj")
    with pytest.raises(EngineError) as caught:
        merged_model(settings, base, deeper, lambda _line: None)
    assert "joining the adapter deeper into base ended with exit status 1" in str(caught.value)
    assert "changes model.layers.7.self_attn.v_proj" in str(caught.value)
    assert folders(settings) == []


def test_nothing_is_added_to_weights_that_are_not_numbers_to_compute_with(
    settings: Settings, base: Path, tmp_path: Path
) -> None:
    """Of int8 weights the scale lies elsewhere: a sum would be served, and be nonsense."""
    save_file({f"{LAYER}.weight": np.ones(SHAPE, np.int8)}, base / "model.safetensors")
    with pytest.raises(EngineError, match=r"is kept as torch\.int8"):
        merged_model(settings, base, lora(tmp_path / "brief"), lambda _line: None)
    (base / "config.json").write_text('{"quantization_config": {}}')
    assert not is_to_be_merged(settings, base, lora(tmp_path / "brief"), "cpu")


def test_a_changed_chat_template_is_served_with_the_adapter_too(settings: Settings, base: Path, tmp_path: Path) -> None:
    brief = lora(tmp_path / "brief")
    before = merged_model(settings, base, brief, lambda _line: None)
    (base / "chat_template.jinja").write_text("{{ messages }}")
    after = merged_model(settings, base, brief, lambda _line: None)
    assert (after / "chat_template.jinja").read_text() == "{{ messages }}"
    assert folders(settings) == [after.name] != [before.name]


def test_the_bare_model_is_served_where_it_is_asked_for_by_its_name(settings: Settings, tmp_path: Path) -> None:
    lora(tmp_path / "brief")
    asked = settings.model_copy(update={"engine_adapter": str(tmp_path / "brief"), "llm_model": "base"})
    command = build_engine(asked)._command
    assert command[command.index("--served-model-name") + 1] == "base"
    assert "--enable-lora" in command


@pytest.mark.parametrize(
    ("merge", "device", "joined"),
    [("auto", "cpu", True), ("auto", "gpu", False), ("always", "gpu", True), ("never", "cpu", False)],
)
def test_by_itself_it_is_joined_on_a_cpu(
    settings: Settings, base: Path, tmp_path: Path, merge: str, device: str, joined: bool
) -> None:
    asked = settings.model_copy(update={"engine_merge": merge})
    assert is_to_be_merged(asked, base, lora(tmp_path / "brief"), device) is joined  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "config", [{"use_dora": True}, {"bias": "all"}, {"rank_pattern": {"v_proj": 4}}, {"modules_to_save": ["lm_head"]}]
)
def test_one_that_adding_cannot_join_is_served_apart(
    settings: Settings, base: Path, tmp_path: Path, config: dict[str, object]
) -> None:
    adapter = lora(tmp_path / "special", **config)
    assert not is_to_be_merged(settings, base, adapter, "cpu")
    with pytest.raises(EngineError, match="LIBRARIAN_ENGINE_MERGE is 'always'"):
        is_to_be_merged(settings.model_copy(update={"engine_merge": "always"}), base, adapter, "cpu")


def test_the_engine_serves_it_alone_under_the_adapters_name_but_apart_beside_a_candidate(
    settings: Settings, tmp_path: Path
) -> None:
    def command(engine: Engine) -> list[str]:
        return engine._command

    lora(tmp_path / "brief")
    asked = settings.model_copy(update={"engine_adapter": str(tmp_path / "brief"), "engine_merge": "always"})
    said: list[str] = []
    alone = command(build_engine(asked, said.append))
    assert alone[alone.index("--served-model-name") + 1] == "brief"
    assert Path(alone[alone.index("--model") + 1]).parent == asked.models_dir.absolute()
    assert "--enable-lora" not in alone
    assert "base and the adapter brief in its weights" in said[-1]

    beside = command(build_engine(asked, said.append, [lora(tmp_path / "candidate")]))
    assert beside[beside.index("--served-model-name") + 1] == "base"
    assert [each.split("=")[0] for each in beside[beside.index("--lora-modules") + 1 :]] == ["brief", "candidate"]


def test_where_it_cannot_be_joined_it_is_served_apart_unless_that_was_asked_for(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.engine.run.engine_device", lambda _python: "cpu")
    lora(tmp_path / "deeper", layer="model.layers.7.self_attn.v_proj")
    asked = settings.model_copy(update={"engine_adapter": str(tmp_path / "deeper")})
    said: list[str] = []
    command = build_engine(asked, said.append)._command
    assert command[command.index("--lora-modules") + 1].startswith("deeper=")
    assert [each for each in said if "so the adapter is served beside its model" in each]
    with pytest.raises(EngineError, match="joining the adapter deeper"):
        build_engine(asked.model_copy(update={"engine_merge": "always"}), said.append)
