"""Several examples as one row without padding, what they all begin with computed once.

Every prompt opens with the same instructions. A token sees only what stands before it, so the instructions' hidden
states are the same for all examples of a step, with the adapter as without. In the row they stand once; an attention
mask lets each example see them and itself, at the positions that it would have alone. Loss and gradients are those of
the examples one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IGNORED = -100


def packed(rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, Any]:
    """One batch of one row: `input_ids`, `labels`, `position_ids` [1, n], and what is added to the scores of attention,
    `attention_mask` [1, 1, n, n]. Each of `rows` has `input_ids` and `labels`; its first token is the prompt's."""
    import torch

    ids = [list(each["input_ids"]) for each in rows]
    labels = [list(each["labels"]) for each in rows]
    asked = min(next(at for at, label in enumerate(each) if label != IGNORED) for each in labels)
    shared = min(_shared(ids), asked - 1) if len(ids) > 1 else 0
    lengths = [shared, *(len(each) - shared for each in ids)]
    owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    position = torch.tensor([*range(shared), *(at for each in ids for at in range(shared, len(each)))])
    sees = ((owner[:, None] == owner) | (owner == 0)) & (position[:, None] >= position)
    mask = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)
    return {
        "input_ids": torch.tensor([[*ids[0][:shared], *(one for each in ids for one in each[shared:])]]),
        "labels": torch.tensor([[IGNORED] * shared + [one for each in labels for one in each[shared:]]]),
        "position_ids": position[None],
        "attention_mask": mask[None, None],
    }


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all rows begin with."""
    columns = zip(*rows, strict=False)
    return next((at for at, column in enumerate(columns) if len(set(column)) > 1), min(map(len, rows)))
