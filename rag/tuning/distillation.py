"""Learning from a reranker: an encoder is to order a pair's passages as a cross-encoder does, which reads them together
with the question.

The loss is the divergence of the encoder's distribution over a pair's answer and negatives from the reranker's
(Lin et al., Distilling Dense Representations for Ranking using Tightly-Coupled Teachers, 2020), beside the ranking
loss over the batch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rag.tuning.errors import BadPairs
from rag.tuning.options import EncoderTraining, Step, Tell
from rag.tuning.pairs import PairSet

LABEL = "label"
_SCORED_AT_ONCE = 32


def check_distillable(pairs: PairSet, options: EncoderTraining) -> None:
    """Raise BadPairs where there is no order to learn, or where the options cannot be joined with a teacher."""
    if options.mini_batch:
        raise BadPairs("a teacher's scores cannot be learnt in mini-batches: leave out --mini-batch or --teacher.")
    if not options.negatives or not any(each.negatives for each in pairs.pairs):
        raise BadPairs(
            f"a teacher orders an answer and its negatives, but {pairs.folder} has none, or --negatives is 0."
        )


def with_teacher(rows: Any, folder: Path, tell: Tell) -> Any:
    """Training rows (question, answer, negatives) with the cross-encoder's logits [passages] of each as its label.

    `tell` hears of it as of steps without a loss.
    """
    import torch
    from sentence_transformers import CrossEncoder

    teacher = CrossEncoder(str(folder), num_labels=1, local_files_only=True)
    question, *passages = rows.column_names
    found: list[list[float]] = []
    for start in range(0, len(rows), _SCORED_AT_ONCE):
        batch = rows[start : start + _SCORED_AT_ONCE]
        asked = [(query, batch[name][at]) for at, query in enumerate(batch[question]) for name in passages]
        logits = teacher.predict(asked, show_progress_bar=False, activation_fn=torch.nn.Identity())
        found += logits.reshape(-1, len(passages)).tolist()
        tell(Step(len(found), len(rows)))
    return rows.add_column(LABEL, found)


def distilled_loss(model: Any, ranking: Any, scale: float, weight: float) -> Any:
    """`ranking` (a multiple negatives ranking loss) plus `weight` times the divergence from the teacher's scores, which
    come as the batch's labels [batch, passages]. Texts go through the model once for both."""
    import torch
    from sentence_transformers.sentence_transformer import losses
    from sentence_transformers.util import pairwise_cos_sim

    teaching = losses.DistillKLDivLoss(
        model, similarity_fct=pairwise_cos_sim, student_temperature=1 / scale, teacher_temperature=1.0
    )

    class Distilled(torch.nn.Module):
        """The sum of both."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.ranking = ranking

        def forward(self, sentence_features: Any, labels: Any) -> Any:
            embeddings = [self.model(each)["sentence_embedding"] for each in sentence_features]
            order = self.ranking.compute_loss_from_embeddings(embeddings, None)
            # The library scales its loss by the square of the student's temperature, which leaves next to nothing.
            return order + weight * scale**2 * teaching.compute_loss_from_embeddings(embeddings, labels)

    return Distilled()
