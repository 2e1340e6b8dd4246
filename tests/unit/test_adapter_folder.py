"""An adapter's folder is served only where it is whole, safe to read and made for the model."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from rag.errors import EngineError
from rag.settings import Settings
from rag.tuning.adapter.folder import CONFIG, WEIGHTS, open_adapter
from rag.tuning.artefacts import seal
from rag.tuning.card import Base, Card, Data
from rag.tuning.errors import ArtefactRefused
from serve.engine import adapter as engine
from serve.engine.adapter import adapter_options, engine_adapter
from serve.engine.command import vllm_command

RANK = 4
PREFIX = "base_model.model.model.layers.1"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    (folder / "config.json").write_text(json.dumps(sizes | heads))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_adapter(tmp_path / "grounded")


def make_adapter(
    folder: Path, rank: int = RANK, hidden: int = 32, kind: str = "LORA", fill: float = 1.0, **config: object
) -> Path:
    folder.mkdir()
    (folder / CONFIG).write_text(json.dumps({"peft_type": kind, "r": rank, **config}))
    down, up = np.full((rank, hidden), fill, np.float32), np.zeros((16, rank), np.float32)
    names = (f"{PREFIX}.self_attn.v_proj.lora_A.weight", f"{PREFIX}.self_attn.v_proj.lora_B.weight")
    save_file(dict(zip(names, (down, up), strict=True)), folder / WEIGHTS)
    return folder


def refusal(folder: Path, base: Path | None = None) -> str:
    with pytest.raises(ArtefactRefused) as caught:
        open_adapter(folder, base)
    assert f"'{folder.name}'" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_adapter_of_the_model_is_taken(folder: Path, base: Path) -> None:
    assert open_adapter(folder, base).rank == RANK


def test_a_pickled_adapter_is_refused_and_not_read(folder: Path) -> None:
    (folder / "adapter_model.bin").write_bytes(pickle.dumps({}))
    assert "adapter_model.bin, which is pickled" in refusal(folder)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in refusal(folder)


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_file_cut_short_is_refused(folder: Path, kept: int) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:kept])
    assert WEIGHTS in refusal(folder)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    assert "holds numbers that are none" in refusal(make_adapter(tmp_path / "broken", fill=float("nan")))


def test_what_is_no_lora_is_refused(tmp_path: Path) -> None:
    assert "is no LoRA but PREFIX_TUNING" in refusal(make_adapter(tmp_path / "prefix", kind="PREFIX_TUNING"))


def test_an_adapter_of_a_model_of_other_sizes_is_refused(tmp_path: Path, base: Path) -> None:
    other = make_adapter(tmp_path / "other", hidden=64)
    assert "was made for another model" in refusal(other, base)
    assert open_adapter(other).rank == RANK  # nobody says for which model


def test_an_adapter_of_a_deeper_model_is_refused(folder: Path, base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    assert "base has 1 layers" in refusal(folder, base)


def test_an_adapter_with_a_card_must_be_what_the_card_says(folder: Path) -> None:
    data = Data("questions", "0" * 64, 10, 4, "by article", 0)
    seal(folder, Card("grounded", "adapter", Base("smollm2", "0" * 64), data, "2026-01-01T00:00:00Z", 0))
    assert open_adapter(folder).rank == RANK
    raw = bytearray((folder / WEIGHTS).read_bytes())
    raw[-1] ^= 1
    (folder / WEIGHTS).write_bytes(raw)
    assert f"{WEIGHTS} is not what it was when it was made" in refusal(folder)


class TestEngine:
    def test_an_adapter_is_served_beside_the_model_under_its_folders_name(self, folder: Path, base: Path) -> None:
        command = vllm_command(Path("python"), base, Settings(), "cpu", [open_adapter(folder, base)])
        assert command[command.index("--lora-modules") + 1] == f"grounded={folder}"
        assert command[command.index("--max-lora-rank") + 1] == "8"
        assert "--enable-lora" in command

    def test_without_an_adapter_the_engine_makes_no_room_for_one(self, base: Path) -> None:
        assert "--enable-lora" not in vllm_command(Path("python"), base, Settings(), "cpu")

    @pytest.mark.parametrize(("rank", "room"), [(1, "8"), (8, "8"), (9, "16"), (16, "16"), (512, "512")])
    def test_room_is_made_for_the_adapters_rank(self, tmp_path: Path, rank: int, room: str) -> None:
        adapter = open_adapter(make_adapter(tmp_path / "a", rank=rank))
        assert adapter_options([adapter])[2] == room

    def test_a_rank_that_no_engine_serves_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(EngineError, match="of rank 513"):
            adapter_options([open_adapter(make_adapter(tmp_path / "a", rank=513))])

    def test_the_packaged_adapter_is_for_the_packaged_model_alone(
        self, folder: Path, base: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "packaged_adapter", lambda: folder)
        found = engine_adapter(Settings(), base)
        assert found is not None
        assert found.path == folder
        assert engine_adapter(Settings(engine_model=str(base)), base) is None
        assert engine_adapter(Settings(engine_adapter="none"), base) is None

    def test_a_build_without_the_packaged_adapter_serves_the_model_alone(
        self, base: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "packaged_adapter", lambda: None)
        assert engine_adapter(Settings(), base) is None

    def test_a_folder_of_the_settings_is_served_with_any_model(self, folder: Path, base: Path) -> None:
        found = engine_adapter(Settings(engine_model=str(base), engine_adapter=str(folder)), base)
        assert found is not None
        assert found.path == folder

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path, base: Path) -> None:
        with pytest.raises(EngineError, match=r"LIBRARIAN_ENGINE_ADAPTER is .*absent"):
            engine_adapter(Settings(engine_adapter=str(tmp_path / "absent")), base)
