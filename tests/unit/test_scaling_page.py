"""docs/scaling.md says what `librarian size` computes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rag.sizing import Load, size

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| ([\d,]+) \| (float32|int8) \| ([\d.,]+) \| ([\d.,]+) \| (\d+) \| (\d+) \| ([\d.]+) \|$", re.MULTILINE
)


def test_the_table_of_sizes_is_the_command_s() -> None:
    rows = ROW.findall(PAGE)
    assert len(rows) == 8
    for chunks, held, memory, disk, nodes, shards, hours in rows:
        found = size(
            Load(
                documents=int(chunks.replace(",", "")),
                chunks_per_document=1,
                copies=2,
                quantized=held == "int8",
                node_memory_gib=64,
                cores=64,
            )
        )
        assert f"{found.memory_bytes / 1e9:,.1f}" == memory
        assert f"{found.disk_bytes / 1e9:,.1f}" == disk
        assert (str(found.nodes), str(found.shards)) == (nodes, shards)
        assert f"{found.ingestion_hours:.2f}" == hours


def test_the_costs_are_those_of_the_command_s_defaults() -> None:
    load = Load(documents=1_000_000)
    prose = " ".join(PAGE.split())
    (core_hours,) = re.findall(r"([\d.]+) core-hours for a million documents", prose)
    assert float(core_hours) == pytest.approx(size(load).ingestion_hours * load.cores, abs=0.05)
    (gpu_hours,) = re.findall(r"([\d.]+) GPU-hours for a thousand answers", prose)
    assert float(gpu_hours) == pytest.approx(1000 * load.answer_tokens / load.gpu_tokens_per_second / 3600, abs=5e-4)


def test_int8_saves_the_memory_that_was_measured() -> None:
    """The arithmetic takes a byte a dimension; the engine's file has four more a vector."""
    (measured,) = re.findall(r"^\| int8 \| (\d+) \|", PAGE, re.MULTILINE)
    assert int(measured) == pytest.approx(384, rel=0.02)
