"""Pages of the Kubernetes documentation, ingested with the real encoder and searched as a person would."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from ingest.chunking import embedded_text
from ingest.job import IngestJob
from ingest.report import Report
from ingest.sources import open_source
from rag.encoders import Bm25Encoder, LocalEncoder
from rag.index.embedded import EmbeddedIndex
from rag.index.threaded import ThreadedIndex
from rag.retrieval import Retriever
from rag.schema import Scope
from rag.settings import Settings

PAGES = Path(__file__).parents[3] / "shared" / "data" / "kubernetes" / "pages"
PROBES = "concepts/configuration/liveness-readiness-startup-probes.md"
HOW_TO = "tasks/configure-pod-container/configure-liveness-readiness-startup-probes.md"
SAMPLE = 60

pytestmark = pytest.mark.skipif(
    not PAGES.is_dir(), reason=f"NO REAL CORPUS: {PAGES} is not there, so nothing here was checked"
)


class Corpus(NamedTuple):
    folder: Path
    index: EmbeddedIndex
    settings: Settings
    first: Report
    encoder: LocalEncoder

    def run(self) -> Report:
        return ingested(self.folder, self.index, self.settings, self.encoder)


def ingested(folder: Path, index: EmbeddedIndex, settings: Settings, encoder: LocalEncoder) -> Report:
    with closing(open_source(folder, settings)) as source:
        return IngestJob(index, encoder, Bm25Encoder(), settings).run(source)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, minilm: LocalEncoder) -> Iterator[Corpus]:
    """A fixed sample of pages, ingested once."""
    root = tmp_path_factory.mktemp("corpus")
    names = sorted(each.relative_to(PAGES).as_posix() for each in PAGES.rglob("*.md"))
    wanted = [name for name in (PROBES, HOW_TO) if name in names]
    assert PROBES in wanted
    others = random.Random(60).sample([name for name in names if name not in wanted], SAMPLE - len(wanted))
    for name in (*wanted, *others):
        (root / "pages" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PAGES / name, root / "pages" / name)
    settings = Settings(data_dir=root / "data")
    index = EmbeddedIndex(settings.index_dir)
    first = ingested(root / "pages", index, settings, minilm)
    yield Corpus(root / "pages", index, settings, first, minilm)
    index.close()


def test_every_page_with_text_is_read(corpus: Corpus) -> None:
    assert corpus.first.failed == []
    assert corpus.first.added + len(corpus.first.empty) == SAMPLE
    assert corpus.first.added > SAMPLE * 0.8


def test_no_text_that_is_embedded_is_longer_than_the_encoder_reads(corpus: Corpus) -> None:
    stored = [each.payload for each in corpus.index.scroll("documents", Scope.owner())]
    # A title and headings may have been shortened for embedding, never lengthened: the text alone must fit in any case.
    assert max(corpus.encoder.token_counts([each["text"] for each in stored])) <= corpus.encoder.max_tokens
    whole = corpus.encoder.token_counts(
        [embedded_text(each["title"], each["headings"], each["text"]) for each in stored]
    )
    fitting = sum(count <= corpus.encoder.max_tokens for count in whole)
    assert fitting >= 0.99 * len(whole)


def test_what_hugo_adds_is_not_in_the_text(corpus: Corpus) -> None:
    texts: dict[str, dict[int, str]] = defaultdict(dict)
    for each in corpus.index.scroll("documents", Scope.owner(), ["text", "title", "path", "ordinal"]):
        texts[each.payload["path"]][each.payload["ordinal"]] = each.payload["text"]
        assert each.payload["title"]
    for path, chunks in texts.items():
        prose = re.sub(r"```.*?(```|\Z)|`[^`]*`", "", "\n".join(chunks[n] for n in sorted(chunks)), flags=re.DOTALL)
        assert "{{<" not in prose, path
        assert "<!--" not in prose, path


def test_a_question_about_readiness_probes_finds_their_page_first(
    corpus: Corpus, minilm: LocalEncoder, settings: Callable[..., Settings]
) -> None:
    retriever = Retriever(ThreadedIndex(corpus.index), minilm, Bm25Encoder(), settings())
    found = asyncio.run(retriever.search("What does a readiness probe do?", Scope()))
    assert found.passages[0].path in {PROBES, HOW_TO}
    assert found.relevance is not None
    assert found.relevance > 0.5


def test_a_second_run_keeps_every_page(corpus: Corpus) -> None:
    before = {each.id for each in corpus.index.scroll("documents", Scope.owner(), [])}
    again = corpus.run()
    assert (again.added, again.replaced, again.deleted, again.kept) == (0, 0, 0, corpus.first.added)
    assert {each.id for each in corpus.index.scroll("documents", Scope.owner(), [])} == before
