"""What stands for vLLM here, and how to see which processes live.

The stand-in below is started in vLLM's place. Like vLLM it is slow to listen, tells its phases in its log, answers
/health and /v1/models, and has a child process that does not notice the death of its parent. It takes a second, not
forty, and can be told to fail in each way that vLLM does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
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


def pids_in(file: Path) -> list[int]:
    wait_for(file.exists)
    return [int(pid) for pid in file.read_text().split()]
