"""What serving costs: over the model alone, on one core beside a plain LangChain proxy, and in memory.

    python benchmarks/serving.py [--only overhead|ceiling|memory]… [--json FILE]

    overhead  vLLM on the CPU, started as `librarian model` does, asked directly and through Librarian with the same
              assembled prompt and sampling, in turns: what the first token comes later by beyond the retrieval that
              the service measured, what each further token takes longer, and the throughput of 8 streams at once.
    ceiling   a stand-in for the model sends tokens at a fixed rate (serving_model.py). More and more streams at once,
              until the p99 of the first token passes 250 ms, an answer fails or less than 97 % of the tokens arrive.
              The server runs on one core alone; stand-in and clients share another one, and how busy they were is
              shown: where it nears 100 %, they are the limit. Librarian answers with retrieval, token budget and
              citations, and, in a row of its own, sends on what a chat interface asks for itself, which is what the
              proxy does. The proxy (serving_proxy.py) is ChatOpenAI.astream in a StreamingResponse.
    memory    RSS of both servers after their first answers, then with many connections that are kept open idle, then
              with as many in the middle of a stream.

Librarian is `librarian serve` as a process of its own, with its defaults but for the number of requests at once, over
an index of docs/. A dozen questions take turns, so that query vectors come out of the cache. Prompts are budgeted with
the model's own tokenizer for the real model, and with the stand-in's count else.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# This file is called as the package is: the package's folder must come before this one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from serving_processes import ROOT
from serving_running import PARTS, run


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Measure serving.")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part only; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    real = parser.add_argument_group("overhead")
    real.add_argument("--engine", type=Path, default=ROOT / ".venv-engine" / "bin" / "python", help="Python with vLLM")
    real.add_argument("--models", type=Path, default=ROOT / ".librarian", help="data folder with the prepared model")
    real.add_argument("--answer", type=int, default=96, help="tokens of an answer (default: 96)")
    real.add_argument("--repeats", type=int, default=3, help="pairs of each of the 12 questions (default: 3)")
    real.add_argument("--rounds", type=int, default=5, help="rounds of 8 streams at once (default: 5)")
    stand_in = parser.add_argument_group("ceiling")
    stand_in.add_argument("--rate", type=float, default=25, help="tokens a second of a stream (default: 25)")
    stand_in.add_argument("--tokens", type=int, default=150, help="tokens of an answer (default: 150)")
    stand_in.add_argument("--start", type=int, default=100, help="streams to begin with (default: 100)")
    stand_in.add_argument("--measure-s", type=float, default=6, help="seconds that each step is measured (default: 6)")
    parser.add_argument("--streams", type=int, default=300, help="connections of the memory part (default: 300)")
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
