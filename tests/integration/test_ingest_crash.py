"""A job that is killed at any moment, and run again, ends where an undisturbed one does.

Two ways: a process killed with SIGKILL at random moments, and an index that fails at each of its writes in turn.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

import ingest.run
from ingest.job import IngestJob
from ingest.loading.interface import Limits
from ingest.pipeline import windows
from ingest.pool import Outcome, Ready
from ingest.preparing import Task, content_hash, prepare
from ingest.report import Report
from ingest.sources import open_source
from ingest.sources.interface import Item
from ingest.target import Target
from rag.encoders import Bm25Encoder
from rag.errors import IndexUnavailable
from rag.index.embedded import EmbeddedIndex
from rag.payload import to_payload
from rag.point_ids import point_id
from rag.schema import Scope
from rag.settings import Settings
from tests.ingest_kit import HashEncoder, Points, stored

KILLS = 50
WITH_WORKERS = 5  # every fifth kill
WORDS = ["pod", "node", "probe", "volume", "secret", "ingress", "label", "quota", "image", "lease"]
FRESH = 10.0  # seconds: files older than this have a stamp that is trusted


def job(index: Any, settings: Settings) -> IngestJob:
    return IngestJob(index, HashEncoder(), Bm25Encoder(), settings)


def run(folder: Path, settings: Settings) -> Report:
    """A run that writes a few chunks at a time, so that there are many moments to be killed at."""
    ingest.run.windows = functools.partial(windows, first=4, size=6)
    with closing(EmbeddedIndex(settings.index_dir)) as index, closing(open_source(folder, settings)) as source:
        return job(index, settings).run(source)


class InlinePool:
    """Stands for the worker processes where a run is not the one that is killed: starting them costs most of it."""

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        encoder = HashEncoder()
        for task in tasks:
            yield Ready(task.item, prepare(task, encoder, encoder.max_tokens, Limits()))


@pytest.fixture(autouse=True)
def no_processes_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is killed may run with worker processes: it is started from a server that knows nothing of this."""
    monkeypatch.setattr(Target, "pool", lambda self: InlinePool())


def run_without_workers(folder: Path, settings: Settings) -> None:
    """The same in a process of its own. Without the start of workers most of its moments are those of its writes."""
    Target.pool = lambda self: InlinePool()  # type: ignore[method-assign, assignment, return-value]
    run(folder, settings)


def expected(folder: Path) -> Points:
    """The points that an undisturbed run over the folder makes: each document prepared by itself, no index involved."""
    encoder = HashEncoder()
    chunker = f"{ingest.chunking.chunker_name(encoder.max_tokens)}"
    points: Points = {}
    for path in sorted(folder.rglob("*.md")):
        data = path.read_bytes()
        item = Item(path.as_uri(), path.relative_to(folder).as_posix(), path.name)
        task = Task(item, data, content_hash=content_hash(data, item, (), {}))
        made = prepare(task, encoder, encoder.max_tokens, Limits())
        for each in made.chunks:
            payload = to_payload(made.document, each.chunk, len(made.chunks))
            points[point_id(made.document, each.chunk.ordinal, chunker, Scope.owner())] = plain(payload)
    return points


def plain(payload: Any) -> dict[str, Any]:
    """A payload without what differs between files of the same content, and with the tenant that the index adds."""
    left = {key: value for key, value in payload.items() if key not in {"stamp", "tenant"}}
    return {**left, "state": "whole"} if left.get("part") == "head" else left


def text(rng: random.Random) -> str:
    paragraphs = [" ".join(rng.choices(WORDS, k=rng.randint(5, 40))) + "." for _ in range(rng.randint(1, 6))]
    return "# " + rng.choice(WORDS) + "\n\n" + "\n\n".join(paragraphs) + "\n"


