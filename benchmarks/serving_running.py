"""The run of serving.py: the real model, the ceilings, the memory, one after the other."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from index_report import machine
from ingest_measuring import say
from serving_ceiling import Ceiling, find_ceiling
from serving_memory import Footprint, footprint
from serving_overhead import Overhead, bodies, measure
from serving_processes import ROOT, Process, free_port, librarian, model, proxy
from serving_report import Results, to_json, to_markdown

from rag.settings import Settings, load
from serve.engine.run import build_engine

PARTS = ("overhead", "ceiling", "memory")
QUESTIONS = (
    "Which environment variable sets the key that requests must carry?",
    "What does the metric librarian_turned_away_total say?",
    "In which file does the engine write its log?",
    "How are documents uploaded over the API?",
    "What happens to a document that cannot be read?",
    "How is a collection rebuilt with another encoder?",
    "What does a snapshot of a collection hold?",
    "Which documents may a caller without a group read?",
    "How does the service say that it found nothing relevant?",
    "What is measured when answers are evaluated?",
    "How does an assistant search through the MCP endpoint?",
    "What does the page show about why an answer was given?",
)
# What a chat interface asks for itself: it goes to the model as it is, which is all that the proxy does.
TITLE = (
    "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n"
    "<chat_history>\nUSER: {question}\nASSISTANT: It is in the documents.\n</chat_history>"
)


def run(arguments: argparse.Namespace) -> int:
    """Run what is wanted and print it; the exit code."""
    where = machine()
    wanted = arguments.only or PARTS
    overhead: Overhead | None = None
    ceilings: tuple[Ceiling, ...] = ()
    footprints: tuple[Footprint, ...] = ()
    with tempfile.TemporaryDirectory(prefix="librarian-serving-") as name:
        data = Path(name) / "data"
        say("indexing docs/")
        command = [sys.executable, "-m", "librarian", "ingest", str(ROOT / "docs"), f"--data-dir={data}"]
        subprocess.run(command, cwd=name, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
        if "overhead" in wanted:
            overhead = _overhead(arguments, data)
        if "ceiling" in wanted:
            ceilings = _ceilings(arguments, data)
        if "memory" in wanted:
            footprints = _footprints(arguments, data)
    ours, others = _cores()
    cores = f"The server ran on core {min(ours)} alone, the stand-in and the clients on core {min(others)}."
    results = Results(where, (arguments.rate, arguments.tokens), cores, overhead, ceilings, footprints)
    print(to_markdown(results))
    if arguments.json:
        arguments.json.write_text(to_json(results), encoding="utf-8")
    return 0


def _cores() -> tuple[frozenset[int], frozenset[int]]:
    """The core of the server that is measured, and the core of all others."""
    first, *rest = sorted(os.sched_getaffinity(0))
    return frozenset({first}), frozenset({rest[0] if rest else first})


def _overhead(arguments: argparse.Namespace, data: Path) -> Overhead:
    """Nothing is pinned: the model takes both cores, as it does for users, and all else has to share them."""
    everywhere = frozenset(os.sched_getaffinity(0))
    flags = {
        "data_dir": arguments.models,
        "engine_python": arguments.engine,
        "engine_port": free_port(),
        "engine_adapter": "none",  # the model is asked directly, too, by its own name
    }
    settings = load(flags, folder=Path(tempfile.gettempdir())).settings
    say("starting vLLM")
    engine = build_engine(settings, say)
    with engine, librarian(data, engine.url, everywhere, llm_tokenizer=_tokenizer(settings)) as server:
        name = Path(_tokenizer(settings)).name
        asked = [bodies(server.port, name, question, arguments.answer) for question in QUESTIONS]
        say("a real model: pairs, then streams at once")
        return asyncio.run(
            measure(settings.engine_port, server.port, asked, arguments.repeats, 8, arguments.rounds, say)
        )


def _tokenizer(settings: Settings) -> str:
    from serve.engine.model import served_folder

    folder = served_folder(settings)
    if folder is None:
        raise SystemExit("the packaged chat model is not prepared: run `make engine` first, or name --models.")
    return str(folder)


def _asked(question: str) -> dict[str, Any]:
    return {"model": "librarian", "messages": [{"role": "user", "content": question}], "stream": True}


@contextmanager
def _pinned(cores: frozenset[int]) -> Iterator[None]:
    """This process, which holds the clients, on those cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _ceilings(arguments: argparse.Namespace, data: Path) -> tuple[Ceiling, ...]:
    ours, others = _cores()
    pace = (arguments.rate, arguments.tokens)
    answers = [_asked(each) for each in QUESTIONS]
    titles = [_asked(TITLE.format(question=each)) for each in QUESTIONS]
    found = []

    def ceiling(server: Process, stand_in: Process, what: str, asked: list[dict[str, Any]], start: int) -> None:
        found.append(find_ceiling(server.name, what, server, stand_in, asked, pace, start, arguments.measure_s, say))

    with _pinned(others), model(*pace, others) as stand_in:
        url = f"http://127.0.0.1:{stand_in.port}/v1"
        with librarian(data, url, ours) as server:
            ceiling(server, stand_in, "answers with retrieval and citations", answers, arguments.start)
            ceiling(server, stand_in, "titles, sent on as they are", titles, arguments.start)
        with proxy(stand_in.port, ours) as server:
            ceiling(server, stand_in, "a plain proxy", answers, max(1, arguments.start // 4))
    return tuple(found)


def _footprints(arguments: argparse.Namespace, data: Path) -> tuple[Footprint, ...]:
    ours, others = _cores()
    rate, tokens = 5.0, 50  # slow, so that no server is at its limit: what is asked is memory
    answers = [_asked(each) for each in QUESTIONS]
    found = []
    with _pinned(others), model(rate, tokens, others) as stand_in:
        url = f"http://127.0.0.1:{stand_in.port}/v1"
        starts: list[Callable[[], Any]] = [lambda: librarian(data, url, ours), lambda: proxy(stand_in.port, ours)]
        for start in starts:
            with start() as server:
                say(f"memory of {server.name}")
                found.append(footprint(server.name, server, answers, arguments.streams, tokens / rate))
    return tuple(found)
