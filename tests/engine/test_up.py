"""`librarian up` as a person runs it: the real engine and the API, one question, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from serve.engine.process import Engine
from tests.engine.conftest import ROOT, free_port

COMMAND = [sys.executable, "-m", "librarian"]


def environment(data_dir: Path, **changes: str) -> dict[str, str]:
    """The caller's environment with an index of its own and the checkout's prepared model."""
    data_dir.mkdir(exist_ok=True)
    models = data_dir / "models"
    if not models.exists():
        models.symlink_to(ROOT / ".librarian" / "models")
    ours = {
        "LIBRARIAN_DATA_DIR": str(data_dir),
        "LIBRARIAN_ENGINE_PYTHON": str(ROOT / ".venv-engine" / "bin" / "python"),
        "LIBRARIAN_ENGINE_PORT": str(free_port()),
        "LIBRARIAN_PORT": str(free_port()),
        "LIBRARIAN_MAX_ANSWER_TOKENS": "48",
        "PYTHONPATH": str(ROOT),
    }
    return {**os.environ, **ours, **changes}


@contextmanager
def running(arguments: list[str], cwd: Path, env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A `librarian` process in a session of its own, and the lines that it has printed so far."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: list[str] = []

    def follow() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)  # one by one: the test watches them come

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    try:
        yield process, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(5)


def wait_for(lines: list[str], wanted: str, process: subprocess.Popen[str], seconds: float = 240) -> None:
    """Until a line has the words, or the process ends."""
    waited = threading.Event()
    for _ in range(int(seconds * 5)):
        if any(wanted in line for line in lines):
            return
        assert process.poll() is None, "".join(lines)
        waited.wait(0.2)
    raise AssertionError(f"'{wanted}' did not come: {''.join(lines)}")


def test_up_answers_in_the_terminal_and_ctrl_c_stops_what_it_started_and_nothing_else(
    engine: Engine, tmp_path: Path
) -> None:
    env = environment(tmp_path / "state")
    ingested = subprocess.run([*COMMAND, "ingest", str(ROOT / "docs")], cwd=tmp_path, env=env, timeout=120, check=True)
    assert ingested.returncode == 0
    question = "What happens when an ingest job is killed?"
    with running(["up", "--ask", question], tmp_path, env) as (process, lines):
        wait_for(lines, "Ask more", process)
        said = "".join(lines)
        assert f"> {question}" in said
        assert "Sources" in said
        assert "ingesting.md" in said
        url = f"http://127.0.0.1:{env['LIBRARIAN_PORT']}"
        assert httpx2.get(f"{url}/readyz", timeout=10).json()["ready"] is True

        asked = subprocess.run(
            [*COMMAND, "ask", "Which formats are read?"],
            cwd=tmp_path,
            env=env,
            timeout=120,
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked.returncode == 0, asked.stderr  # through the running API: the index is held by `up`
        assert "Sources" in asked.stdout

        handed = subprocess.run(
            [*COMMAND, "ingest", str(ROOT / "docs")],
            cwd=tmp_path,
            env=env,
            timeout=60,
            capture_output=True,
            text=True,
            check=False,
        )
        assert handed.returncode == 0, handed.stderr  # handed over to `up`
        assert " kept, 0 failed" in handed.stdout

        os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C does: to the whole foreground group
        assert process.wait(30) == 0
    engine.check()  # another engine, which `up` did not start, lives
    for port in (env["LIBRARIAN_PORT"], env["LIBRARIAN_ENGINE_PORT"]):
        try:
            httpx2.get(f"http://127.0.0.1:{port}/", timeout=2)
        except httpx2.TransportError:
            continue
        raise AssertionError(f"something still listens on {port}")


def test_up_uses_a_model_server_that_is_named_and_starts_none(engine: Engine, tmp_path: Path) -> None:
    env = environment(tmp_path / "state", LIBRARIAN_LLM_URL=engine.url, LIBRARIAN_ENGINE_PYTHON="/nonexistent/python")
    subprocess.run([*COMMAND, "ingest", str(ROOT / "docs")], cwd=tmp_path, env=env, timeout=120, check=True)
    with running(["up", "--ask", "What is a chunk?", "--once"], tmp_path, env) as (process, lines):
        assert process.wait(120) == 0, "".join(lines)
    assert any("Sources" in line for line in lines)