def change(folder: Path, rng: random.Random) -> None:
    """Add, replace and delete some documents, all with times that tell them from what was there before."""
    there = sorted(folder.rglob("*.md"))
    for path in rng.sample(there, k=min(len(there), 5)):
        path.unlink()
    for path in rng.sample(there, k=min(len(there), 8)):
        write(path, rng)
    for _ in range(6):
        write(folder / rng.choice(["", "sub"]) / f"{rng.randint(0, 10_000)}.md", rng)


def write(path: Path, rng: random.Random) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(rng))
    old = time.time() - FRESH - rng.random() * 1000
    os.utime(path, (old, old))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "docs"
    rng = random.Random(1)
    for _ in range(3):
        change(made, rng)
    return made


@pytest.mark.timeout(900)
def test_killed_at_random_moments_it_ends_where_an_undisturbed_run_does(
    folder: Path, settings: Callable[..., Settings], forkserver: ForkServerContext
) -> None:
    made = settings()
    rng = random.Random(2)
    usual: dict[Callable[..., object], float] = {}  # seconds of an undisturbed run, lately
    killed = 0
    while killed < KILLS:
        change(folder, rng)
        way = run_without_workers if killed % WITH_WORKERS else run
        process = forkserver.Process(target=way, args=(folder, made))
        began = time.monotonic()
        process.start()
        process.join(rng.random() * usual[way] if way in usual else None)
        if process.is_alive():
            process.kill()
            process.join()
            killed += 1
        else:
            process.join()
            assert process.exitcode == 0
            usual[way] = time.monotonic() - began
        if rng.random() < 0.3:
            continue  # killed again before any run could finish
        run(folder, made)
        check_state(folder, made)
    run(folder, made)
    check_state(folder, made)


def check_state(folder: Path, made: Settings) -> None:
    wanted = expected(folder)
    with closing(EmbeddedIndex(made.index_dir)) as index:
        found = {identity: plain(payload) for identity, payload in stored(index).items()}
        assert found == wanted
        with closing(open_source(folder, made)) as source:
            assert not job(index, made).check(source).any
    again = run(folder, made)
    assert (again.added, again.replaced, again.deleted, again.chunks) == (0, 0, 0, 0)


class FailsAt:
    """An index whose write number `at` fails, before it does anything or after: stands for a Qdrant that goes away."""

    def __init__(self, index: EmbeddedIndex, at: int, after: bool) -> None:
        self._index = index
        self._left = at
        self._after = after

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._index, name)
        if name not in {"create", "set_alias", "upsert", "delete", "set_payload"}:
            return call

        def fails(*args: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise IndexUnavailable("gone")
            result = call(*args)
            if self._left == 0:
                raise IndexUnavailable("gone")
            return result

        return fails


@pytest.mark.parametrize("after", [False, True])
def test_a_write_that_fails_wherever_it_is_leaves_what_the_next_run_mends(
    folder: Path, settings: Callable[..., Settings], tmp_path: Path, after: bool
) -> None:
    first = settings(data_dir=tmp_path / "first")
    run(folder, first)
    change(folder, random.Random(3))
    wanted = expected(folder)
    ingest.run.windows = functools.partial(windows, first=40, size=60)
    for at in range(1, 1000):
        made = settings(data_dir=tmp_path / f"{at}")
        shutil.copytree(first.data_dir, made.data_dir)
        with closing(EmbeddedIndex(made.index_dir)) as index:
            with closing(open_source(folder, made)) as source:
                try:
                    job(FailsAt(index, at, after), made).run(source)
                    finished = True
                except IndexUnavailable:
                    finished = False
            with closing(open_source(folder, made)) as source:
                job(index, made).run(source)
            assert {identity: plain(payload) for identity, payload in stored(index).items()} == wanted, at
        shutil.rmtree(made.data_dir)
        if finished:
            break
    assert at > 5


@pytest.fixture(autouse=True)
def usual_windows() -> Iterator[None]:
    yield
    ingest.run.windows = windows
