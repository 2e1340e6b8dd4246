"""What `librarian ingest` can be asked for beside the plain run: a plan, drift, shards, groups, limits, a stop."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest.commanding import _write, asked
from ingest.job import IngestJob
from ingest.options import Options, Shard
from ingest.report import Drift, PlanReport, Progress, Report
from ingest.sources import open_source
from rag.encoders import Bm25Encoder
from rag.errors import Cancelled, SourceError, TooManyFailures
from rag.index.embedded import EmbeddedIndex
from rag.schema import Scope
from rag.settings import Settings
from tests.ingest_kit import DictSource, HashEncoder, paths, stored, write_folder

TEXT = "A sentence about pods and nodes and probes. " * 12


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    opened = EmbeddedIndex(tmp_path / "index")
    yield opened
    opened.close()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = write_folder(tmp_path / "docs", {f"{name}.md": f"# {name}\n\n{TEXT}" for name in "abcd"})
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))
    return folder


class Jobs:
    """Jobs over one index, with a source and options as named."""

    def __init__(self, index: EmbeddedIndex, settings: Settings) -> None:
        self.index = index
        self.settings = settings
        self.encoder = HashEncoder()

    def __call__(self, options: Options | None = None) -> IngestJob:
        return IngestJob(self.index, self.encoder, Bm25Encoder(), self.settings, options)

    def run(self, path: Path, options: Options | None = None, **more: Any) -> Report:
        with closing(open_source(path, self.settings)) as source:
            return self(options).run(source, **more)

    def plan(self, path: Path, options: Options | None = None) -> PlanReport:
        with closing(open_source(path, self.settings)) as source:
            return self(options).plan(source)

    def check(self, path: Path) -> Drift:
        with closing(open_source(path, self.settings)) as source:
            return self().check(source)


@pytest.fixture
def jobs(index: EmbeddedIndex, settings: Callable[..., Settings]) -> Jobs:
    return Jobs(index, settings())


def change(docs: Path) -> None:
    """One document replaced, one deleted, one new; two stay."""
    (docs / "a.md").write_text("# a\n\nOther words.")
    (docs / "b.md").unlink()
    (docs / "new.md").write_text("New words.")


class TestPlan:
    def test_a_plan_counts_what_a_run_would_do_and_changes_nothing(self, jobs: Jobs, docs: Path) -> None:
        jobs.run(docs)
        change(docs)
        before, encoded = stored(jobs.index), len(jobs.encoder.texts)
        plan = jobs.plan(docs)
        assert plan.counts == {"add": 1, "replace": 1, "delete": 1, "keep": 2}
        assert plan.bytes["add"] == len("New words.")
        assert plan.named["replace"] == ["a.md"]
        assert [each.endswith("b.md") for each in plan.named["delete"]] == [True]
        assert (stored(jobs.index), len(jobs.encoder.texts)) == (before, encoded)
        report = jobs.run(docs)
        assert (report.added, report.replaced, report.deleted, report.kept) == (1, 1, 1, 2)

    def test_a_plan_over_nothing_makes_no_collection(self, jobs: Jobs, docs: Path) -> None:
        assert jobs.plan(docs).counts["add"] == 4
        assert jobs.index.collections() == []


class TestDrift:
    def test_there_is_none_after_a_run(self, jobs: Jobs, docs: Path) -> None:
        (docs / "empty.md").write_text("---\ntitle: only a head\n---\n")
        jobs.run(docs)
        drift = jobs.check(docs)
        assert not drift.any
        assert drift.same == 4

    def test_each_kind_of_drift_is_named(self, jobs: Jobs, docs: Path) -> None:
        jobs.run(docs)
        change(docs)
        (docs / "binary.md").write_bytes(b"\0\1\2" * 50)
        lost = next(each for each, payload in stored(jobs.index).items() if payload["path"] == "c.md")
        jobs.index.delete("documents", [lost], Scope.owner())
        drift = jobs.check(docs)
        assert drift.counts == {"missing": 1, "changed": 1, "damaged": 1, "gone": 1}
        assert (drift.named["missing"], drift.named["changed"], drift.named["damaged"]) == (
            ["new.md"],
            ["a.md"],
            ["c.md"],
        )
        assert [each.path for each in drift.failed] == ["binary.md"]
        jobs.run(docs)
        assert not jobs.check(docs).any

    def test_content_that_changed_behind_an_unchanged_size_and_time_is_found(self, jobs: Jobs, docs: Path) -> None:
        jobs.run(docs)
        (docs / "a.md").write_text(f"# z\n\n{TEXT}")
        os.utime(docs / "a.md", (1e9, 1e9))
        assert jobs.run(docs).kept == 4
        assert jobs.check(docs).named["changed"] == ["a.md"]


class TestOptions:
    def test_groups_and_metadata_are_given_to_every_document(self, jobs: Jobs, docs: Path) -> None:
        jobs.run(docs, Options(groups=("staff",), metadata={"team": "ops"}))
        points = stored(jobs.index)
        assert all((each["groups"], each["metadata"]["team"]) == (["staff"], "ops") for each in points.values())
        assert jobs.index.count("documents", Scope("default", frozenset({"others"}))) == 0
        assert jobs.run(docs).replaced == 4
        assert all(each["groups"] == [] for each in stored(jobs.index).values())

    def test_without_pruning_nothing_is_deleted_for_being_gone(self, jobs: Jobs, docs: Path) -> None:
        jobs.run(docs)
        change(docs)
        report = jobs.run(docs, Options(prune=False))
        assert (report.added, report.replaced, report.deleted) == (1, 1, 0)
        assert "b.md" in paths(stored(jobs.index))

    def test_shards_cover_every_document_once_and_a_retried_one_repeats_its_own_only(
        self, jobs: Jobs, docs: Path
    ) -> None:
        for number in range(20):
            (docs / f"{number}.md").write_text(TEXT)
        reports = [jobs.run(docs, Options(shard=Shard(each, 3))) for each in range(3)]
        assert sum(each.added for each in reports) == 24
        assert all(each.added for each in reports)
        assert len(paths(stored(jobs.index))) == 24
        again = jobs.run(docs, Options(shard=Shard(1, 3)))
        assert (again.added, again.deleted, again.kept) == (0, 0, reports[1].added)

    def test_only_named_documents_are_tried_again_and_nothing_is_deleted(self, jobs: Jobs, docs: Path) -> None:
        jobs.run(docs)
        change(docs)
        report = jobs.run(docs, only=frozenset({(docs / "new.md").as_uri()}))
        assert (report.added, report.replaced, report.deleted, report.kept) == (1, 0, 0, 0)


class TestStopping:
    def test_more_failures_than_allowed_stop_the_job_and_delete_nothing(self, jobs: Jobs, docs: Path) -> None:
        jobs.run(docs)
        (docs / "a.md").unlink()
        for number in range(30):
            (docs / f"{number}.md").write_bytes(b"\0\1\2" * 50)
        with pytest.raises(TooManyFailures, match="max-failures") as raised:
            jobs.run(docs)
        assert raised.value.failures
        assert "a.md" in paths(stored(jobs.index))
        with pytest.raises(TooManyFailures):
            jobs.run(docs, Options(max_failures=3))
        assert jobs.run(docs, Options(max_failures=30)).failures == 30

    def test_few_documents_may_fail_whatever_their_share(self, jobs: Jobs, docs: Path) -> None:
        for number in range(3):
            (docs / f"{number}.md").write_bytes(b"\0\1\2" * 50)
        assert jobs.run(docs).failures == 3

    def test_a_job_that_is_cancelled_keeps_what_it_wrote_and_the_next_goes_on(self, jobs: Jobs, docs: Path) -> None:
        for number in range(200):
            (docs / f"{number}.md").write_text(f"{number} {TEXT}")
        chunks = 0

        def on_progress(progress: Progress) -> None:
            nonlocal chunks
            chunks = progress.chunks

        with pytest.raises(Cancelled):
            jobs.run(docs, on_progress=on_progress, cancelled=lambda: chunks > 300)
        written = len(paths(stored(jobs.index)))
        assert 0 < written < 204
        report = jobs.run(docs)
        assert report.added + report.replaced + report.kept == 204
        assert report.kept > 0
        assert not jobs.check(docs).any

    def test_a_listing_that_breaks_off_is_an_error_and_deletes_nothing(self, jobs: Jobs) -> None:
        source = DictSource({f"{each}.md": TEXT.encode() for each in "abcd"})
        jobs().run(source)
        del source.documents["a.md"]
        source.fails_after = 2
        with pytest.raises(SourceError, match="broke off"):
            jobs().run(source)
        assert len(paths(stored(jobs.index))) == 4

    def test_a_long_document_is_written_whole(self, jobs: Jobs, docs: Path) -> None:
        (docs / "long.md").write_text("\n\n".join(f"{n}. {TEXT}" for n in range(400)))
        report = jobs.run(docs)
        assert report.chunks > 2048
        assert not jobs.check(docs).any
        (docs / "long.md").write_text("Short now.")
        jobs.run(docs)
        assert [each["text"] for each in stored(jobs.index).values() if each["path"] == "long.md"] == ["Short now."]


class TestTryingAgain:
    def test_a_failures_file_keeps_the_readers_and_the_metadata(self, docs: Path, jobs: Jobs, tmp_path: Path) -> None:
        (docs / "bad.md").write_bytes(b"\0\1\2" * 50)
        settings, file = jobs.settings, tmp_path / "failures.jsonl"
        first = asked(settings, [str(docs)], "staff", ["team=ops"], [], ["*.txt"], True, None, None, file)
        report = jobs.run(docs, first.options)
        _write(first, report.failed)
        again = asked(settings, [], None, [], [], [], True, None, file, None)
        assert again.options.groups == ("staff",)
        assert again.options.metadata == {"team": "ops"}
        assert again.exclude == ("*.txt",)
        assert again.only == frozenset({(docs / "bad.md").as_uri()})
        (docs / "bad.md").write_text("Mended.")
        assert jobs.run(docs, again.options, only=again.only).added == 1
        assert all(each["groups"] == ["staff"] for each in stored(jobs.index).values())

    def test_a_share_of_failures_counts_each_document_once(self, docs: Path, jobs: Jobs) -> None:
        for number in range(40):
            (docs / f"{number}.md").write_bytes(b"\0\1\2" * 50)
        with pytest.raises(TooManyFailures):
            jobs.run(docs, Options(max_failures=0.8))
