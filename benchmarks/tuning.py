"""Training of an encoder beside sentence-transformers' plain trainer: pairs a second, in turns on the same pairs.

    python benchmarks/tuning.py PAIRS [--model minilm] [--steps 10] [--rounds 2] [--batch 32] [--json FILE]

PAIRS is a folder that `librarian tune pairs` made.

librarian  `librarian tune encoder` with its defaults: texts are read up to 128 tokens, one hard negative a pair.
plain      SentenceTransformerTrainer with MultipleNegativesRankingLoss as its documentation has it: the same columns,
           batch and precision, and whatever length the model reads.
same       the plain one with its length set to 128 too, and the same batches: what is left is the code's difference.

The rate is that of the second half of the steps. Share: three times the floating-point operations of reading the texts
once (forward once, backward twice: Kaplan et al., 2020) over the rate at which this processor multiplies matrices of
the model's shapes in fp32, measured in the same run; padding counts for nothing. On a GPU the rates are the card's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

# This file is called as the package is: the package's folder must come before this one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from encoders_measuring import flops, matmul_rates

from rag.encoders import LocalEncoder
from rag.encoders.folder import find_folder
from rag.tuning.encoder import train_encoder
from rag.tuning.options import EncoderTraining, Step
from rag.tuning.pairs import PairSet, read_pairs

READ, SEED = EncoderTraining().max_tokens, EncoderTraining().seed
Times = dict[int, float]


def main() -> int:
    """Train, print the table, write JSON where asked."""
    given = _arguments()
    found = read_pairs(given.pairs)
    pairs = replace(found, held_out=found.held_out[:1])  # asking them is not what is timed
    config = json.loads((find_folder(given.model) / "config.json").read_text(encoding="utf-8"))
    limit = matmul_rates(config)["fp32"]
    ways: dict[str, Callable[[], Times]] = {
        "librarian": lambda: _ours(given, pairs),
        "plain": lambda: _plain(given, pairs, None),
        "same length": lambda: _plain(given, pairs, READ),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(given.rounds):
        for name, train in ways.items():
            rates[name].append(_rate(train(), given.batch))
            print(f"{name}: {rates[name][-1]:.2f} pairs/s", file=sys.stderr, flush=True)
    print(f"{given.batch} pairs a step, {len(pairs.pairs)} pairs; fp32 matrix products: {limit:.0f} GFLOP/s")
    print("| trainer | pairs/s | to plain | of the limit |\n|---|---:|---:|---:|")
    rows = []
    for name, each in rates.items():
        rate, plain = statistics.median(each), statistics.median(rates["plain"])
        share = rate * _flops_a_pair(given.model, config, pairs, None if name == "plain" else READ) / (limit * 1e9)
        print(f"| {name} | {rate:.2f} | {rate / plain:.2f} | {share:.0%} |")
        rows.append({"trainer": name, "pairs_per_s": rate, "to_plain": rate / plain, "share": share, "rounds": each})
    if given.json:
        given.json.write_text(json.dumps({"limit_gflops": limit, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return 0


def _ours(given: argparse.Namespace, pairs: PairSet) -> Times:
    times: Times = {}

    def tell(now: Step) -> None:
        times.setdefault(now.step, time.perf_counter())

    options = EncoderTraining(batch_size=given.batch, max_steps=given.steps, evaluations=1)
    with tempfile.TemporaryDirectory() as work:
        train_encoder(find_folder(given.model), pairs, Path(work), options, tell)
    return times


def _plain(given: argparse.Namespace, pairs: PairSet, tokens: int | None) -> Times:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import PrinterCallback, TrainerCallback

    times: Times = {}

    class Clock(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            times.setdefault(state.global_step, time.perf_counter())

    usable = [each for each in pairs.pairs if each.negatives]
    columns = {
        "anchor": [each.query for each in usable],
        "positive": [each.positive for each in usable],
        "negative": [each.negatives[0] for each in usable],
    }
    model = SentenceTransformer(str(find_folder(given.model)), local_files_only=True)
    if tokens:
        model.max_seq_length = min(tokens, int(model.max_seq_length or tokens))
    with tempfile.TemporaryDirectory() as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=folder,
                max_steps=given.steps,
                per_device_train_batch_size=given.batch,
                logging_steps=given.steps // 2,
                **({"seed": SEED, "data_seed": SEED, "batch_sampler": "no_duplicates"} if tokens else {}),
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict(columns),
            loss=MultipleNegativesRankingLoss(model),
            callbacks=[Clock()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return times


def _rate(times: Times, batch: int) -> float:
    """Pairs a second between the last two steps that were told of, far enough apart; the last is told twice."""
    last = max(times)
    before = max(each for each in times if each <= last // 2)
    return (last - before) * batch / (times[last] - times[before])


def _flops_a_pair(model: str, config: dict[str, Any], pairs: PairSet, tokens: int | None) -> float:
    encoder = LocalEncoder(model, device="cpu")
    some = pairs.pairs[:200]
    texts = [text for each in some for text in (each.query, each.positive, *each.negatives[:1])]
    most = min(tokens or encoder.max_tokens, encoder.max_tokens)
    return 3 * sum(flops(config, min(count, most)) for count in encoder.token_counts(texts)) / len(some)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, metavar="PAIRS", help="folder of `librarian tune pairs`")
    parser.add_argument("--model", default="minilm", help="minilm or a folder")
    parser.add_argument("--steps", type=int, default=10, help="of each training; an even number (default: 10)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
