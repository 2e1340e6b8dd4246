"""What only the embedded driver promises: one process a folder, nothing lost to a kill, clear words for damage."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import BadInput, CollectionNotFound, IndexLocked, IndexUnavailable
from rag.index import CollectionSpec, DenseLeg, Record, SparseLeg, holder, open_async_index, open_index
from rag.index.embedded import EmbeddedIndex
from rag.index.folder import Holder
from rag.schema import Scope, SparseVector
from rag.settings import Settings

ROOT = Path(__file__).parents[2]
SPEC = CollectionSpec(3, {"encoder": "minilm"})
OWNER = Scope.owner("acme")

PRELUDE = """
import os, sys, time, uuid
from pathlib import Path
from rag.index import CollectionSpec, Record
from rag.index.embedded import EmbeddedIndex
from rag.schema import Scope, SparseVector

def record(number, text="x"):
    sparse = SparseVector((number % 7,), (1.0,))
    return Record(str(uuid.UUID(int=number)), (1.0, float(number), 0.5), sparse, {"n": number, "text": text})

def say(word):
    print(word, flush=True)

folder = Path(sys.argv[1])
"""


def run(script: str, folder: Path) -> subprocess.Popen[str]:
    """Another process that works on the folder; it reports by printing lines."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def heard(process: subprocess.Popen[str], word: str) -> str:
    """Wait until the process says a line that starts with `word`; the rest of that line."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return line.removeprefix(word).strip()
    raise AssertionError(f"ended without saying {word!r}: {process.communicate()[1]}")


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def record(number: int, text: str = "x") -> Record:
    sparse = SparseVector((number % 7,), (1.0,))
    return Record(str(uuid.UUID(int=number)), (1.0, float(number), 0.5), sparse, {"n": number, "text": text})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> Iterator[EmbeddedIndex]:
    made = EmbeddedIndex(folder)
    yield made
    made.close()


HOLD = "index = EmbeddedIndex(folder)\nindex.announce('http://127.0.0.1:8123')\nsay('held')\ntime.sleep(60)"


class TestHolding:
    def test_a_second_process_is_refused_with_who_holds_the_folder_and_what_to_do(self, folder: Path) -> None:
        process = run(HOLD, folder)
        heard(process, "held")
        try:
            with pytest.raises(IndexLocked) as raised:
                EmbeddedIndex(folder)
            message = str(raised.value)
            for fact in (str(folder), f"process {process.pid}", "http://127.0.0.1:8123", "LIBRARIAN_DATA_DIR"):
                assert fact in message
            assert "\n" not in message
            assert holder(folder) == Holder(process.pid, "-c", "http://127.0.0.1:8123")
        finally:
            kill(process)

    def test_a_killed_holder_hinders_nobody_though_its_holder_file_stays(self, folder: Path) -> None:
        process = run(HOLD, folder)
        heard(process, "held")
        kill(process)
        assert (folder / "holder.json").exists()
        assert holder(folder) is None
        EmbeddedIndex(folder).close()

    def test_the_second_index_of_one_process_is_refused_too(self, folder: Path, index: EmbeddedIndex) -> None:
        with pytest.raises(IndexLocked, match="already open in this process"):
            EmbeddedIndex(folder)
        index.create("docs", SPEC)

    def test_the_holder_is_known_until_the_index_closes(self, folder: Path, index: EmbeddedIndex) -> None:
        mine = holder(folder)
        assert mine is not None
        assert (mine.pid, mine.url) == (os.getpid(), None)
        index.announce("http://127.0.0.1:8000")
        assert holder(Settings(data_dir=folder.parent)) == Holder(mine.pid, mine.command, "http://127.0.0.1:8000")
        index.close()
        assert holder(folder) is None
        assert not (folder / "holder.json").exists()

    def test_asking_who_holds_a_folder_makes_nothing(self, folder: Path) -> None:
        assert holder(folder) is None
        assert not folder.exists()

    def test_asking_again_and_again_never_keeps_an_opener_out(self, folder: Path) -> None:
        EmbeddedIndex(folder).close()
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                holder(folder)

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        try:
            for _ in range(10):
                EmbeddedIndex(folder).close()
        finally:
            stop.set()
            for asker in askers:
                asker.join()

    def test_a_damaged_holder_file_still_means_held(self, folder: Path, index: EmbeddedIndex) -> None:
        (folder / "holder.json").write_text("{")
        assert holder(folder) == Holder(None, "another process", None)
        with pytest.raises(IndexLocked, match="another process"):
            EmbeddedIndex(folder)

    def test_settings_open_the_embedded_index_where_they_name_no_server(self, tmp_path: Path) -> None:
        with_data = Settings(data_dir=tmp_path)
        opened = open_index(with_data)
        assert isinstance(opened, EmbeddedIndex)
        assert opened.location == str(tmp_path / "index")
        opened.close()
        waiting = open_async_index(with_data)
        assert waiting.location == str(tmp_path / "index")
        opened.close()
        waiting.index.close()  # type: ignore[attr-defined]


class TestKilled:
    def test_nothing_acknowledged_is_lost_to_kill_9(self, folder: Path) -> None:
        process = run(
            """
