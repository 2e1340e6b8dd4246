"""Pairs from the documents of an index: questions are gathered, documents parted, and each question is mined."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.datasets import Dataset, open_dataset
from eval.indexing import Indexed, OpenIngestor, bring_in, every_document, own_index
from eval.make.candidates import sections
from eval.make.making import make_questions, source_of
from eval.progress import Show
from eval.tune.questions import feedback_documents, from_feedback, from_model, from_qrels, from_structure
from rag.encoders import DenseEncoder, SparseEncoder, dense_encoder, sparse_encoder
from rag.errors import BadInput
from rag.index import Index, open_index
from rag.schema import Scope
from rag.settings import Settings
from rag.tuning.errors import BadPairs
from rag.tuning.mining import Miner, Question
from rag.tuning.pairs import HeldOut, Pair, PairsCard, PairSet, write_pairs
from rag.tuning.splitting import held_out_documents

# Passages among which a held-out question's own are to be found, beside those of the other questions.
CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to make pairs of. `documents` is a folder or a corpus.jsonl, which is indexed beside people's collections;
    None: those of `qrels`, or of the settings' collection. `structure` and `model` are how many questions to make."""

    out: Path
    documents: Path | None = None
    qrels: Path | None = None
    split: str = "train"
    feedback: Path | None = None
    structure: int = 0
    model: int = 0
    seed: int = 0
    share_held_out: float = 0.1
    negatives: int = 4
    margin: float = 0.05
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class _Corpus:
    """An indexed corpus: `uris` by the names that judgements and pairs use."""

    where: Settings
    indexed: Indexed
    encoders: tuple[DenseEncoder, SparseEncoder]

    @property
    def uris(self) -> dict[str, str]:
        return {**{uri: uri for uri in self.indexed.names}, **{name: uri for uri, name in self.indexed.names.items()}}


def make_pairs(wanted: Wanted, settings: Settings, open_ingestor: OpenIngestor, show: Show) -> PairSet:
    """Make the pairs and write them to `wanted.out`.

    Raises BadPairs where none can be made, DatasetError, and what index, encoders, ingestion and model raise.
    """
    if not (wanted.qrels or wanted.feedback or wanted.structure or wanted.model):
        raise BadInput("name what to make pairs of: --qrels DATASET, --feedback FILE, --structure N or --model N.")
    dataset = open_dataset(wanted.qrels, wanted.split) if wanted.qrels else None
    dropped: Counter[str] = Counter()
    made_by_model = _by_model(wanted, settings, open_ingestor, show) if wanted.model else []
    corpus = _corpus(wanted, settings, dataset, open_ingestor, show)
    with closing(open_index(corpus.where)) as index:
        scope = Scope.owner(corpus.where.tenant)
        questions = from_qrels(dataset, corpus.uris, dropped) if dataset else []
        if wanted.feedback:
            questions += from_feedback(wanted.feedback, corpus.uris, dropped)
        if wanted.structure:
            found = sections(index, corpus.indexed, scope)
            questions += from_structure(found, corpus.uris, wanted.structure, wanted.seed, dropped)
        questions += from_model(made_by_model, corpus.uris)
        pairs, held_out = _mined(wanted, questions, corpus, index, scope, show)
    if not pairs:
        raise BadPairs(f"no pair could be made: {len(questions)} questions were found, {_reasons(dropped)}.")
    card = PairsCard(
        name=_name(wanted, dataset, settings),
        sha256="",
        held_out_sha256="",
        pairs=0,
        held_out=0,
        by_source={},
        seed=wanted.seed,
        share_held_out=wanted.share_held_out,
        margin=wanted.margin,
        negatives=wanted.negatives,
        mined_with=corpus.indexed.built_with,
        dropped=dict(dropped),
        licence=wanted.licence,
    )
    return write_pairs(wanted.out, pairs, held_out, card)


def _corpus(
    wanted: Wanted, settings: Settings, dataset: Dataset | None, open_ingestor: OpenIngestor, show: Show
) -> _Corpus:
    documents = wanted.documents or (dataset.folder if dataset else None)
    where = own_index(settings) if documents else settings
    encoders = (dense_encoder(where), sparse_encoder(where))
    with closing(open_index(where)) as index:
        if documents is None:
            named = feedback_documents(wanted.feedback) if wanted.feedback else ()
            return _Corpus(where, every_document(index, where, where.collection, named), encoders)
        if dataset is None or wanted.documents:
            dataset = _unjudged(documents)
        return _Corpus(where, bring_in(index, where, dataset, encoders, open_ingestor, show), encoders)


def _unjudged(documents: Path) -> Dataset:
    source, beir = source_of(documents)
    folder = source.parent if beir else source
    return Dataset(folder.name, folder, source, "", (), {}, synthetic=True, beir=beir, hash="")


def _by_model(wanted: Wanted, settings: Settings, open_ingestor: OpenIngestor, show: Show) -> list[Any]:
    documents = wanted.documents or wanted.qrels
    if documents is None:
        raise BadInput("questions by the model need the documents: --documents FOLDER.")
    made = make_questions(
        documents,
        documents.expanduser().resolve(),
        settings,
        open_ingestor,
        show,
        number=wanted.model,
        seed=wanted.seed,
        with_model=True,
    )
    return list(made.kept)


def _mined(
    wanted: Wanted, questions: list[Question], corpus: _Corpus, index: Index, scope: Scope, show: Show
) -> tuple[list[Pair], list[HeldOut]]:
    miner = Miner(
        index,
        corpus.indexed.collection,
        scope,
        corpus.encoders,
        corpus.indexed.names,
        negatives=wanted.negatives,
        margin=wanted.margin,
    )
    names = corpus.indexed.names
    apart_names = held_out_documents(
        ([names.get(each, each) for each in question.documents] for question in questions),
        wanted.share_held_out,
        wanted.seed,
    )
    apart = {uri for uri, name in names.items() if name in apart_names}
    pairs: list[Pair] = []
    held_out: list[HeldOut] = []
    for number, question in enumerate(questions):
        show("Mining", number, len(questions), f"questions · {len(pairs)} pairs")
        if set(question.documents) & apart:
            held_out.append(miner.held_out(question, CANDIDATES))
        else:
            pairs += miner.pairs(question, apart)
    return pairs, held_out


def _name(wanted: Wanted, dataset: Dataset | None, settings: Settings) -> str:
    parts = [
        f"{dataset.name} {dataset.split}" if dataset else "",
        f"feedback {wanted.feedback.name}" if wanted.feedback else "",
        f"structure of {wanted.documents.name if wanted.documents else settings.collection}"
        if wanted.structure
        else "",
        "questions by the model" if wanted.model else "",
    ]
    return " + ".join(each for each in parts if each)


def _reasons(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} dropped ({reason})" for reason, count in dropped.items()) or "none dropped"
