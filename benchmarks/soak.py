"""A long run against `librarian serve`: does anything stay behind?

    python benchmarks/soak.py [--minutes 10] [--clients 24] [--json FILE]

Clients read answers, read them slowly, vanish at random moments, search, ask nonsense and upload now and then, all at
once, with a stand-in for the model (serving_model.py). A sample is taken each minute; after the last one all clients
leave, and within 20 seconds the service must be at rest: no place taken, no job at work, no stream open at the model,
as many tasks as before the first client, and no socket more than it listens and keeps to its model. Memory is flat
where RSS grows by at most 5 % from the second sample to the last one (not judged in a run of under 5 minutes). The exit
code is 1 where one of these is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# This file is called as the package is: the package's folder must come before this one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from serving_processes import ROOT, Process, librarian, model
from soak_clients import crowd

GROWTH = 1.05
LONG = 5  # minutes; in a shorter run memory is still being filled for the first time
REST_S = 20.0
PACE = (25.0, 100)
QUIET = ("active_requests", "jobs", "tasks", "streams", "clients")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the service holds at a moment. `streams`: those that the model writes; `rss` in bytes.

    `clients`: the service's sockets, less the model's: what it keeps open to its model counts on both sides.
    """

    minute: float
    rss: int
    sockets: int
    clients: int
    active_requests: int
    jobs: int
    tasks: int
    streams: int


def sample(minute: float, server: Process, stand_in: Process) -> Sample:
    """Look now."""
    with httpx2.Client(trust_env=False, timeout=20) as http:
        text = http.get(f"http://127.0.0.1:{server.port}/metrics").text
        streams = http.get(f"http://127.0.0.1:{stand_in.port}/open").json()["open"]
    totals: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            totals[each.name.removeprefix("librarian_")] += int(each.value)
    counts = {"active_requests": totals["active_requests"], "jobs": totals["jobs"], "tasks": totals["event_loop_tasks"]}
    sockets = server.sockets()
    return Sample(minute, server.rss(), sockets, sockets - stand_in.sockets(), streams=streams, **counts)


def at_rest(before: Sample, server: Process, stand_in: Process, minute: float) -> tuple[Sample, list[str]]:
    """The last sample, and what was still not as `before` when it was taken."""
    deadline = time.monotonic() + REST_S
    while True:
        found = sample(minute, server, stand_in)
        wrong = [
            f"{name} {getattr(found, name)} instead of {getattr(before, name)}"
            for name in QUIET
            if getattr(found, name) > getattr(before, name)
        ]
        if not wrong or time.monotonic() > deadline:
            return found, wrong
        time.sleep(0.5)


async def _run(
    minutes: float, clients: int, upload_every_s: float, server: Process, stand_in: Process
) -> tuple[list[Sample], Mapping[str, int]]:
    counted: Counter[str] = Counter()
    samples = []
    busy = asyncio.create_task(crowd(server.port, clients, upload_every_s, counted, random.Random(5)))
    steps = max(2, round(minutes))
    for step in range(1, steps + 1):
        await asyncio.sleep(minutes * 60 / steps)
        samples.append(await asyncio.to_thread(sample, round(step * minutes / steps, 2), server, stand_in))
        print(f"  {samples[-1]}", file=sys.stderr, flush=True)
    busy.cancel()
    await asyncio.wait([busy])
    return samples, counted


def main() -> int:
    """Run it and say what stayed behind."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="librarian-soak-") as name:
        command = [sys.executable, "-m", "librarian", "ingest", str(ROOT / "docs"), f"--data-dir={name}/data"]
        subprocess.run(command, cwd=name, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
        everywhere = frozenset(os.sched_getaffinity(0))
        with model(*PACE, everywhere) as stand_in:
            url = f"http://127.0.0.1:{stand_in.port}/v1"
            with librarian(Path(name) / "data", url, everywhere, max_concurrent_requests=64) as server:
                before = sample(0, server, stand_in)
                samples, counted = asyncio.run(
                    _run(arguments.minutes, arguments.clients, arguments.upload_every_s, server, stand_in)
                )
                last, wrong = at_rest(before, server, stand_in, arguments.minutes)
    growth = samples[-1].rss / samples[min(1, len(samples) - 2)].rss
    if arguments.minutes >= LONG and growth > GROWTH:
        wrong.append(f"memory grew by {growth - 1:.1%} from the second sample on")
    wrong += [each for each in counted if each.startswith("last failure")]
    print(_table([before, *samples, last], counted, growth, wrong))
    if arguments.json:
        numbers = {"samples": [asdict(each) for each in (before, *samples, last)], "clients": counted, "wrong": wrong}
        arguments.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    return 1 if wrong else 0


def _table(samples: list[Sample], counted: Mapping[str, int], growth: float, wrong: list[str]) -> str:
    rows = [
        f"| {each.minute:g} | {each.rss / 1e6:.1f} | {each.sockets} | {each.active_requests} | {each.jobs} | "
        f"{each.tasks} | {each.streams} |"
        for each in samples
    ]
    did = ", ".join(f"{name}: {count}" for name, count in sorted(counted.items()))
    return "\n".join(
        [
            "| minute | RSS, MB | sockets | places taken | jobs | tasks | streams at the model |",
            "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            f"The first row is before the first client, the last one after the last. What clients did: {did}. Memory "
            f"after the last minute by that of the second: {growth:.3f}.",
            "",
            *([f"- LEFT BEHIND: {each}" for each in wrong] or ["Nothing is left behind."]),
        ]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run clients of all kinds against the service for long.")
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    parser.add_argument("--clients", type=int, default=24, help="clients at once (default: 24)")
    parser.add_argument("--upload-every-s", type=float, default=15, help="seconds between uploads (default: 15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
