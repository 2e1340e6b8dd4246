"""Documents that an evaluation hides from a question."""

from __future__ import annotations

import asyncio

from eval.answers.hiding import HidingIndex
from rag.index.interface import DenseLeg, SparseLeg
from rag.point_ids import point_id
from rag.schema import Document, Scope, SparseVector
from tests.retrieval_kit import READER, MemoryIndex, hits

LEGS = [DenseLeg([1.0, 0.0], 5), SparseLeg(SparseVector((1,), (1.0,)), 5)]


def chunk(uri: str, ordinal: int, scope: Scope = READER) -> str:
    return point_id(Document(uri, "", "", "", "hash"), ordinal, "structure-2:96", scope)


def found(index: HidingIndex, *hidden: str) -> list[list[str]]:
    async def asked() -> list[list[str]]:
        with index.without(frozenset(hidden)):
            return [[each.id for each in leg] for leg in await index.query("documents", LEGS, READER)]

    return asyncio.run(asked())


def test_every_chunk_of_a_hidden_document_is_gone_from_both_legs_and_others_move_up() -> None:
    a, b, elsewhere = [chunk("a", 0), chunk("a", 7)], chunk("b", 0), chunk("a", 0, Scope("rival"))
    legs = {"dense": hits((a[1], 0.9), (b, 0.8)), "sparse": hits((elsewhere, 3.0), (b, 2.0), (a[0], 1.0))}
    index = HidingIndex(MemoryIndex({}, **legs))
    assert found(index, "a") == [[b], [elsewhere, b]]
    assert found(index, "a", "b") == [[], [elsewhere]]
    assert found(index) == [[a[1], b], [elsewhere, b, a[0]]]
