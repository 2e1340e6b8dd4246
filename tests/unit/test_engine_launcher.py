"""What the local engine is started with, where it is looked for, and what its log is taken to say."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from rag.errors import EngineError
from rag.settings import Settings
from serve.engine import locate
from serve.engine.command import engine_environment, served_name, vllm_command
from serve.engine.log import FIRST_PHASE, PhaseReader, last_lines, root_cause, rotate
from serve.engine.model import PACKAGED_FOLDER, prepare_model

PYTHON = Path("/opt/engine/bin/python")
TWO_CPUS = frozenset({0, 1})
MANY_CPUS = frozenset(range(32))

CPU_ONLY = ("--enforce-eager", "--max-num-seqs")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", engine_port=8123, engine_context_tokens=2048, engine_kv_gib=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "my-model"
    path.mkdir()
    return path


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def make_python(path: Path, prints: str = "") -> Path:
    """An executable that stands for an interpreter and prints what one would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_the_engine_listens_on_loopback_only_with_the_settings_port_and_window(settings, folder, device):
    command = vllm_command(PYTHON, folder, settings, device)
    assert command[0] == str(PYTHON)
    assert option(command, "--host") == "127.0.0.1"
    assert option(command, "--port") == "8123"
    assert option(command, "--max-model-len") == "2048"
    assert option(command, "--model") == str(folder)
    assert "--enable-prefix-caching" in command


def test_cpu_flags_are_given_on_a_cpu_and_only_there(settings, folder):
    on_cpu = vllm_command(PYTHON, folder, settings, "cpu")
    on_gpu = vllm_command(PYTHON, folder, settings, "gpu")
    assert option(on_cpu, "--max-num-seqs") == "16"
    assert all(flag in on_cpu for flag in CPU_ONLY)
    assert not any(flag in on_gpu for flag in CPU_ONLY)


def test_kv_cache_memory_is_set_on_a_cpu_and_only_there(settings, folder):
    assert engine_environment(folder, settings, "cpu", {}, TWO_CPUS)["VLLM_CPU_KVCACHE_SPACE"] == "3"
    assert not [name for name in engine_environment(folder, settings, "gpu", {}, TWO_CPUS) if "VLLM_CPU" in name]


def test_a_folder_is_served_under_its_name_and_a_hub_model_under_its_whole_name(folder):
    assert served_name(folder) == "my-model"
    assert served_name(Path("org/model")) == "org/model"


