"""What a model, with or without its adapter, says to prompts: greedy, in batches of about equally long prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rag.tuning.adapter.training import Encoded

BATCH = 16


def replies(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Encoded],
    max_tokens: int,
    say: Callable[[int], None] | None = None,
) -> list[str]:
    """One reply for each prompt, of at most `max_tokens` tokens, in the order of the prompts.

    `say` is told how many are done.
    """
    import torch

    model.eval()
    found: dict[int, str] = {}
    order = sorted(range(len(prompts)), key=lambda each: prompts[each].prompt)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        heads = [list(prompts[each].ids[: prompts[each].prompt]) for each in batch]
        longest = max(map(len, heads))
        ids = torch.tensor([[tokenizer.pad_token_id] * (longest - len(each)) + each for each in heads])
        mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in heads])
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=max_tokens,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
            )
        for each, row in zip(batch, out[:, longest:].tolist(), strict=True):
            found[each] = tokenizer.decode(row, skip_special_tokens=True).strip()
        if say is not None:
            say(len(found))
    return [found[each] for each in range(len(prompts))]
