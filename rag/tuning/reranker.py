"""Trains a cross-encoder on pairs: it reads a question with a passage, and says whether that answers.

Binary cross-entropy over the answer and its hard negatives (Nogueira and Cho, 2019). From an encoder's folder it gets a
fresh head; a cross-encoder goes on with its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.encoders.folder import ModelFolder, hash_folder
from rag.tuning import extra, trainer
from rag.tuning.encoder import encodings
from rag.tuning.errors import BadPairs
from rag.tuning.options import RerankerTraining, Tell
from rag.tuning.pairs import HeldOut, Pair, PairSet
from rag.tuning.ranking import reranker_scores
from rag.tuning.state import checkpoints, resumable
from rag.tuning.trained import MODEL, Trained

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_SCORED_AT_ONCE = 32


def train_reranker(base: Path, pairs: PairSet, work: Path, options: RerankerTraining, tell: Tell) -> Trained:
    """Train a cross-encoder from the folder `base`, an encoder's or a cross-encoder's; the result lies in `work`/model.

    Its scores before are those of the base: an encoder's cosines, a cross-encoder's own. A training of the same base,
    pairs and options that was killed goes on from its last checkpoint in `work`. Raises ExtraMissing, and BadPairs
    where there are too few, or none has a negative.
    """
    extra.require(extra.ENCODERS)
    pairs.check_enough()
    if not any(each.negatives for each in pairs.pairs):
        raise BadPairs(f"no pair of {pairs.folder} has a negative, and a reranker learns from those: mine some.")
    facts = {"base": hash_folder(base), "pairs": pairs.card.sha256, "options": asdict(options), "kind": "reranker"}
    checkpoint = resumable(work, facts)
    trainer.quiet()
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from transformers import set_seed

    started = time.monotonic()
    set_seed(options.seed)
    model = CrossEncoder(str(base), num_labels=1, local_files_only=True)
    reads = int(model.max_seq_length or options.max_tokens)
    before = _scores(model, pairs.held_out) if _is_cross_encoder(base) else _cosines(base, pairs.held_out)
    model.max_seq_length = min(reads, options.max_tokens)
    data = _rows(pairs.pairs, options.negatives)
    run = trainer.without_cards(CrossEncoderTrainer, model)(
        model=model,
        args=CrossEncoderTrainingArguments(**trainer.arguments(options, len(data), checkpoints(work))),
        train_dataset=data,
        loss=BinaryCrossEntropyLoss(model),
        evaluator=trainer.evaluator(lambda current: _scores(current, pairs.held_out)),
        callbacks=trainer.callbacks(options, tell),
    )
    trainer.train(run, checkpoint)
    model.max_seq_length = reads
    model.eval()
    after = _scores(model, pairs.held_out)
    model.save_pretrained(str(work / MODEL), create_model_card=False)
    return Trained(
        folder=work / MODEL,
        before=tuple(before),
        after=tuple(after),
        losses=tuple(trainer.losses(run.state.log_history)),
        steps=run.state.global_step,
        seconds=time.monotonic() - started,
        device=str(model.device),
        resumed=checkpoint is not None,
    )


def _is_cross_encoder(base: Path) -> bool:
    named = ModelFolder(str(base)).config.get("architectures")
    return isinstance(named, list) and any(str(each).endswith("ForSequenceClassification") for each in named)


def _rows(pairs: Sequence[Pair], negatives: int) -> Any:
    """One row a question and passage: 1.0 where it answers, 0.0 for each of the hard negatives."""
    from datasets import Dataset

    rows = [
        (pair.query, text, label)
        for pair in pairs
        for text, label in [(pair.positive, 1.0), *((each, 0.0) for each in pair.negatives[:negatives])]
    ]
    queries, passages, labels = zip(*rows, strict=True)
    return Dataset.from_dict({"query": queries, "passage": passages, "label": labels})


def _scores(model: CrossEncoder, held_out: Sequence[HeldOut]) -> list[float]:
    def score(query: str, passages: Sequence[str]) -> list[float]:
        pairs = [(query, each) for each in passages]
        return [float(each) for each in model.predict(pairs, batch_size=_SCORED_AT_ONCE, show_progress_bar=False)]

    return reranker_scores(held_out, score)


def _cosines(base: Path, held_out: Sequence[HeldOut]) -> list[float]:
    from sentence_transformers import SentenceTransformer

    queries, passages = encodings(SentenceTransformer(str(base), local_files_only=True))

    def score(query: str, texts: Sequence[str]) -> list[float]:
        return [float(each) for each in passages(texts) @ queries([query])[0]]

    return reranker_scores(held_out, score)