def test_the_hub_is_shut_off_for_a_folder_and_left_open_for_a_hub_name(settings, folder):
    assert engine_environment(folder, settings, "cpu", {}, TWO_CPUS)["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in engine_environment(Path("org/model"), settings, "cpu", {}, TWO_CPUS)


def test_a_small_machine_uses_every_core_and_a_large_one_is_left_to_vllm(settings, folder):
    small = engine_environment(folder, settings, "cpu", {}, TWO_CPUS)
    assert small["VLLM_CPU_OMP_THREADS_BIND"] == "0,1"
    assert "VLLM_CPU_OMP_THREADS_BIND" not in engine_environment(folder, settings, "cpu", {}, MANY_CPUS)
    chosen = engine_environment(folder, settings, "cpu", {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}, TWO_CPUS)
    assert chosen["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"


def test_the_engine_gets_neither_our_keys_nor_another_pythons_packages(settings, folder):
    base = {"LIBRARIAN_API_KEY": "secret", "PYTHONPATH": "/elsewhere", "PATH": "/bin"}
    env = engine_environment(folder, settings, "cpu", base, TWO_CPUS)
    assert "LIBRARIAN_API_KEY" not in env
    assert "PYTHONPATH" not in env
    assert env["PATH"] == "/bin"
    assert env["PYTHONSAFEPATH"] == "1"


def test_the_python_of_the_settings_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_python(tmp_path / ".venv-engine/bin/python")
    chosen = make_python(tmp_path / "chosen/python")
    assert locate.find_engine_python(Settings(engine_python=chosen)) == chosen


def test_a_python_of_the_settings_that_is_not_there_is_an_error_even_where_another_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_python(tmp_path / ".venv-engine/bin/python")
    with pytest.raises(EngineError, match=r"LIBRARIAN_ENGINE_PYTHON is .*absent"):
        locate.find_engine_python(Settings(engine_python=tmp_path / "absent"))


def test_the_current_folders_environment_comes_before_the_projects(tmp_path, monkeypatch):
    here, project = tmp_path / "here", tmp_path / "project"
    here.mkdir()
    in_project = make_python(project / ".venv-engine/bin/python")
    monkeypatch.setattr(locate, "PROJECT_ROOT", project)
    monkeypatch.chdir(here)
    assert locate.find_engine_python(Settings()) == in_project
    in_here = make_python(here / ".venv-engine/bin/python")
    assert locate.find_engine_python(Settings()) == in_here


def test_an_environments_link_to_its_python_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    link = tmp_path / ".venv-engine/bin/python"
    link.parent.mkdir(parents=True)
    link.symlink_to(sys.executable)
    assert locate.find_engine_python(Settings()) == link


def test_this_python_is_taken_where_it_has_vllm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(locate, "PROJECT_ROOT", tmp_path)
    package = tmp_path / "site" / "vllm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('looking for vLLM must not import it')")
    monkeypatch.syspath_prepend(str(package.parent))
    assert locate.find_engine_python(Settings()) == Path(sys.executable)


def test_no_engine_anywhere_is_one_line_with_the_three_ways_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(locate, "PROJECT_ROOT", tmp_path)
    with pytest.raises(EngineError) as caught:
        locate.find_engine_python(Settings())
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(tmp_path / ".venv-engine"), "make engine", "librarian-rag[vllm]", "LIBRARIAN_LLM_URL"):
        assert part in message


@pytest.mark.parametrize(
    ("gpu", "is_cpu_build", "device"), [(True, "False", "gpu"), (True, "True", "cpu"), (False, "False", "cpu")]
)
def test_vllm_runs_on_a_gpu_where_there_is_one_and_its_build_can(tmp_path, monkeypatch, gpu, is_cpu_build, device):
    monkeypatch.setattr(locate, "has_gpu", lambda: gpu)
    assert locate.engine_device(make_python(tmp_path / "python", prints=is_cpu_build)) == device


def test_a_folder_as_model_is_that_folder_and_a_hub_name_is_passed_on(folder):
    assert prepare_model(Settings(engine_model=str(folder))) == folder
    assert prepare_model(Settings(engine_model="org/model")) == Path("org/model")


@pytest.mark.parametrize("model", ["/nowhere/model", "./model", "a/b/c"])
def test_a_model_that_can_only_be_a_missing_folder_is_an_error(model):
    with pytest.raises(EngineError, match="no folder"):
        prepare_model(Settings(engine_model=model))


def test_a_prepared_folder_that_lost_a_file_is_named_instead_of_served(tmp_path):
    settings = Settings(data_dir=tmp_path)
    broken = settings.models_dir / PACKAGED_FOLDER
    broken.mkdir(parents=True)
    (broken / "config.json").touch()
    with pytest.raises(EngineError, match=r"lacks model.safetensors, tokenizer.json; remove the folder"):
        prepare_model(settings)


