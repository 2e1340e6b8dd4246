"""The scores and the order of hits, the same with every driver."""

from __future__ import annotations

import math
import uuid

import numpy as np
import pytest

from rag.index import CollectionSpec, DenseLeg, Index, SparseLeg
from rag.schema import Scope, SparseVector
from tests.integration.index_contract.drivers import OWNER, SPEC, Names, point, record, sparse


class TestRanking:
    """The same data, the same ranking, whatever the driver: compared with plain numpy and the IDF formula."""

    COUNT, DIMENSIONS, WORDS = 200, 32, 50

    def corpus(self) -> tuple[np.ndarray, list[SparseVector]]:
        random = np.random.default_rng(7)
        vectors = random.standard_normal((self.COUNT, self.DIMENSIONS)).astype(np.float32)
        words = []
        for _ in range(self.COUNT):
            indices = np.unique(random.zipf(1.5, 12) % self.WORDS)
            words.append(SparseVector(tuple(indices.tolist()), tuple(random.uniform(0.5, 2, len(indices)).tolist())))
        return vectors, words

    def filled(self, index: Index, name: str) -> tuple[np.ndarray, list[SparseVector]]:
        vectors, words = self.corpus()
        index.create(name, CollectionSpec(self.DIMENSIONS))
        for tenant in ("even", "odd"):
            numbers = range(tenant == "odd", self.COUNT, 2)
            records = [record(n, dense=vectors[n].tolist(), sparse=words[n]) for n in numbers]
            index.upsert(name, records, Scope.owner(tenant))
        return vectors, words

    def test_dense_hits_are_the_nearest_by_cosine(self, index: Index, names: Names) -> None:
        vectors, _ = self.filled(index, names.docs)
        query = np.random.default_rng(8).standard_normal(self.DIMENSIONS) * 40
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        scores = unit @ (query / np.linalg.norm(query))
        order = [n for n in np.argsort(-scores) if n % 2 == 0][:20]
        (hits,) = index.query(names.docs, [DenseLeg(query.tolist(), 20)], Scope.owner("even"))
        assert [uuid.UUID(hit.id).int for hit in hits] == order
        assert [hit.score for hit in hits] == pytest.approx(scores[order].tolist(), abs=1e-3)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)

    def test_cosines_stay_between_minus_one_and_one(self, index: Index, names: Names) -> None:
        vectors, _ = self.filled(index, names.docs)
        for number in range(0, self.COUNT, 10):
            legs = [DenseLeg((sign * vectors[number]).tolist(), self.COUNT) for sign in (1, -1)]
            towards, away = index.query(names.docs, legs, Scope.owner("even"))
            assert towards[0].score == pytest.approx(1, abs=1e-3)
            assert away[-1].score == pytest.approx(-1, abs=1e-3)
            assert all(-1 <= hit.score <= 1 for hit in (*towards, *away))

    def test_weights_that_were_learnt_are_not_weighed_by_rarity_again(self, index: Index, names: Names) -> None:
        vectors, words = self.corpus()
        index.create(names.docs, CollectionSpec(self.DIMENSIONS, {"sparse": {"name": "splade", "idf": False}}))
        index.upsert(
            names.docs,
            [record(n, dense=vectors[n].tolist(), sparse=words[n]) for n in range(self.COUNT)],
            Scope.owner("even"),
        )
        asked = dict(zip((1, 2, 3, 17), (1.0, 0.5, 2.0, 1.0), strict=True))
        (hits,) = index.query(
            names.docs, [SparseLeg(SparseVector(tuple(asked), tuple(asked.values())), 10)], Scope.owner("even")
        )
        held = [dict(zip(each.indices, each.values, strict=True)) for each in words]
        products = sorted(sum(asked.get(word, 0) * weight for word, weight in each.items()) for each in held)[::-1]
        assert [hit.score for hit in hits] == pytest.approx(products[:10], rel=1e-4)

    def test_sparse_scores_are_dot_products_with_the_whole_collections_idf(self, index: Index, names: Names) -> None:
        """idf = ln(1 + (N - df + 0.5) / (df + 0.5)) with N and df over all tenants, whatever the filter."""
        _, words = self.filled(index, names.docs)
        asked = SparseVector((1, 2, 3, 17, 49), (1.0, 0.5, 2.0, 1.0, 1.0))
        idf = {}
        for word in asked.indices:
            df = sum(word in each.indices for each in words)
            idf[word] = math.log(1 + (self.COUNT - df + 0.5) / (df + 0.5))
        expected = {}
        for number in range(1, self.COUNT, 2):
            weights = dict(zip(words[number].indices, words[number].values, strict=True))
            pairs = zip(asked.indices, asked.values, strict=True)
            if set(weights) & set(asked.indices):
                expected[point(number)] = sum(value * idf[word] * weights.get(word, 0) for word, value in pairs)
        (hits,) = index.query(names.docs, [SparseLeg(asked, self.COUNT)], Scope.owner("odd"))
        assert {hit.id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-3)
        assert [hit.id for hit in hits] == sorted(expected, key=lambda each: -expected[each])

    def test_points_without_a_sparse_vector_do_not_count_into_the_idf(self, index: Index, names: Names) -> None:
        index.create(names.docs, SPEC)
        with_words = [record(n, sparse=SparseVector((1,) if n else (2,), (1.0,))) for n in range(4)]
        index.upsert(names.docs, [*with_words, *(record(n) for n in range(10, 20))], OWNER)
        (hits,) = index.query(names.docs, [sparse(2)], OWNER)
        assert hits[0].score == pytest.approx(math.log(1 + (4 - 1 + 0.5) / (1 + 0.5)), abs=1e-3)
