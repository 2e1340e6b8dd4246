"""What the tests of the ingestion job read off a report."""

from __future__ import annotations

from collections.abc import Callable

from ingest.report import Report

Run = Callable[..., Report]


def failed(report: Report) -> dict[str, str]:
    """The reasons of the documents that failed, by path."""
    assert len(report.failed) == report.failures
    return {each.path: each.reason for each in report.failed}


def counted(report: Report) -> tuple[int, int, int, int]:
    return report.added, report.replaced, report.kept, report.deleted
