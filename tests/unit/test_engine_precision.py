"""What the local engine computes in: float32 where the processor would only imitate bf16, if the memory is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.settings import Settings
from serve.engine import precision
from serve.engine.command import vllm_command
from serve.engine.precision import engine_dtype

AVX2 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse2 avx avx2 f16c\n"
AMX = AVX2.replace("avx2", "avx2 avx512f avx512_bf16 amx_bf16")
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd sve bf16\n"
OLD_ARM = ARM.replace(" bf16", "")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"x" * 1000)
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
    monkeypatch.setattr(precision, "_memory", lambda: 7000)
    assert engine_dtype(Settings(), model, "cpu", cpu) == "auto"


def test_vllm_is_told_only_what_differs_from_its_own_choice(model: Path) -> None:
    told = vllm_command(Path("python"), model, Settings(), "cpu", dtype="float32")
    assert told[told.index("--dtype") + 1] == "float32"
    assert "--dtype" not in vllm_command(Path("python"), model, Settings(), "cpu")
