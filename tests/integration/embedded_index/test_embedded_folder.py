"""An embedded index's folder: opened again, moved, damaged."""

from __future__ import annotations

import math
import shutil
import uuid
from pathlib import Path

import pytest

from rag.errors import BadInput, IndexUnavailable
from rag.index import DenseLeg, SparseLeg, holder
from rag.index.embedded import EmbeddedIndex
from rag.schema import SparseVector
from tests.integration.embedded_index.processes import OWNER, SPEC, record


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
