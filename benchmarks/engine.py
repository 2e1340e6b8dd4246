"""How the local engine serves the packaged model and its adapter on a CPU, and what each way costs a caller.

    python benchmarks/engine.py [--models .librarian] [--engine .venv-engine/bin/python] [--rows ROW,ROW] [--prompts 6]

vLLM is started anew for each row, as `librarian up` starts it, and asked one question after the other: --prompts pieces
of this project's pages, each of another length, with --tokens tokens of answer that are not cut short. Printed are the
prompts' lengths, the seconds to the first token and the milliseconds of each further one, as medians. A first question
warms it up and is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from pathlib import Path

# The project's folder must come before this file's, where an ingest.py lies.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx2
from serving_overhead import Body, Timed, ask

from rag.settings import Settings, load
from serve.engine.port import LOOPBACK
from serve.engine.run import build_engine

ROOT = Path(__file__).resolve().parents[1]
ROWS: dict[str, dict[str, str]] = {
    "default": {},
    "joined-bf16": {"engine_dtype": "bfloat16"},
    "joined-float32": {"engine_dtype": "float32"},
    "beside-bf16": {"engine_merge": "never", "engine_dtype": "bfloat16"},
    "beside-float32": {"engine_merge": "never", "engine_dtype": "float32"},
    "bare-bf16": {"engine_adapter": "none", "engine_dtype": "bfloat16"},
    "bare-float32": {"engine_adapter": "none", "engine_dtype": "float32"},
}
QUESTION = "\n\nWhat happens when an ingest job is killed?"
LONGEST, SHORTEST = 5200, 2000  # characters of a prompt


def prompts(count: int) -> list[str]:
    """Pieces of docs/ingesting.md without a common beginning, so that nothing is answered from the prefix cache."""
    text = (ROOT / "docs" / "ingesting.md").read_text(encoding="utf-8")
    step = (LONGEST - SHORTEST) // max(count - 1, 1)
    return [text[at * 700 : at * 700 + LONGEST - at * step] + QUESTION for at in range(count)]


def body(model: str, prompt: str, tokens: int) -> Body:
    """A question whose answer is streamed and has so many tokens, whatever the model would say."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def measure(settings: Settings, count: int, tokens: int) -> list[Timed]:
    """Start the engine of these settings, warm it up, ask, and stop it."""
    with build_engine(settings, say) as engine:
        listed = httpx2.get(f"{engine.url}/models", timeout=60, trust_env=False).json()["data"]
        adapters = [each["id"] for each in listed if each.get("parent")]
        model = (adapters or [listed[0]["id"]])[0]
        port = settings.engine_port
        asyncio.run(ask(port, body(model, "What is a pod?", 8)))
        return [asyncio.run(ask(port, body(model, each, tokens))) for each in prompts(count)]


def say(line: str) -> None:
    """Progress, to where it does not mix with the table."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure the rows and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path(".librarian"), help="data folder with the prepared model")
    parser.add_argument("--engine", type=Path, default=ROOT / ".venv-engine" / "bin" / "python")
    parser.add_argument("--rows", default=",".join(list(ROWS)[1:]), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--prompts", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--port", type=int, default=8191, help=f"free port on {LOOPBACK}")
    given = parser.parse_args()
    wanted = given.rows.split(",")
    if unknown := set(wanted) - set(ROWS):
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    print("| served | prompt tokens | first token, s | ms a further token |\n| --- | ---: | ---: | ---: |")
    for name, changes in ROWS.items():
        if name not in wanted:
            continue
        flags = {"data_dir": given.models, "engine_python": given.engine, "engine_port": given.port}
        found = measure(load({**flags, **changes}, folder=Path("/nonexistent")).settings, given.prompts, given.tokens)
        first, token = (statistics.median(getattr(each, of) for each in found) for of in ("first_s", "per_token_s"))
        lengths = sorted(each.prompt for each in found)
        print(f"| {name} | {lengths[0]} to {lengths[-1]} | {first:.1f} | {1e3 * token:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
