"""What the local engine computes in: float32 where the processor would only imitate bf16, if the memory is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.settings import Settings
from serve.engine import precision, room
from serve.engine.command import vllm_command
from serve.engine.precision import engine_dtype

SMOLLM2 = {"hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3, "num_hidden_layers": 30}
AVX2 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse2 avx avx2 f16c\n"
AMX = AVX2.replace("avx2", "avx2 avx512f avx512_bf16 amx_bf16")
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd sve bf16\n"
OLD_ARM = ARM.replace(" bf16", "")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"x" * 1000)
    (folder / "config.json").write_text(json.dumps(SMOLLM2))
    return folder


def info(folder: Path, text: str) -> Path:
    file = folder / "cpuinfo"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "dtype"), [(AVX2, "float32"), (AMX, "auto"), (ARM, "auto"), (OLD_ARM, "float32"), ("", "auto")]
)
def test_a_processor_without_bf16_is_not_made_to_imitate_it(tmp_path: Path, model: Path, text: str, dtype: str) -> None:
    assert engine_dtype(Settings(), model, "cpu", info(tmp_path, text)) == dtype


def test_where_the_system_does_not_tell_it_is_left_to_vllm(tmp_path: Path, model: Path) -> None:
    assert engine_dtype(Settings(), model, "cpu", tmp_path / "absent") == "auto"


def test_a_gpu_is_left_alone_and_the_setting_decides_anywhere(tmp_path: Path, model: Path) -> None:
    assert engine_dtype(Settings(), model, "gpu", info(tmp_path, AVX2)) == "auto"
    assert engine_dtype(Settings(engine_dtype="bfloat16"), model, "cpu", info(tmp_path, AVX2)) == "bfloat16"
    assert engine_dtype(Settings(engine_dtype="float16"), model, "gpu", info(tmp_path, AVX2)) == "float16"


def test_a_model_that_would_fill_the_memory_or_whose_size_is_not_known_keeps_its_own(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = info(tmp_path, AVX2)
    assert engine_dtype(Settings(), Path("org/model"), "cpu", cpu) == "auto"
    monkeypatch.setattr(precision, "memory_bytes", lambda: 7000)
    assert engine_dtype(Settings(), model, "cpu", cpu) == "auto"


@pytest.mark.parametrize(
    "config",
    [
        # SmolLM2-1.7B: a window of 4,096 tokens takes 1.5 GiB in float32, and 1 is set aside.
        {**SMOLLM2, "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 32, "num_hidden_layers": 24},
        {**SMOLLM2, "quantization_config": {"quant_method": "awq"}},
        {},
        [],
    ],
)
def test_a_model_whose_cache_would_not_fit_or_that_takes_half_precision_only_keeps_its_own(
    tmp_path: Path, model: Path, config: object
) -> None:
    (model / "config.json").write_text(json.dumps(config))
    assert engine_dtype(Settings(), model, "cpu", info(tmp_path, AVX2)) == "auto"


def test_more_room_for_the_cache_makes_it_float32_again(tmp_path: Path, model: Path) -> None:
    large = {**SMOLLM2, "num_hidden_layers": 200}
    (model / "config.json").write_text(json.dumps(large))
    cpu = info(tmp_path, AVX2)
    assert engine_dtype(Settings(), model, "cpu", cpu) == "auto"
    assert engine_dtype(Settings(engine_kv_gib=2), model, "cpu", cpu) == "float32"


@pytest.mark.parametrize(("said", "bytes_"), [("7000\n", 7000), ("max\n", None), (None, None)])
def test_a_containers_memory_is_its_own(tmp_path: Path, said: str | None, bytes_: int | None) -> None:
    limit = tmp_path / "memory.max"
    if said:
        limit.write_text(said)
    whole = room.memory_bytes(tmp_path / "absent")
    assert room.memory_bytes(limit) == (bytes_ or whole)
    assert whole > 2**30


def test_vllm_is_told_only_what_differs_from_its_own_choice(model: Path) -> None:
    told = vllm_command(Path("python"), model, Settings(), "cpu", dtype="float32")
    assert told[told.index("--dtype") + 1] == "float32"
    assert "--dtype" not in vllm_command(Path("python"), model, Settings(), "cpu")