def test_the_phase_follows_the_log_and_never_goes_back(tmp_path):
    log = tmp_path / "engine.log"
    log.touch()
    reader = PhaseReader(log)
    seen = [reader.phase()]
    for line in (
        "(APIServer pid=1) INFO 11-23 12:39:51 [api_utils.py:286] non-default args: {}\n",
        "(APIServer pid=1) INFO 11-23 12:40:04 [model.py:733] Resolved architecture: LlamaForCausalLM\n",
        "(Worker pid=3) INFO 11-23 12:40:23 [cpu_model_runner.py:68] Starting to lo",
        "ad model /m...\n",
        "(Worker pid=3) INFO 11-23 12:40:23 [default_loader.py:501] Loading weights took 0.32 seconds\n",
        "(APIServer pid=1) INFO 11-23 12:40:04 [model.py:733] Resolved architecture: LlamaForCausalLM\n",
        "(APIServer pid=1) INFO 11-23 12:40:28 [entry.py:140] Starting vLLM server on http://127.0.0.1:1\n",
    ):
        with log.open("a") as file:
            file.write(line)
        seen.append(reader.phase())
    assert seen == [
        FIRST_PHASE,
        "reading the configuration",
        "starting the engine's processes",
        "starting the engine's processes",
        "loading weights",
        "warming up",
        "warming up",
        "starting HTTP server",
    ]


FAILED_START = """\
(APIServer pid=1) INFO 11-23 12:39:51 [api_utils.py:347]        █     █     █▄   ▄█
/site-packages/vllm/entrypoints/openai/api_server.py:24: DeprecationWarning: `x` is deprecated
  warnings.warn(
\x1b[36m(EngineCore pid=2)\x1b[0m INFO 11-23 12:40:13 [core.py:133] Initializing a V1 LLM engine
Loading safetensors checkpoint shards: 100% Completed | 1/1 [00:00<00:00,  3.12it/s]
(EngineCore pid=2) ERROR 11-23 12:40:20 [core.py:900] Traceback (most recent call last):
(EngineCore pid=2) ERROR 11-23 12:40:20 [core.py:900]   File "/site-packages/vllm/v1/core.py", line 3, in f
(EngineCore pid=2) ERROR 11-23 12:40:20 [core.py:900]     raise ValueError(
(EngineCore pid=2) ERROR 11-23 12:40:20 [core.py:900] ValueError: 9.0 GiB KV cache is needed
(APIServer pid=1) Traceback (most recent call last):
(APIServer pid=1)   File "/site-packages/vllm/v1/utils.py", line 4, in g
(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above.
(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above.
"""


def test_the_last_lines_are_those_that_say_something(tmp_path):
    log = tmp_path / "engine.log"
    log.write_text(FAILED_START)
    assert last_lines(log) == [
        "Initializing a V1 LLM engine",
        "ValueError: 9.0 GiB KV cache is needed",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    ]
    assert last_lines(log, count=1) == ["RuntimeError: Engine core initialization failed. See root cause above."]


def test_an_exceptions_own_indented_lines_are_kept_and_the_first_is_part_of_the_cause(tmp_path):
    log = tmp_path / "engine.log"
    log.write_text(
        "(APIServer pid=1) Traceback (most recent call last):\n"
        '(APIServer pid=1)   File "/site-packages/vllm/config.py", line 1, in f\n'
        "(Worker pid=3) INFO 11-23 12:40:23 [a.py:1] another process speaks in between\n"
        "(APIServer pid=1)     raise it\n"
        "(APIServer pid=1) pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "(APIServer pid=1)   Value error, max_model_len (20000) is greater than 8192\n"
    )
    assert last_lines(log) == [
        "another process speaks in between",
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "  Value error, max_model_len (20000) is greater than 8192",
    ]
    assert root_cause(log) == f"{last_lines(log)[1]} Value error, max_model_len (20000) is greater than 8192"


def test_the_cause_is_the_first_exception_not_the_one_that_points_at_it(tmp_path):
    log = tmp_path / "engine.log"
    log.write_text(FAILED_START)
    assert root_cause(log) == "ValueError: 9.0 GiB KV cache is needed"
    log.write_text("INFO all is well\n")
    assert root_cause(log) is None


def test_an_earlier_log_is_kept_once(tmp_path):
    log = tmp_path / "logs" / "engine.log"
    for words in ("first", "second", "third"):
        rotate(log)
        log.write_text(words)
    assert log.read_text() == "third"
    assert log.with_name("engine.log.1").read_text() == "second"
    assert sorted(path.name for path in log.parent.iterdir()) == ["engine.log", "engine.log.1"]
