"""The arithmetic of `librarian size`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import BadInput
from rag.sizing import Load, size

loads = st.builds(
    Load,
    documents=st.integers(1, 10**9),
    chunks_per_document=st.floats(0.1, 1000),
    dimensions=st.integers(1, 8192),
    copies=st.integers(1, 5),
    quantized=st.booleans(),
)


def test_a_million_pages_by_hand() -> None:
    found = size(Load(documents=1_000_000, chunks_per_document=4, copies=2))
    assert found.chunks == 4_000_000
    assert found.vector_bytes == 4_000_000 * 384 * 4 * 2
    assert found.graph_bytes == 4_000_000 * 32 * 4 * 2
    assert found.keyword_bytes == 4_000_000 * 60 * 8 * 2
    assert found.memory_bytes == 1.5 * (found.vector_bytes + found.graph_bytes + found.keyword_bytes)
    assert found.nodes == 2  # 25.7 GB on nodes of 32 GiB, and one for each copy
    assert found.ingestion_hours == pytest.approx(4_000_000 / (75 * 8) / 3600)


@given(loads)
def test_more_documents_never_take_less(load: Load) -> None:
    less, more = size(load), size(replace(load, documents=load.documents * 2))
    assert more.chunks >= less.chunks
    assert more.memory_bytes >= less.memory_bytes
    assert more.disk_bytes >= less.disk_bytes
    assert more.nodes >= less.nodes
    assert less.nodes >= load.copies


@given(loads)
def test_quantization_saves_memory_and_costs_disk(load: Load) -> None:
    whole, small = size(replace(load, quantized=False)), size(replace(load, quantized=True))
    assert small.memory_bytes <= whole.memory_bytes
    assert small.disk_bytes >= whole.disk_bytes


@pytest.mark.parametrize("field", ["documents", "dimensions", "copies", "answers_per_second", "node_memory_gib"])
def test_nothing_and_less_are_refused_by_name(field: str) -> None:
    with pytest.raises(BadInput, match=field.replace("_", "-")):
        Load(**{"documents": 1, field: 0})
