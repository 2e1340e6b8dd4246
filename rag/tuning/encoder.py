"""Trains an encoder on pairs: the question is to be nearer to what answers it than to everything else in its batch.

Multiple negatives ranking loss (Henderson et al., 2017), with hard negatives as further passages; for batches that do
not fit the memory its cached form (Gao et al., 2021).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.encoders.folder import hash_folder
from rag.encoders.interface import Vectors
from rag.tuning import extra, trainer
from rag.tuning.distillation import LABEL, check_distillable, distilled_loss, with_teacher
from rag.tuning.lora import add_lora, merge_lora
from rag.tuning.options import EncoderTraining, Tell
from rag.tuning.pairs import HeldOut, Pair, PairSet
from rag.tuning.ranking import Encode, encoder_scores
from rag.tuning.state import checkpoints, resumable
from rag.tuning.trained import MODEL, Trained

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_ENCODED_AT_ONCE = 32


def train_encoder(
    base: Path, pairs: PairSet, work: Path, options: EncoderTraining, tell: Tell, teacher: Path | None = None
) -> Trained:
    """Train the sentence-transformers model in the folder `base`; the result lies in `work`/model.

    `teacher` is the folder of a cross-encoder whose order of each pair's passages is learnt as well. A training of the
    same base, pairs and options that was killed goes on from its last checkpoint in `work`. Raises ExtraMissing, and
    BadPairs where there are too few.
    """
    extra.require(extra.ENCODERS)
    pairs.check_enough()
    if teacher:
        check_distillable(pairs, options)
    facts = {"base": hash_folder(base), "pairs": pairs.card.sha256, "options": asdict(options), "kind": "encoder"}
    checkpoint = resumable(work, facts)
    trainer.quiet()
    import torch
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from transformers import set_seed

    started = time.monotonic()
    set_seed(options.seed)
    model = SentenceTransformer(str(base), local_files_only=True)
    reads = int(model.max_seq_length or options.max_tokens)
    before = _scores(model, pairs.held_out)
    if options.lora_rank:
        add_lora(model, options.lora_rank)
    model.max_seq_length = min(reads, options.max_tokens)
    data = _rows(pairs.pairs, options.negatives)
    if teacher:
        data = with_teacher(data, teacher, tell)
    arguments = SentenceTransformerTrainingArguments(
        **trainer.arguments(options, len(data), checkpoints(work)),
        batch_sampler="no_duplicates",  # one twice in a batch would be its own negative
        prompts=_prompts(model, [each for each in data.column_names if each != LABEL]),
    )

    def held_out(current: SentenceTransformer) -> list[float]:
        current.max_seq_length = reads
        found = _scores(current, pairs.held_out)
        current.max_seq_length = min(reads, options.max_tokens)
        return found

    run = trainer.without_cards(SentenceTransformerTrainer, model)(
        model=model,
        args=arguments,
        train_dataset=data,
        loss=_loss(model, options, distilled=teacher is not None),
        evaluator=trainer.evaluator(held_out),
        callbacks=trainer.callbacks(options, tell),
    )
    trainer.train(run, checkpoint)
    if options.lora_rank:
        merge_lora(model)
    model.max_seq_length = reads
    model.eval()
    with torch.no_grad():
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


def _rows(pairs: Sequence[Pair], negatives: int) -> Any:
    """One row a pair, each with as many hard negatives: where a pair has fewer, its own come round again; pairs without
    any are given none only where no pair has one."""
    from datasets import Dataset

    most = min(negatives, max(len(each.negatives) for each in pairs))
    usable = [each for each in pairs if each.negatives] if most else list(pairs)
    columns: dict[str, list[str]] = {
        "query": [each.query for each in usable],
        "document": [each.positive for each in usable],
    }
    for number in range(most):
        columns[f"negative_{number}"] = [each.negatives[number % len(each.negatives)] for each in usable]
    return Dataset.from_dict(columns)


def _prompts(model: SentenceTransformer, columns: Sequence[str]) -> dict[str, str] | None:
    """What the model wants in front of each column's texts; None where it wants nothing."""
    known = model.prompts or {}
    found = {each: str(known.get("query" if each == "query" else "document") or "") for each in columns}
    return found if any(found.values()) else None


def _loss(model: SentenceTransformer, options: EncoderTraining, *, distilled: bool) -> Any:
    from sentence_transformers.sentence_transformer import losses

    if options.mini_batch:
        return losses.CachedMultipleNegativesRankingLoss(model, scale=options.scale, mini_batch_size=options.mini_batch)
    ranking = losses.MultipleNegativesRankingLoss(model, scale=options.scale)
    return distilled_loss(model, ranking, options.scale, options.teacher_weight) if distilled else ranking


def _scores(model: SentenceTransformer, held_out: Sequence[HeldOut]) -> list[float]:
    return encoder_scores(held_out, *encodings(model))


def encodings(model: SentenceTransformer) -> tuple[Encode, Encode]:
    """How the model encodes questions, and how passages."""

    def queries(texts: Sequence[str]) -> Vectors:
        found = model.encode_query(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(found, np.float32)

    def passages(texts: Sequence[str]) -> Vectors:
        found = model.encode_document(
            list(texts), batch_size=_ENCODED_AT_ONCE, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(found, np.float32)

    return queries, passages
