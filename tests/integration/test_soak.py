"""The long run of benchmarks/soak.py, in short: clients of all kinds at once, and nothing of them stays behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.timeout(240)
def test_clients_that_read_slowly_vanish_search_and_upload_leave_nothing_behind(tmp_path: Path) -> None:
    numbers = tmp_path / "soak.json"
    options = ["--minutes=0.12", "--clients=12", "--upload-every-s=2", f"--json={numbers}"]
    run = subprocess.run([sys.executable, str(SOAK), *options], capture_output=True, text=True, timeout=220)
    found = json.loads(numbers.read_text())
    assert found["wrong"] == [], run.stdout
    assert run.returncode == 0
    did = found["clients"]
    assert min(did.get(each, 0) for each in ("patient", "vanishing", "uploading")) > 0, did
    busiest = max(found["samples"], key=lambda each: each["active_requests"])
    assert busiest["active_requests"] > 0
    assert busiest["tasks"] > found["samples"][-1]["tasks"]
