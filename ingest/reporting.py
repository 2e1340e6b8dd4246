"""What `librarian ingest` prints at its end: for people, or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ingest.report import Drift, Failure, PlanReport, Report
from librarian import one_line

SHOWN_FAILURES = 20
_SHOWN_NAMES = 5


def print_report(report: Report, as_json: bool, failures_file: Path) -> None:
    """What was done, and what failed and why."""
    if as_json:
        _as_json({**asdict(report), "failures_file": str(failures_file) if report.failures else None})
    else:
        rate = f", {report.chunks / report.seconds:.0f}/s" if report.chunks and report.seconds else ""
        print(
            f"{report.collection}: {report.added} added, {report.replaced} replaced, {report.deleted} deleted, "
            f"{report.kept} kept, {report.failures} failed; "
            f"{report.chunks} chunks written in {report.seconds:.1f} s{rate}"
        )
        if report.empties:
            print(f"{report.empties} documents hold no text and were left out: {_names(report.empty, report.empties)}")
        _print_skipped(report.skipped)
    if report.failures and not as_json:
        _print_failed(report.failed, report.failures)
        print(one_line(f"try them again with: librarian ingest --retry {failures_file}"), file=sys.stderr)


def print_plan(plan: PlanReport, as_json: bool) -> None:
    """What would be done."""
    if as_json:
        _as_json(plan)
        return
    print(f"plan for {plan.collection} (nothing was changed):")
    for action, count in plan.counts.items():
        size = f"  {_size(plan.bytes[action])}" if action != "delete" else ""
        names = plan.named.get(action, ())
        print(f"  {action:8}{count:>9}{size:>10}  {_names(names, count) if names else ''}".rstrip())
    _print_skipped(plan.skipped)
    _print_failed(plan.failed, plan.failures)


def print_drift(drift: Drift, as_json: bool) -> None:
    """How the index differs from the source."""
    if as_json:
        _as_json({**asdict(drift), "drift": drift.any})
        return
    if not drift.any:
        print(f"{drift.collection}: no drift: {drift.same} documents are in the index just as in the source")
    else:
        print(f"{drift.collection}: drift ({drift.same} documents are the same):")
        for difference, count in drift.counts.items():
            if count:
                print(f"  {difference:8}{count:>9}  {_names(drift.named[difference], count)}")
        print("`librarian ingest` with the same source mends it")
    _print_failed(drift.failed, drift.failures)


def _as_json(value: PlanReport | dict[str, object]) -> None:
    facts = value if isinstance(value, dict) else asdict(value)
    print(json.dumps(facts, indent=2, ensure_ascii=False))


def _print_skipped(skipped: Mapping[str, int]) -> None:
    if skipped:
        kinds = ", ".join(f"{count} {kind}" for kind, count in list(skipped.items())[:_SHOWN_NAMES])
        print(f"Files of types that are not read: {one_line(kinds)}")


def _print_failed(failed: Sequence[Failure], count: int) -> None:
    for each in failed[:SHOWN_FAILURES]:
        print(one_line(f"failed: {each.path}: {each.reason}"), file=sys.stderr)
    if count > SHOWN_FAILURES:
        print(f"failed: … and {count - SHOWN_FAILURES} more", file=sys.stderr)


def _names(names: Sequence[str], count: int) -> str:
    shown = ", ".join(names[:_SHOWN_NAMES])
    return one_line(f"{shown}, …" if count > _SHOWN_NAMES else shown)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.0f} TB"
