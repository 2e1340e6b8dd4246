"""The collections that the ablation asks, made once for each way of indexing, and what is measured on them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ablation_quality import Ready, Scores, scored
from ablation_rows import DEFAULT, Row
from ingest_measuring import say
from kept_vectors import KeptEncoder, KeptVectors
from remembered_legs import RememberedLegs

from eval.datasets import Dataset, Query
from eval.indexing import Indexed, bring_in, collection_name, own_index
from eval.progress import Show
from librarian import open_ingestor
from rag.encoders import CachedEncoder, DenseEncoder, LocalEncoder, PrefixedEncoder, sparse_encoder
from rag.index import open_async_index, open_index
from rag.index.interface import Hit
from rag.settings import Settings

WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Milliseconds:
    """Of whole searches, a row's and the default's by turns: medians, and that of the differences query by query."""

    own: float
    default: float
    difference: float


class Bench:
    """The sets' collections in a folder of their own; every document is encoded once, every index made once."""

    def __init__(self, keep: Path, local: LocalEncoder, show: Show) -> None:
        self._keep, self._local, self._show = keep, local, show
        self._remembering = CachedEncoder(local, 100_000)  # every row asks the same questions
        self._kept = KeptVectors(keep, local)
        self._legs: dict[Hashable, list[list[Hit]]] = {}
        self._ready: dict[str, Indexed] = {}

    def quality(self, row: Row, dataset: Dataset) -> Scores:
        """Each question's score, by its id."""
        return asyncio.run(self._scored(self._made_ready(row, dataset, self._remembering), dataset))

    def milliseconds(self, row: Row, dataset: Dataset, queries: Sequence[Query], rounds: int) -> Milliseconds:
        """Each query in each round asked of both, the one after the other, the first of them by turns."""
        pair = [self._made_ready(each, dataset, self._local) for each in (DEFAULT, row)]
        return asyncio.run(_milliseconds(pair, [each.text for each in queries], rounds))

    async def _scored(self, ready: Ready, dataset: Dataset) -> Scores:
        index = open_async_index(ready.settings)
        try:
            return await scored(ready, RememberedLegs(index, self._legs).index, dataset)
        finally:
            await index.close()

    def _made_ready(self, row: Row, dataset: Dataset, encoder: DenseEncoder) -> Ready:
        settings = own_index(Settings(data_dir=self._keep, **row.changes))
        inner: DenseEncoder = KeptEncoder(encoder, self._kept)
        dense = PrefixedEncoder(inner, settings.query_prefix) if settings.query_prefix else inner
        encoders = (dense, sparse_encoder(settings))
        name = collection_name(dataset, settings, *encoders)
        if name not in self._ready:
            say(f"bringing {name} in line with {dataset.source}")
            with closing(open_index(settings)) as index:
                self._ready[name] = bring_in(index, settings, dataset, encoders, open_ingestor, self._show)
            self._kept.save()
        return Ready(settings, encoders, self._ready[name])


async def _milliseconds(pair: Sequence[Ready], queries: Sequence[str], rounds: int) -> Milliseconds:
    index = open_async_index(pair[0].settings)
    try:
        searches = [each.search(index) for each in pair]
        for query in queries[:WARM_UP]:
            for search in searches:
                await search(query)
        taken = np.empty((rounds * len(queries), len(pair)))
        for number in range(len(taken)):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                started = time.perf_counter()
                await searches[which](queries[number % len(queries)])
                taken[number, which] = (time.perf_counter() - started) * 1e3
    finally:
        await index.close()
    default, own = np.median(taken, axis=0)
    return Milliseconds(float(own), float(default), float(np.median(taken[:, 1] - taken[:, 0])))