index = EmbeddedIndex(folder)
index.create("docs", CollectionSpec(3, {"encoder": "minilm"}))
index.set_alias("now", "docs")
for number in range(100000):
    index.upsert("now", [record(number * 10 + k) for k in range(10)], Scope.owner("acme"))
    say(f"wrote {number * 10 + 9}")
""",
            folder,
        )
        acknowledged = 0
        while acknowledged < 6000:  # past a flush, and with more behind it
            acknowledged = int(heard(process, "wrote"))
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[0].splitlines()
        acknowledged = max([acknowledged, *(int(line.split()[1]) for line in said if line.startswith("wrote "))])

        again = EmbeddedIndex(folder)
        kept = {stored.payload["n"] for stored in again.scroll("now", OWNER, ["n"])}
        assert set(range(acknowledged + 1)) <= kept
        assert len(again.query("now", [DenseLeg((1.0, 5.0, 0.5), 10)], OWNER)[0]) == 10
        again.close()

    def test_a_process_killed_while_it_creates_and_drops_leaves_nothing_half_made(self, folder: Path) -> None:
        for delay in (0.0, 0.01, 0.03, 0.07, 0.1):
            process = run(
                """
index = EmbeddedIndex(folder)
say("started")
for number in range(1000):
    index.create(f"c{number % 3}", CollectionSpec(3))
    index.set_alias(f"a{number % 3}", f"c{number % 3}")
    if number > 1:
        index.drop(f"c{(number + 1) % 3}")
""",
                folder,
            )
            heard(process, "started")
            time.sleep(delay)
            kill(process)
            again = EmbeddedIndex(folder)
            whole = {known.name for known in again.collections()}  # each opens, or this raises
            assert whole == {path.name for path in (folder / "collections").iterdir()}
            assert set(json.loads((folder / "aliases.json").read_text()).values() if whole else ()) <= whole
            for name in whole:
                again.drop(name)
            again.close()

    def test_what_a_killed_create_or_drop_left_is_removed_at_the_next_open(self, folder: Path) -> None:
        EmbeddedIndex(folder).close()
        for leftover in (".new-1", ".dropped-1"):
            (folder / "collections" / leftover / "shard").mkdir(parents=True)
        (folder / "aliases.json").write_text('{"now": "gone"}')
        again = EmbeddedIndex(folder)
        assert list((folder / "collections").iterdir()) == []
        assert json.loads((folder / "aliases.json").read_text()) == {}
        again.close()


class TestReopening:
    def test_everything_is_there_after_a_close(self, folder: Path) -> None:
        first = EmbeddedIndex(folder)
        first.create("docs", SPEC)
        first.set_alias("now", "docs")
        first.upsert("docs", [record(number) for number in range(50)], OWNER)
        legs = [DenseLeg((1.0, 3.0, 0.5), 10), SparseLeg(SparseVector((3,), (1.0,)), 10)]
        before = first.query("docs", legs, OWNER), first.describe("docs"), list(first.scroll("docs", OWNER))
        first.close()
        again = EmbeddedIndex(folder)
        assert (again.query("now", legs, OWNER), again.describe("now"), list(again.scroll("now", OWNER))) == before
        again.close()

    def test_deleted_points_leave_the_document_frequencies_at_the_next_open_at_the_latest(self, folder: Path) -> None:
        """idf = ln(1 + (N - df + 0.5) / (df + 0.5)). Edge, as a server, counts deleted points until then."""
        first = EmbeddedIndex(folder)
        first.create("docs", SPEC)
        first.upsert("docs", [record(7), *(record(7 * number + 1) for number in range(9))], OWNER)
        first.delete("docs", [str(uuid.UUID(int=7 * number + 1)) for number in range(9)], OWNER)
        first.close()
        again = EmbeddedIndex(folder)
        ((hit,),) = again.query("docs", [SparseLeg(SparseVector((0,), (1.0,)), 5)], OWNER)
        assert hit.score == pytest.approx(math.log(1 + (1 - 1 + 0.5) / (1 + 0.5)), abs=1e-3)
        again.close()

    def test_a_folder_can_be_moved(self, folder: Path, tmp_path: Path) -> None:
        first = EmbeddedIndex(folder)
        first.create("docs", SPEC)
        first.upsert("docs", [record(1)], OWNER)
        first.close()
        moved = EmbeddedIndex(folder.rename(tmp_path / "elsewhere"))
        assert moved.count("docs", OWNER) == 1
        moved.close()


class TestDamage:
    @pytest.fixture
    def damaged(self, folder: Path) -> Path:
        """A folder with one collection, closed and ready to be damaged."""
        made = EmbeddedIndex(folder)
        made.create("docs", SPEC)
        made.set_alias("now", "docs")
        made.upsert("docs", [record(1)], OWNER)
        made.close()
        return folder / "collections" / "docs"

    @pytest.mark.parametrize(
        "damage",
        [
            lambda docs: (docs / "collection.json").write_text("{"),
            lambda docs: (docs / "collection.json").write_text("[]"),
            lambda docs: (docs / "collection.json").write_text('{"format": 99}'),
            lambda docs: (docs / "collection.json").unlink(),
            lambda docs: (docs / "shard" / "edge_config.json").write_text("{"),
            lambda docs: next(docs.glob("shard/segments/*/segment.json")).write_text("garbage"),
            lambda docs: next(docs.glob("shard/wal/open-1")).write_bytes(b"garbage"),
            lambda docs: shutil.rmtree(docs / "shard" / "segments"),
            lambda docs: shutil.rmtree(docs / "shard"),
        ],
    )
    def test_a_damaged_collection_is_one_clear_line_and_can_be_dropped(self, damaged: Path, damage: object) -> None:
        damage(damaged)  # type: ignore[operator]
        index = EmbeddedIndex(damaged.parents[1])
        for call in (lambda: index.count("docs", OWNER), lambda: index.describe("now"), index.collections):
            with pytest.raises(IndexUnavailable, match=str(damaged)) as raised:
                call()
            assert "\n" not in str(raised.value)
        index.drop("docs")
        index.create("docs", SPEC)
        assert index.count("docs", OWNER) == 0
        index.close()

    def test_a_damaged_alias_file_is_one_clear_line_and_lets_go_of_the_folder(self, damaged: Path) -> None:
        folder = damaged.parents[1]
        (folder / "aliases.json").write_text("nonsense")
        with pytest.raises(IndexUnavailable, match=r"aliases\.json"):
            EmbeddedIndex(folder)
        assert holder(folder) is None

    def test_a_folder_that_cannot_be_made_is_one_clear_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        for impossible in (tmp_path / "file" / "index", tmp_path / "file", Path("/proc/nowhere")):
            with pytest.raises(IndexUnavailable, match="LIBRARIAN_DATA_DIR") as raised:
                EmbeddedIndex(impossible)
            assert "\n" not in str(raised.value)

    def test_no_name_reaches_outside_the_folder(self, index: EmbeddedIndex, folder: Path) -> None:
        (folder.parent / "victim").mkdir()
        for name in ("../../victim", "..", "/etc"):
            with pytest.raises(BadInput):
                index.drop(name)
        assert (folder.parent / "victim").exists()


class TestThreads:
    def test_queries_run_during_upserts_and_see_each_write_at_once(self, index: EmbeddedIndex) -> None:
        index.create("docs", SPEC)
        written = 0
        failures: list[BaseException] = []
        done = threading.Event()

        def read() -> None:
            try:
                while not done.is_set():
                    before = written
                    assert index.count("docs", OWNER) >= before
                    hits = index.query("docs", [DenseLeg((1.0, 2.0, 0.5), 5000)], OWNER)[0]
                    assert len(hits) >= before
            except BaseException as error:
                failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for start in range(0, 1500, 100):
            index.upsert("docs", [record(number) for number in range(start, start + 100)], OWNER)
            written = start + 100
            assert len(index.fetch("docs", [str(uuid.UUID(int=start))], OWNER)) == 1
        done.set()
        for reader in readers:
            reader.join()
        assert failures == []

    def test_a_collection_dropped_under_its_readers_is_not_found(self, index: EmbeddedIndex) -> None:
        outcomes: list[object] = []

        def read() -> None:
            try:
                while True:
                    index.count("docs", OWNER)
            except BaseException as error:
                outcomes.append(type(error))

        for _ in range(5):
            index.create("docs", SPEC)
            readers = [threading.Thread(target=read) for _ in range(3)]
            for reader in readers:
                reader.start()
            time.sleep(0.02)
            index.drop("docs")
            for reader in readers:
                reader.join()
        assert set(outcomes) == {CollectionNotFound}

    def test_a_scroll_whose_collection_goes_away_says_so(self, index: EmbeddedIndex) -> None:
        index.create("docs", SPEC)
        index.upsert("docs", [record(number) for number in range(1500)], OWNER)
        pages = index.scroll("docs", OWNER)
        next(pages)
        index.drop("docs")
        with pytest.raises(CollectionNotFound):
            list(pages)

    def test_two_threads_that_create_one_name_make_one_collection(self, index: EmbeddedIndex) -> None:
        outcomes: list[str] = []

        def make() -> None:
            try:
                index.create("docs", SPEC)
                outcomes.append("made")
            except Exception as error:
                outcomes.append(type(error).__name__)

        makers = [threading.Thread(target=make) for _ in range(4)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        assert sorted(outcomes) == ["CollectionExists"] * 3 + ["made"]


def test_importing_the_package_loads_no_engine_and_no_client() -> None:
    engines = {"qdrant_client", "qdrant_edge", "grpc"}
    script = "import sys, rag.index; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert engines.isdisjoint(done.stdout.split())
